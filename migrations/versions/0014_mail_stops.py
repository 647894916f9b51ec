"""Emails stop while the mail server takes none; each failed attempt is kept with the server's answer."""

import sqlalchemy as sa
from alembic import op

from webapp.models.base import Id

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notices", sa.Column("answer", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "mail_attempts",
        sa.Column("id", Id, nullable=False),
        sa.Column("notice_id", Id, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_mail_attempts_notice_id"),
        sa.PrimaryKeyConstraint("id", name="pk_mail_attempts"),
    )
    op.create_index("ix_mail_attempts_notice", "mail_attempts", ["notice_id", "id"])
    op.create_table(
        "mail_stops",
        sa.Column("id", Id, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.String(12), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_mail_stops_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_mail_stops"),
    )


def downgrade() -> None:
    op.drop_table("mail_stops")
    op.drop_table("mail_attempts")
    op.drop_column("notices", "answer")
