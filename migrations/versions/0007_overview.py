"""The indices behind the overview, and whether the first steps are hidden."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SETTLED = sa.text("settled_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("organisation", sa.Column("first_steps_hidden_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_requests_settled", "requests", ["settled_at", "state", "app_id", "created_at"],
        sqlite_where=SETTLED, postgresql_where=SETTLED,
    )  # fmt: skip
    op.create_index("ix_decisions_created", "decisions", ["created_at", "channel", "person_id", "step_id"])


def downgrade() -> None:
    op.drop_index("ix_decisions_created", "decisions")
    op.drop_index("ix_requests_settled", "requests")
    op.drop_column("organisation", "first_steps_hidden_at")
