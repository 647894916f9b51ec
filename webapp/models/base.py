"""The declarative base, the column types and the database's clock."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, String, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, mapped_column, registry
from sqlalchemy.sql import expression
from sqlalchemy.types import TypeDecorator

from webapp.bidi import named

Id = BigInteger().with_variant(Integer, "sqlite")
# Byte order on both engines, so that a page key compares as it was sorted.
Sorted = Text().with_variant(Text(collation="C"), "postgresql")
PUBLIC_ID = String(12)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware instant, UTC in the database; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A naive datetime cannot be stored; give an aware one.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class NameText(TypeDecorator[str]):
    """A name, which is set apart in sentences if it is read from right to left: bidi.Name."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else named(value)


class Base(DeclarativeBase):
    # A registry rather than a type_annotation_map: Flask-SQLAlchemy copies the class, which must share both.
    registry = registry(
        metadata=MetaData(
            naming_convention={
                "ix": "ix_%(table_name)s_%(column_0_N_name)s",
                "uq": "uq_%(table_name)s_%(column_0_N_name)s",
                "ck": "ck_%(table_name)s_%(constraint_name)s",
                "fk": "fk_%(table_name)s_%(column_0_N_name)s",
                "pk": "pk_%(table_name)s",
            }
        ),
        type_annotation_map={datetime: UTCDateTime, str: Text},
    )


class db_now(expression.FunctionElement[datetime]):
    """The database's clock inside the statement, plus so many seconds (an int or a column)."""

    type = UTCDateTime()
    inherit_cache = True
    name = "db_now"

    def __init__(self, plus: Any = 0) -> None:
        # Now itself has no parameter, so that PostgreSQL can keep its plan for the statement.
        if isinstance(plus, int):
            super().__init__(*([expression.literal(plus, Integer)] if plus else []))
        else:
            super().__init__(plus)


@compiles(db_now, "postgresql")
def _now_postgresql(element: db_now, compiler: Any, **kw: Any) -> str:
    # statement_timestamp() is stable, so an index on a due column can be used; clock_timestamp() is not.
    seconds = compiler.process(element.clauses, **kw)
    return f"(statement_timestamp() + make_interval(secs => {seconds}))" if seconds else "statement_timestamp()"


@compiles(db_now, "sqlite")
def _now_sqlite(element: db_now, compiler: Any, **kw: Any) -> str:
    # Six decimals, as SQLAlchemy writes instants, so that text comparison is time comparison.
    seconds = compiler.process(element.clauses, **kw)
    later = f", ({seconds}) || ' seconds'" if seconds else ""
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now'{later})"


def id_column() -> Any:
    """An integer primary key."""
    return mapped_column(Id, primary_key=True)
