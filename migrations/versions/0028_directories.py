"""Directories that push people and groups, what each keeps, and what came last."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIVE = sa.text("removed_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "directories",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("invites", sa.Boolean(), nullable=False),
        sa.Column("created_by_id", ID, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("paused_at", INSTANT, nullable=True),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["created_by_id"], ["people.id"], name=op.f("fk_directories_created_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directories")),
        sa.UniqueConstraint("public_id", name=op.f("uq_directories_public_id")),
    )
    op.create_table(
        "directory_entries",
        sa.Column("id", ID, nullable=False),
        sa.Column("directory_id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=True),
        sa.Column("group_id", ID, nullable=True),
        sa.Column("user_name", sa.String(254), nullable=True),
        sa.Column("external_id", sa.String(254), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.CheckConstraint("(person_id IS NULL) != (group_id IS NULL)", name=op.f("ck_directory_entries_one_thing")),
        sa.ForeignKeyConstraint(["directory_id"], ["directories.id"], name=op.f("fk_directory_entries_directory_id")),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_directory_entries_group_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_directory_entries_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_entries")),
        sa.UniqueConstraint("group_id", name=op.f("uq_directory_entries_group_id")),
        sa.UniqueConstraint("person_id", name=op.f("uq_directory_entries_person_id")),
    )
    op.create_index("ix_directory_entries_directory_id", "directory_entries", ["directory_id"])
    op.create_index(
        "ix_directory_entries_user_name", "directory_entries", ["directory_id", "user_name"], unique=True,
        sqlite_where=LIVE, postgresql_where=LIVE,
    )  # fmt: skip
    op.create_table(
        "directory_pushes",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("directory_id", ID, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("call", sa.String(20), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("person_id", ID, nullable=True),
        sa.Column("group_id", ID, nullable=True),
        sa.Column("outcome", sa.String(7), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.CheckConstraint("outcome IN ('done', 'nothing', 'refused')", name=op.f("ck_directory_pushes_outcome")),
        sa.ForeignKeyConstraint(["directory_id"], ["directories.id"], name=op.f("fk_directory_pushes_directory_id")),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_directory_pushes_group_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_directory_pushes_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_pushes")),
        sa.UniqueConstraint("public_id", name=op.f("uq_directory_pushes_public_id")),
    )
    op.create_index("ix_directory_pushes_at", "directory_pushes", ["at"])
    op.create_index("ix_directory_pushes_directory", "directory_pushes", ["directory_id", "id"])
    # Written out, not an Alembic batch: a batch makes the table anew.
    number = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    op.execute(
        f"ALTER TABLE api_tokens ADD COLUMN directory_id {number} "
        "CONSTRAINT fk_api_tokens_directory_id REFERENCES directories (id)"
    )


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
