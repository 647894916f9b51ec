"""The only wall clock. Instants that decide something are set and compared on the database's clock instead."""

from datetime import UTC, datetime


def now() -> datetime:
    """Now, aware UTC."""
    return datetime.now(UTC)
