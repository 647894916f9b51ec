"""Single sign-on: providers, who a person is there, and sessions that came from one."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "providers",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("issuer", sa.String(500), nullable=False),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("client_secret", sa.Text(), nullable=False),
        sa.Column("secret_ending", sa.String(4), nullable=False),
        sa.Column("secret_ends_on", sa.Date(), nullable=True),
        sa.Column("scopes", sa.String(300), nullable=False),
        sa.Column("acr_values", sa.String(300), nullable=False),
        sa.Column("in_use", sa.Boolean(), nullable=False),
        sa.Column("creates_people", sa.Boolean(), nullable=False),
        sa.Column("default_group_id", ID, nullable=True),
        sa.Column("links_by_email", sa.Boolean(), nullable=False),
        sa.Column("domains", sa.Text(), nullable=False),
        sa.Column("groups_claim", sa.String(80), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["default_group_id"], ["groups.id"], name=op.f("fk_providers_default_group_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_providers")),
        sa.UniqueConstraint("issuer", name=op.f("uq_providers_issuer")),
        sa.UniqueConstraint("name", name=op.f("uq_providers_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_providers_public_id")),
    )
    op.create_table(
        "provider_groups",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("provider_id", ID, nullable=False),
        sa.Column("value", sa.String(200), nullable=False),
        sa.Column("group_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_provider_groups_group_id")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_provider_groups_provider_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_groups")),
        sa.UniqueConstraint("provider_id", "value", name=op.f("uq_provider_groups_provider_id_value")),
        sa.UniqueConstraint("public_id", name=op.f("uq_provider_groups_public_id")),
    )
    op.create_table(
        "identities",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(12), nullable=False),
        sa.Column("provider_id", ID, nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("linked_at", INSTANT, nullable=False),
        sa.Column("last_used_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_identities_person_id")),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_identities_provider_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("provider_id", "person_id", name=op.f("uq_identities_provider_id_person_id")),
        sa.UniqueConstraint("provider_id", "subject", name=op.f("uq_identities_provider_id_subject")),
        sa.UniqueConstraint("public_id", name=op.f("uq_identities_public_id")),
    )
    op.create_index("ix_identities_person", "identities", ["person_id"])
    with op.batch_alter_table("sessions") as sessions:
        sessions.add_column(sa.Column("provider_id", ID, nullable=True))
        sessions.add_column(sa.Column("provider_sid", sa.String(255), nullable=True))
        sessions.add_column(sa.Column("id_token", sa.Text(), nullable=True))
        sessions.add_column(sa.Column("authenticated_at", INSTANT, nullable=True))
        sessions.create_foreign_key(op.f("fk_sessions_provider_id"), "providers", ["provider_id"], ["id"])
    op.create_index("ix_sessions_provider_sid", "sessions", ["provider_id", "provider_sid"])
    op.add_column("people", sa.Column("is_emergency_admin", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(
        "organisation", sa.Column("passwords_for_all", sa.Boolean(), nullable=False, server_default=sa.true())
    )


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
