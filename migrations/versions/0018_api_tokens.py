"""API tokens, the answers kept for repeated calls, and which token each entry of the audit log was made by."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("kind", sa.String(7), nullable=False),
        sa.Column("person_id", ID, nullable=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("beginning", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.Column("created_by_id", ID, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, nullable=True),
        sa.Column("last_used_address", sa.String(45), nullable=False),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("revoked_by_id", ID, nullable=True),
        sa.CheckConstraint("kind IN ('person', 'service')", name=op.f("ck_api_tokens_kind")),
        sa.CheckConstraint("(kind = 'person') = (person_id IS NOT NULL)", name=op.f("ck_api_tokens_person")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_api_tokens_person_id")),
        sa.ForeignKeyConstraint(["created_by_id"], ["people.id"], name=op.f("fk_api_tokens_created_by_id")),
        sa.ForeignKeyConstraint(["revoked_by_id"], ["people.id"], name=op.f("fk_api_tokens_revoked_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_tokens_hash")),
        sa.UniqueConstraint("public_id", name=op.f("uq_api_tokens_public_id")),
    )
    op.create_index("ix_api_tokens_person", "api_tokens", ["person_id", "id"])
    op.create_index("ix_api_tokens_created_by", "api_tokens", ["created_by_id"])
    op.create_table(
        "api_replays",
        sa.Column("token_id", ID, nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["api_tokens.id"], name=op.f("fk_api_replays_token_id")),
        sa.PrimaryKeyConstraint("token_id", "key", name=op.f("pk_api_replays")),
    )
    op.create_index("ix_api_replays_created", "api_replays", ["created_at"])
    # Written out, never an Alembic batch: a batch makes the table anew, without its triggers.
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute(f"ALTER TABLE events ADD COLUMN token_id {'BIGINT' if postgresql else 'INTEGER'}")
    op.create_index(
        "ix_events_token", "events", ["token_id", "seq"],
        sqlite_where=sa.text("token_id IS NOT NULL"), postgresql_where=sa.text("token_id IS NOT NULL"),
    )  # fmt: skip
    for name, type, default in (
        ("tokens_allowed", sa.Boolean(), sa.true()),
        ("token_days", sa.Integer(), sa.text("90")),
        ("tokens_decide_signed_in", sa.Boolean(), sa.false()),
    ):
        op.add_column("organisation", sa.Column(name, type, nullable=False, server_default=default))


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
