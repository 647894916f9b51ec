"""Webhooks and chat channels, what is sent to them, and every attempt."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("kind", sa.String(7), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("host", sa.String(260), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("app_ids", sa.Text(), nullable=False),
        sa.Column("category", sa.String(60), nullable=False),
        sa.Column("with_texts", sa.Boolean(), nullable=False),
        sa.Column("person_id", ID, nullable=True),
        sa.Column("group_id", ID, nullable=True),
        sa.Column("app_id", ID, nullable=True),
        sa.Column("created_by_id", ID, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("paused_at", INSTANT, nullable=True),
        sa.Column("paused_why", sa.String(300), nullable=False),
        sa.Column("failing_since", INSTANT, nullable=True),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.CheckConstraint("kind IN ('webhook', 'slack', 'teams')", name=op.f("ck_endpoints_kind")),
        sa.CheckConstraint(
            "(person_id IS NULL OR group_id IS NULL) AND (person_id IS NULL OR app_id IS NULL)"
            " AND (group_id IS NULL OR app_id IS NULL)",
            name=op.f("ck_endpoints_for_one"),
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_endpoints_app_id")),
        sa.ForeignKeyConstraint(["created_by_id"], ["people.id"], name=op.f("fk_endpoints_created_by_id")),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_endpoints_group_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_endpoints_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
        sa.UniqueConstraint("public_id", name=op.f("uq_endpoints_public_id")),
    )
    op.create_table(
        "endpoint_secrets",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("endpoint_id", ID, nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("ending", sa.String(4), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("retires_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"], name=op.f("fk_endpoint_secrets_endpoint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint_secrets")),
        sa.UniqueConstraint("public_id", name=op.f("uq_endpoint_secrets_public_id")),
    )
    op.create_index("ix_endpoint_secrets_endpoint", "endpoint_secrets", ["endpoint_id", "id"])

    op.create_table(
        "deliveries",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("endpoint_id", ID, nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("event_seq", ID, nullable=True),
        sa.Column("ordered_by", sa.String(44), nullable=True),
        sa.Column("request_id", ID, nullable=True),
        sa.Column("step_id", ID, nullable=True),
        sa.Column("app_id", ID, nullable=True),
        sa.Column("person_id", ID, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("cause", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("lease", sa.String(32), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("settled_at", INSTANT, nullable=True),
        sa.CheckConstraint("state IN ('due', 'leased', 'sent', 'dead', 'obsolete')", name=op.f("ck_deliveries_state")),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"], name=op.f("fk_deliveries_endpoint_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("public_id", name=op.f("uq_deliveries_public_id")),
    )
    op.create_index("ix_deliveries_created", "deliveries", ["created_at"])
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["endpoint_id", "due_at", "id"],
        sqlite_where=sa.text("state = 'due'"),
        postgresql_where=sa.text("state = 'due'"),
    )
    op.create_index("ix_deliveries_endpoint", "deliveries", ["endpoint_id", "id"])
    op.create_index("ix_deliveries_endpoint_state", "deliveries", ["endpoint_id", "state", "id"])
    op.create_index(
        "ix_deliveries_leased",
        "deliveries",
        ["lease_until"],
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index("ix_deliveries_request", "deliveries", ["request_id", "id"])
    op.create_index(
        "ix_deliveries_unsettled",
        "deliveries",
        ["endpoint_id", "ordered_by", "id"],
        sqlite_where=sa.text("state IN ('due', 'leased')"),
        postgresql_where=sa.text("state IN ('due', 'leased')"),
    )

    op.create_table(
        "delivery_tries",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("ms", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_delivery_tries_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_tries")),
    )
    op.create_index("ix_delivery_tries_delivery", "delivery_tries", ["delivery_id", "id"])


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
