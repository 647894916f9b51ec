"""For a million requests: the index of words by months, each invitation's app, and when steps were opened."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    # Written out: SQLite takes the constraint with the column or never.
    op.execute(
        f"ALTER TABLE invitations ADD COLUMN app_id {'BIGINT' if postgresql else 'INTEGER'} "
        "CONSTRAINT fk_invitations_app_id REFERENCES apps (id)"
    )
    op.execute("UPDATE invitations SET app_id = (SELECT app_id FROM requests WHERE id = invitations.request_id)")
    op.create_index("ix_invitations_asked_app", "invitations", ["person_id", "app_id", "requested_at", "request_id"])
    op.create_index("ix_steps_opened", "steps", ["id", "opened_at", "request_id"])
    if postgresql:
        op.drop_index("ix_requests_words", "requests")
        op.execute("DROP FUNCTION words_vector(text)")
        # Each word with its month before it, 202611figma: what is in half of all messages can be looked for in the
        # newest months alone. to_char() of such a pattern is the same everywhere, whatever PostgreSQL says.
        op.execute(
            "CREATE FUNCTION words_vector(words text, at timestamptz) RETURNS tsvector LANGUAGE plpgsql "
            "IMMUTABLE STRICT PARALLEL SAFE COST 100000 AS $$ BEGIN RETURN array_to_tsvector(string_to_array("
            "ltrim(replace(words, ' ', ' ' || to_char(at AT TIME ZONE 'UTC', 'YYYYMM'))), ' ')); END $$"
        )
        op.create_index("ix_requests_words", "requests", [sa.text("words_vector(words, created_at)")],
                        postgresql_using="gin")  # fmt: skip


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
