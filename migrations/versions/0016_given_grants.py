"""Who granted access without a request, and why."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    # Written out: SQLite takes the constraint with the column or never.
    op.execute(
        f"ALTER TABLE grants ADD COLUMN given_by_id {'BIGINT' if postgresql else 'INTEGER'} "
        "CONSTRAINT fk_grants_given_by_id REFERENCES people (id)"
    )
    op.add_column("grants", sa.Column("given_reason", sa.String(500), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
