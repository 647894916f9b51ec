"""Whom people report to, and the department that they are in."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    # Written out: SQLite takes the constraint with the column or never.
    op.execute(
        f"ALTER TABLE people ADD COLUMN manager_id {kind} CONSTRAINT fk_people_manager_id REFERENCES people (id)"
    )
    op.add_column("people", sa.Column("department", sa.String(80), nullable=False, server_default=sa.text("''")))
    op.create_index("ix_people_manager", "people", ["manager_id"])
    op.create_index("ix_people_department", "people", ["department"])


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
