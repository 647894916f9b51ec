"""Search without accents: what people, apps, groups and messages are found by; sort keys without what is not seen."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from webapp.text import search_text, sort_key, word_list

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BATCH = 2_000


def table(name: str, *columns: str) -> Any:
    return sa.table(name, sa.column("id", ID), *(sa.column(one, sa.Text()) for one in columns))


PEOPLE = table("people", "name", "email", "sort_key", "search_text")
APPS = table("apps", "name", "description", "category", "sort_key", "search_text", "public_id", "archived_at")
GROUPS = table("groups", "name", "sort_key", "search_text", "public_id", "archived_at")
REQUESTS = table("requests", "message", "words")


def upgrade() -> None:
    op.add_column("groups", sa.Column("search_text", SORTED, nullable=False, server_default=sa.text("''")))
    refill(
        PEOPLE, ("sort_key", "search_text"),
        lambda row: {"sort_key": sort_key(row.name), "search_text": search_text(row.name, row.email)},
    )  # fmt: skip
    apps = taken(APPS)
    refill(
        APPS, ("sort_key", "search_text"),
        lambda row: {
            "sort_key": row.sort_key if row.archived_at else free(row, apps),
            "search_text": search_text(row.name, row.description, row.category),
        },
    )  # fmt: skip
    groups = taken(GROUPS)
    # That of an archived group has something behind it, so that its name is free.
    refill(
        GROUPS, ("sort_key", "search_text"),
        lambda row: {
            "sort_key": row.sort_key if row.archived_at else free(row, groups), "search_text": search_text(row.name),
        },
    )  # fmt: skip
    # Most messages are in plain ASCII, whose words stay as they are.
    other = REQUESTS.c.words.op("GLOB")("*[^ -~]*")
    if op.get_bind().dialect.name == "postgresql":
        other = REQUESTS.c.words.op("~")("[^ -~]")
    refill(REQUESTS, ("words",), lambda row: {"words": word_list(row.message)}, where=[other])


def taken(of: Any) -> dict[str, int]:
    """The sort keys that have to stay one of a kind, and whose they are."""
    rows = op.get_bind().execute(sa.select(of.c.id, of.c.sort_key).where(of.c.archived_at.is_(None)))
    return {row.sort_key: row.id for row in rows}


def free(row: Any, keys: dict[str, int]) -> str:
    """The key of a name. Of two that look the same, the second one sorts behind and may be renamed."""
    key = sort_key(row.name)
    if keys.setdefault(key, row.id) == row.id:
        return key
    key = f"{key} {row.public_id.lower()}"
    keys[key] = row.id
    return key


def refill(of: Any, changed: Sequence[str], fill: Callable[[Any], dict[str, str]], where: Sequence[Any] = ()) -> None:
    """A few thousand rows at a time, and only what differs."""
    connection, last = op.get_bind(), 0
    statement = (
        sa.update(of)
        .where(of.c.id == sa.bindparam("of"))
        .values({name: sa.bindparam(f"new_{name}") for name in changed})
    )
    while True:
        rows = connection.execute(sa.select(of).where(of.c.id > last, *where).order_by(of.c.id).limit(BATCH)).all()
        if not rows:
            return
        wanted = []
        for row in rows:
            found = fill(row)
            if any(getattr(row, name) != text for name, text in found.items()):
                wanted.append({"of": row.id, **{f"new_{name}": text for name, text in found.items()}})
        if wanted:
            connection.execute(statement, wanted)
        last = rows[-1].id


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
