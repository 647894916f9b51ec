"""Integer keys for public ids, as filters of programs give them."""

from typing import Any

from sqlalchemy import literal, select, union_all

from webapp.extensions import db
from webapp.models import AccessRequest, ApiToken, App, Person

_TABLES: dict[str, Any] = {"person": Person, "actor": Person, "app": App, "request": AccessRequest, "token": ApiToken}


def keys_of(**given: str | None) -> dict[str, int]:
    """Name (of _TABLES) → key of the row with this public id, 0 for none; without what is not given. One statement."""
    wanted = {name: public_id for name, public_id in given.items() if public_id is not None}
    if not wanted:
        return {}
    rows = db.session.execute(
        union_all(
            *(
                select(literal(name).label("name"), _TABLES[name].id).where(_TABLES[name].public_id == public_id)
                for name, public_id in wanted.items()
            )
        )
    )
    return dict.fromkeys(wanted, 0) | {row.name: row.id for row in rows}
