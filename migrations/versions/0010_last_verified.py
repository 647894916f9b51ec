"""When the record was last checked, found at once in a long one."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

VERIFIED = sa.text("kind = 'audit.verified'")


def upgrade() -> None:
    op.create_index("ix_events_verified", "events", ["seq"], sqlite_where=VERIFIED, postgresql_where=VERIFIED)


def downgrade() -> None:
    op.drop_index("ix_events_verified", "events")
