"""The index behind the apps that were taken from somebody."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

REMOVED = sa.text("state = 'removed'")


def upgrade() -> None:
    op.create_index(
        "ix_grants_removed", "grants", ["person_id", "removed_at"], sqlite_where=REMOVED, postgresql_where=REMOVED
    )


def downgrade() -> None:
    op.drop_index("ix_grants_removed", "grants")
