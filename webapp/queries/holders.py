"""The people with access to an app: with which fields, since when, and who approved or granted it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, exists, select

from webapp.extensions import db
from webapp.models import LIVE_GRANT, AccessRequest, Grant, Person
from webapp.queries.holdings import HELD, HeldApp, held_apps
from webapp.queries.paging import Page, ordered, paged
from webapp.text import like
from webapp.workflow.states import RequestState

# What the list can be sorted by besides the name; the ids of grants are in order of time.
ORDERS = {"since": (Grant.id,)}
BATCH = 500


@dataclass(frozen=True, slots=True)
class Holder:
    """A person with access to the app."""

    person: Person
    held: HeldApp


def page(app_id: int, *, words: Sequence[str] = (), sort: str = "", after: str = "", before: str = "") -> Page[Holder]:
    """Five statements, six when it is not the first page."""
    order = ordered(Person, sort, ORDERS)
    rows, count, back, more = paged(_found(app_id, words), Person, after=after, before=before, order=order)
    return Page(_holders(rows), count, back, more)


def batches(app_id: int, *, words: Sequence[str] = (), sort: str = "") -> Iterator[list[Holder]]:
    """All matches in batches of a few hundred. Each batch is a transaction of its own, so that a slow download holds
    none open."""
    order = ordered(Person, sort, ORDERS)
    query = _found(app_id, words).add_columns(*(one.label(f"k{at}") for at, one in enumerate(order.columns)))
    last: Any = None
    while True:
        more = query if last is None else query.where(order.beyond(last))
        rows = db.session.execute(more.order_by(*order.by()).limit(BATCH)).all()
        found = _holders(rows)
        db.session.expunge_all()
        db.session.rollback()
        if found:
            yield found
        if len(rows) < BATCH:
            return
        last = tuple(getattr(rows[-1], f"k{at}") for at in range(len(order.columns)))


@dataclass(frozen=True, slots=True)
class AppAccess:
    """Whether a person has access to an app, and their pending request for it (its public id, or "")."""

    has: bool
    request: str


def access_to(app_id: int, person_id: int) -> AppAccess:
    """Whether the person has the app or waits for it, in one statement."""
    row = db.session.execute(
        select(
            exists()
            .where(Grant.app_id == app_id, Grant.person_id == person_id, Grant.state.in_(LIVE_GRANT))
            .label("has"),
            select(AccessRequest.public_id)
            .where(
                AccessRequest.app_id == app_id,
                AccessRequest.for_person_id == person_id,
                AccessRequest.state == RequestState.PENDING.value,
            )
            .scalar_subquery()
            .label("request"),
        )
    ).one()
    return AppAccess(row.has, row.request or "")


def grant(app_id: int, public_id: str) -> Holder | None:
    """One grant of the app with its person; None when access has ended."""
    rows = db.session.execute(_found(app_id, ()).where(Grant.public_id == public_id)).all()
    return _holders(rows)[0] if rows else None


def _found(app_id: int, words: Sequence[str]) -> Select[Any]:
    query = (
        HELD.add_columns(Person.public_id.label("key"), Person)
        .join(Person, Person.id == Grant.person_id)
        .where(Grant.app_id == app_id)
    )
    for word in words:
        query = query.where(Person.search_text.like(like(word), escape="!"))
    return query


def _holders(rows: Sequence[Any]) -> list[Holder]:
    return [Holder(row.Person, one) for row, one in zip(rows, held_apps(rows), strict=True)]
