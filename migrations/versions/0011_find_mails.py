"""Mails are found by their kind and by days."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_notices_kind", "notices", ["kind", "id"])
    op.create_index("ix_notices_created", "notices", ["created_at"])


def downgrade() -> None:
    op.drop_index("ix_notices_created", "notices")
    op.drop_index("ix_notices_kind", "notices")
