"""Who opened an app, added a member or had a password link mailed; the domains of outcome emails; the daily look at
who was asked; and from which round on a link shows its request."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

PEOPLE = (
    ("apps", "requestable_by_id"),
    ("apps", "audience_by_id"),
    ("memberships", "added_by_id"),
    ("people", "vouched_by_id"),
)


def upgrade() -> None:
    kind = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    for table, column in PEOPLE:
        # Written out: SQLite takes the constraint with the column or never.
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN {column} {kind} CONSTRAINT fk_{table}_{column} REFERENCES people (id)"
        )
    op.add_column("invitations", sa.Column("shows_from", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("organisation", sa.Column("outcome_domains", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("organisation", sa.Column("asked_checked_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
