"""Indices for the lists of all requests: in time's order, by the words of messages, and by who was asked."""

import sqlalchemy as sa
from alembic import op

from webapp.text import word_list

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BATCH = 2_000
REQUESTS = sa.table("requests", sa.column("id", ID), sa.column("message", sa.Text()), sa.column("words", sa.Text()))


def upgrade() -> None:
    op.add_column("requests", sa.Column("words", sa.Text(), nullable=False, server_default=sa.text("''")))
    # Written out: SQLite takes the constraint with the column or never.
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute(
        f"ALTER TABLE invitations ADD COLUMN request_id {'BIGINT' if postgresql else 'INTEGER'} "
        "CONSTRAINT fk_invitations_request_id REFERENCES requests (id)"
    )
    op.add_column("invitations", sa.Column("requested_at", sa.DateTime(timezone=True), nullable=True))
    fill()
    if postgresql:
        # Not to_tsvector, whose parser makes other words of a text than ours, and SQLite has to find the same. Its cost
        # keeps the planner from working it out row by row, which it takes for cheap.
        op.execute(
            "CREATE FUNCTION words_vector(words text) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE "
            "COST 100000 AS $$ BEGIN RETURN array_to_tsvector(string_to_array(ltrim(words), ' ')); END $$"
        )
        op.create_index("ix_requests_words", "requests", [sa.text("words_vector(words)")], postgresql_using="gin")
    op.drop_index("ix_requests_created", table_name="requests")
    op.drop_index("ix_requests_state", table_name="requests")
    op.drop_index("ix_requests_app", table_name="requests")
    op.create_index("ix_requests_created", "requests", ["created_at", "id"])
    op.create_index("ix_requests_state", "requests", ["state", "created_at", "id"])
    op.create_index("ix_requests_app", "requests", ["app_id", "created_at", "id"])
    op.create_index("ix_requests_app_state", "requests", ["app_id", "state", "created_at", "id"])
    op.create_index("ix_invitations_asked", "invitations", ["person_id", "requested_at", "request_id"])
    op.create_index("ix_invitations_request", "invitations", ["request_id", "person_id"])


def fill() -> None:
    """What is there already: the words of each message, a few thousand at a time, and each invitation's request."""
    connection = op.get_bind()
    op.execute(
        "UPDATE invitations SET (request_id, requested_at) = (SELECT r.id, r.created_at FROM requests AS r "
        "JOIN steps AS s ON s.request_id = r.id WHERE s.id = invitations.step_id)"
    )
    last = 0
    while True:
        rows = connection.execute(
            sa.select(REQUESTS.c.id, REQUESTS.c.message)
            .where(REQUESTS.c.id > last)
            .order_by(REQUESTS.c.id)
            .limit(BATCH)
        ).all()
        if not rows:
            return
        connection.execute(
            sa.update(REQUESTS).where(REQUESTS.c.id == sa.bindparam("of")).values(words=sa.bindparam("found")),
            [{"of": row.id, "found": word_list(row.message)} for row in rows],
        )
        last = rows[-1].id


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
