"""The search over everything: a few apps, people and requests each, and only what the reader may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, exists, or_, select, union

from webapp.extensions import db
from webapp.models import LIVE_GRANT, AccessRequest, App, Grant, Invitation, Person
from webapp.queries import request_search, visibility
from webapp.queries.app_summaries import APP_COLUMNS, AppSummary, app_summary
from webapp.queries.catalog import IN_CATALOG
from webapp.queries.ownership import owned_by
from webapp.queries.picker import found as picked
from webapp.queries.principals import Principal
from webapp.queries.request_search import Filter
from webapp.text import CROCKFORD, like

LIMIT = 6
# For readers who are no admins, so many of the newest requests of each kind are searched.
NEWEST = 2_000


@dataclass(frozen=True, slots=True)
class FoundApp:
    """`manages`: the reader owns the app or is an admin; `has`: the reader has access."""

    app: AppSummary
    category: str
    manages: bool
    has: bool


@dataclass(frozen=True, slots=True)
class FoundRequest:
    public_id: str
    app: AppSummary
    person: str
    state: str


@dataclass(frozen=True, slots=True)
class SearchResults:
    apps: list[FoundApp]
    people: list[Principal]
    requests: list[FoundRequest]

    @property
    def count(self) -> int:
        return len(self.apps) + len(self.people) + len(self.requests)


def look(reader: Person, words: Sequence[str]) -> SearchResults:
    """Up to LIMIT of each that match all words. People are found by admins only."""
    return SearchResults(
        _apps(reader, words), picked(words, ("person",))[:LIMIT] if reader.is_admin else [], _requests(reader, words)
    )


def _apps(reader: Person, words: Sequence[str]) -> list[FoundApp]:
    has = exists().where(Grant.app_id == App.id, Grant.person_id == reader.id, Grant.state.in_(LIVE_GRANT))
    owns = owned_by(reader.id)
    query = select(*APP_COLUMNS, App.category, owns.label("owns"), has.label("has")).where(App.archived_at.is_(None))
    if not reader.is_admin:
        query = query.where(or_(IN_CATALOG, owns, has))
    for word in words:
        query = query.where(App.search_text.like(like(word), escape="!"))
    rows = db.session.execute(query.order_by(App.sort_key, App.id).limit(LIMIT), {"person": reader.id})
    return [FoundApp(app_summary(row), row.category, reader.is_admin or row.owns, row.has) for row in rows]


def _requests(reader: Person, words: Sequence[str]) -> list[FoundRequest]:
    query = (
        select(AccessRequest.public_id, AccessRequest.state, Person.name.label("person"), *APP_COLUMNS)
        .join(App, App.id == AccessRequest.app_id)
        .join(Person, Person.id == AccessRequest.for_person_id)
        .order_by(AccessRequest.id.desc())
        .limit(LIMIT)
    )
    if reader.is_admin:
        query = query.where(AccessRequest.id.in_(request_search.find(Filter(words=words), limit=LIMIT).ids))
    else:
        query = query.where(AccessRequest.id.in_(_near(reader)), _may_see(reader), *(_about(word) for word in words))
    return [FoundRequest(row.public_id, app_summary(row), row.person, row.state) for row in db.session.execute(query)]


def _near(reader: Person) -> Any:
    """The newest requests of the reader, those they were invited to decide, and those for apps that they own."""
    own, asked, owned = (
        select(AccessRequest.id).where(
            or_(AccessRequest.for_person_id == reader.id, AccessRequest.asked_by_id == reader.id)
        ),
        select(Invitation.request_id.label("id")).where(Invitation.person_id == reader.id),
        select(AccessRequest.id).join(App, App.id == AccessRequest.app_id).where(owned_by(reader.id)),
    )
    parts = (
        own.order_by(AccessRequest.id.desc()),
        asked.order_by(Invitation.request_id.desc()),
        owned.order_by(AccessRequest.id.desc()),
    )
    return union(*(select(part.limit(NEWEST).subquery().c.id) for part in parts))


def _may_see(reader: Person) -> Any:
    return or_(
        AccessRequest.for_person_id == reader.id,
        AccessRequest.asked_by_id == reader.id,
        visibility.was_invited(AccessRequest.id, bindparam("reader", reader.id)),
        visibility.manages(AccessRequest.app_id, bindparam("reader", reader.id)),
    )


def _about(word: str) -> Any:
    """In the name of the app or the person, or how the reference begins."""
    begin = word.upper().removeprefix("R-")[:12]
    named = [one.sort_key.like(like(word), escape="!") for one in (App, Person)]
    if begin and set(begin) <= set(CROCKFORD):
        named.append(AccessRequest.public_id.between(begin, begin.ljust(12, "Z")))
    return or_(*named)
