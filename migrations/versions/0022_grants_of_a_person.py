"""All access of a person, ended or not, newest first: what a program lists."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_grants_person", "grants", ["person_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_grants_person", "grants")
