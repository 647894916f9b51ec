"""The tables, columns and constraints of a database, to compare two."""

from __future__ import annotations

from typing import Any

from sqlalchemy import inspect, text


def shape(database: str) -> Any:
    """Tables with their columns, indices and triggers, and the version."""
    from sqlalchemy import create_engine

    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        found = inspect(engine)
        tables = {
            table: (
                sorted((one["name"], str(one["type"]), one["nullable"]) for one in found.get_columns(table)),
                sorted(str(one["name"]) for one in found.get_indexes(table)),
            )
            for table in found.get_table_names()
        }
        with engine.connect() as connection:
            triggers = (
                "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY 1"
                if engine.dialect.name == "sqlite"
                else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
            )
            return (
                tables,
                connection.execute(text(triggers)).scalars().all(),
                connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all(),
            )
    finally:
        engine.dispose()
