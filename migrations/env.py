"""Runs migrations in one transaction on both engines: all of an upgrade, or nothing of it."""

from alembic import context
from sqlalchemy import text

import webapp.models  # noqa: F401  (fills the metadata)
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models.base import Base
from webapp.runtime import failpoints

# Any number, as long as nothing else in this database uses it.
LOCK = 7_204_613_002


def run() -> None:
    choose("write")
    with db.engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            # Two machines that start at once: the second waits, then finds nothing to do.
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            compare_type=True,
            # BEGIN IMMEDIATE is ours (webapp.database.transactions), so a failed upgrade leaves no table behind.
            transactional_ddl=True,
            on_version_apply=lambda **step: failpoints.at("migration.in-upgrade"),
        )
        with context.begin_transaction():
            context.run_migrations()


run()
