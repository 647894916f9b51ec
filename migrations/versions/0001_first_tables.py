"""The first tables, and the triggers that keep the audit record and the saved rules as they were written."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


# Tables of which a row is never changed or deleted.
APPEND_ONLY = ("events", "policy_revisions", "decisions")


def upgrade() -> None:
    create_tables()
    op.execute(f"INSERT INTO event_head (id, seq, mac) VALUES (1, 0, '{'0' * 64}')")
    op.execute("INSERT INTO organisation (id, name, time_zone, sender) VALUES (1, 'Countersign', 'UTC', '')")
    protect()


def protect() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in APPEND_ONLY:
            for event in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        return
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def create_tables() -> None:
    op.create_table(
        "event_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", ID, nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_event_head_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_head")),
    )
    op.create_table(
        "events",
        sa.Column("seq", ID, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("actor_id", ID, nullable=True),
        sa.Column("request_id", ID, nullable=True),
        sa.Column("app_id", ID, nullable=True),
        sa.Column("person_id", ID, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
    )
    op.create_index("ix_events_actor", "events", ["actor_id", "seq"])
    op.create_index("ix_events_app", "events", ["app_id", "seq"])
    op.create_index("ix_events_at", "events", ["at"])
    op.create_index("ix_events_person", "events", ["person_id", "seq"])
    op.create_index("ix_events_request", "events", ["request_id", "seq"])

    op.create_table(
        "groups",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("sort_key", SORTED, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("public_id", name=op.f("uq_groups_public_id")),
        sa.UniqueConstraint("sort_key", name=op.f("uq_groups_sort_key")),
    )
    op.create_index("ix_groups_list", "groups", ["sort_key", "id"], unique=True)

    op.create_table(
        "heartbeats",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "icons",
        sa.Column("id", ID, nullable=False),
        sa.Column("content_type", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_icons")),
        sa.UniqueConstraint("sha256", name=op.f("uq_icons_sha256")),
    )
    op.create_table(
        "organisation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("sender", sa.String(length=120), server_default=sa.text("('')"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_organisation_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
    )
    op.create_table(
        "people",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("sort_key", SORTED, nullable=False),
        sa.Column("search_text", SORTED, nullable=False),
        sa.Column("about", sa.String(length=120), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("password_round", sa.Integer(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=True),
        sa.Column("theme", sa.String(length=5), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deactivated_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("email", name=op.f("uq_people_email")),
        sa.UniqueConstraint("public_id", name=op.f("uq_people_public_id")),
    )
    op.create_index("ix_people_list", "people", ["sort_key", "id"])

    op.create_table(
        "apps",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("sort_key", SORTED, nullable=False),
        sa.Column("search_text", SORTED, nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("icon", sa.String(length=40), nullable=False),
        sa.Column("icon_id", ID, nullable=True),
        sa.Column("launch_url", sa.String(length=500), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("requestable", sa.Boolean(), nullable=False),
        sa.Column("for_everyone", sa.Boolean(), nullable=False),
        sa.Column("owner_person_id", ID, nullable=True),
        sa.Column("owner_group_id", ID, nullable=True),
        sa.Column("policy_revision_id", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("owner_person_id IS NULL OR owner_group_id IS NULL", name=op.f("ck_apps_one_owner")),
        sa.ForeignKeyConstraint(["icon_id"], ["icons.id"], name=op.f("fk_apps_icon_id")),
        sa.ForeignKeyConstraint(["owner_group_id"], ["groups.id"], name=op.f("fk_apps_owner_group_id")),
        sa.ForeignKeyConstraint(["owner_person_id"], ["people.id"], name=op.f("fk_apps_owner_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_apps")),
        sa.UniqueConstraint("public_id", name=op.f("uq_apps_public_id")),
    )
    op.create_index("ix_apps_categories", "apps", ["category", "requestable", "archived_at", "for_everyone", "id"])
    op.create_index("ix_apps_list", "apps", ["sort_key", "id"])
    op.create_index("ix_apps_owner_group_id", "apps", ["owner_group_id"])
    op.create_index("ix_apps_owner_person_id", "apps", ["owner_person_id"])
    op.create_index(
        "uq_apps_name_in_use",
        "apps",
        ["sort_key"],
        unique=True,
        sqlite_where=sa.text("archived_at IS NULL"),
        postgresql_where=sa.text("archived_at IS NULL"),
    )

    op.create_table(
        "memberships",
        sa.Column("group_id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_memberships_group_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_memberships_person_id")),
        sa.PrimaryKeyConstraint("group_id", "person_id", name=op.f("pk_memberships")),
    )
    op.create_index("ix_memberships_person_id", "memberships", ["person_id"])

    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=9), nullable=False),
        sa.Column("browser", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('sign_in', 'decisions')", name=op.f("ck_sessions_kind")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_sessions_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sessions_public_id")),
    )
    op.create_index("ix_sessions_person", "sessions", ["person_id", "ended_at"])

    op.create_table(
        "audiences",
        sa.Column("app_id", ID, nullable=False),
        sa.Column("group_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_audiences_app_id")),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_audiences_group_id")),
        sa.PrimaryKeyConstraint("app_id", "group_id", name=op.f("pk_audiences")),
    )
    op.create_index("ix_audiences_group_id", "audiences", ["group_id"])

    op.create_table(
        "entitlements",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("app_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=7), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("default", sa.Text(), nullable=True),
        sa.Column("help", sa.String(length=200), nullable=False),
        sa.Column("requester", sa.String(length=6), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_entitlements_app_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entitlements")),
        sa.UniqueConstraint("public_id", name=op.f("uq_entitlements_public_id")),
    )
    op.create_index("ix_entitlements_app", "entitlements", ["app_id", "position"])

    op.create_table(
        "policy_revisions",
        sa.Column("id", ID, nullable=False),
        sa.Column("app_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("schema", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created_by_id", ID, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_policy_revisions_app_id")),
        sa.ForeignKeyConstraint(["created_by_id"], ["people.id"], name=op.f("fk_policy_revisions_created_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_revisions")),
        sa.UniqueConstraint("app_id", "number", name=op.f("uq_policy_revisions_app_id_number")),
    )
    op.create_table(
        "requests",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("app_id", ID, nullable=False),
        sa.Column("asked_by_id", ID, nullable=False),
        sa.Column("for_person_id", ID, nullable=False),
        sa.Column("policy_revision_id", ID, nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by_id", ID, nullable=True),
        sa.Column("settled_note", sa.String(length=500), nullable=False),
        sa.Column("asked_again_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("values_json", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'denied', 'expired', 'cancelled')", name=op.f("ck_requests_state")
        ),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_requests_app_id")),
        sa.ForeignKeyConstraint(["asked_by_id"], ["people.id"], name=op.f("fk_requests_asked_by_id")),
        sa.ForeignKeyConstraint(["for_person_id"], ["people.id"], name=op.f("fk_requests_for_person_id")),
        sa.ForeignKeyConstraint(
            ["policy_revision_id"], ["policy_revisions.id"], name=op.f("fk_requests_policy_revision_id")
        ),
        sa.ForeignKeyConstraint(["settled_by_id"], ["people.id"], name=op.f("fk_requests_settled_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
        sa.UniqueConstraint("public_id", name=op.f("uq_requests_public_id")),
    )
    op.create_index("ix_requests_app", "requests", ["app_id", "state", "id"])
    op.create_index("ix_requests_asked_by", "requests", ["asked_by_id"])
    op.create_index("ix_requests_created", "requests", ["created_at"])
    op.create_index("ix_requests_for_person", "requests", ["for_person_id", "id"])
    op.create_index("ix_requests_state", "requests", ["state", "id"])
    op.create_index(
        "uq_requests_one_pending",
        "requests",
        ["app_id", "for_person_id"],
        unique=True,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )

    op.create_table(
        "comments",
        sa.Column("id", ID, nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_comments_person_id")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_comments_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index("ix_comments_request", "comments", ["request_id", "id"])

    op.create_table(
        "grants",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("app_id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("request_id", ID, nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_by_id", ID, nullable=True),
        sa.Column("removed_reason", sa.String(length=500), nullable=False),
        sa.Column("values_json", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('provisioning', 'active', 'removed', 'failed')", name=op.f("ck_grants_state")),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_grants_app_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_grants_person_id")),
        sa.ForeignKeyConstraint(["removed_by_id"], ["people.id"], name=op.f("fk_grants_removed_by_id")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_grants_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
        sa.UniqueConstraint("public_id", name=op.f("uq_grants_public_id")),
    )
    op.create_index("ix_grants_app", "grants", ["app_id", "state"])
    op.create_index("ix_grants_request", "grants", ["request_id"])
    op.create_index(
        "uq_grants_one_live",
        "grants",
        ["person_id", "app_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('provisioning', 'active')"),
        postgresql_where=sa.text("state IN ('provisioning', 'active')"),
    )

    op.create_table(
        "steps",
        sa.Column("id", ID, nullable=False),
        sa.Column("request_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("approver_person_id", ID, nullable=True),
        sa.Column("approver_group_id", ID, nullable=True),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("tier", sa.String(length=8), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'open', 'approved', 'denied', 'expired', 'skipped')", name=op.f("ck_steps_state")
        ),
        sa.CheckConstraint(
            "(approver_person_id IS NULL) <> (approver_group_id IS NULL)", name=op.f("ck_steps_one_approver")
        ),
        sa.ForeignKeyConstraint(["approver_group_id"], ["groups.id"], name=op.f("fk_steps_approver_group_id")),
        sa.ForeignKeyConstraint(["approver_person_id"], ["people.id"], name=op.f("fk_steps_approver_person_id")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_steps_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_steps")),
    )
    op.create_index(
        "ix_steps_due",
        "steps",
        ["due_at"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "ix_steps_open_group",
        "steps",
        ["approver_group_id"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "ix_steps_open_person",
        "steps",
        ["approver_person_id"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_steps_request", "steps", ["request_id", "position"])

    op.create_table(
        "decisions",
        sa.Column("id", ID, nullable=False),
        sa.Column("step_id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("channel", sa.String(length=7), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("set_json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("channel IN ('browser', 'code', 'api', 'admin')", name=op.f("ck_decisions_channel")),
        sa.CheckConstraint("verdict IN ('approved', 'denied')", name=op.f("ck_decisions_verdict")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_decisions_person_id")),
        sa.ForeignKeyConstraint(["step_id"], ["steps.id"], name=op.f("fk_decisions_step_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("step_id", "person_id", name=op.f("uq_decisions_step_id_person_id")),
    )
    op.create_index("ix_decisions_person", "decisions", ["person_id", "id"])

    op.create_table(
        "invitations",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("step_id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("wrong_codes", sa.Integer(), nullable=False),
        sa.Column("codes_day", sa.String(length=10), nullable=False),
        sa.Column("codes_mailed", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_invitations_person_id")),
        sa.ForeignKeyConstraint(["step_id"], ["steps.id"], name=op.f("fk_invitations_step_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("public_id", name=op.f("uq_invitations_public_id")),
        sa.UniqueConstraint("step_id", "person_id", name=op.f("uq_invitations_step_id_person_id")),
    )
    op.create_index(
        "ix_invitations_live",
        "invitations",
        ["person_id"],
        sqlite_where=sa.text("live"),
        postgresql_where=sa.text("live"),
    )
    op.create_index("ix_invitations_person", "invitations", ["person_id", "id"])

    op.create_table(
        "notices",
        sa.Column("id", ID, nullable=False),
        sa.Column("public_id", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("role", sa.String(length=9), nullable=False),
        sa.Column("person_id", ID, nullable=True),
        sa.Column("address", sa.String(length=254), nullable=True),
        sa.Column("request_id", ID, nullable=True),
        sa.Column("step_id", ID, nullable=True),
        sa.Column("invitation_id", ID, nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("grant_id", ID, nullable=True),
        sa.Column("data_json", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('due', 'leased', 'sent', 'dead', 'obsolete')", name=op.f("ck_notices_state")),
        sa.CheckConstraint("(person_id IS NULL) <> (address IS NULL)", name=op.f("ck_notices_one_recipient")),
        sa.ForeignKeyConstraint(["grant_id"], ["grants.id"], name=op.f("fk_notices_grant_id")),
        sa.ForeignKeyConstraint(["invitation_id"], ["invitations.id"], name=op.f("fk_notices_invitation_id")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_notices_person_id")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_notices_request_id")),
        sa.ForeignKeyConstraint(["step_id"], ["steps.id"], name=op.f("fk_notices_step_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("public_id", name=op.f("uq_notices_public_id")),
    )
    op.create_index(
        "ix_notices_due",
        "notices",
        ["due_at", "id"],
        sqlite_where=sa.text("state = 'due'"),
        postgresql_where=sa.text("state = 'due'"),
    )
    op.create_index(
        "ix_notices_leased",
        "notices",
        ["lease_until"],
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index("ix_notices_request", "notices", ["request_id", "id"])
    op.create_index(
        "ix_notices_dead",
        "notices",
        ["settled_at"],
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
