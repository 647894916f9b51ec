"""Finds the requests that match a filter, newest or oldest first, with statements that stop once a page is full.

State, app, days and approver each have an index in the order of the list, and a person has few requests: there the
database walks or gathers by an index whatever the table's size. Words have none in that order, and PostgreSQL cannot
guess how many requests have one, so `_by_words` finds out and then takes the way that is short.

Numbers and states stand written out in the statements: PostgreSQL plans a statement it has seen often without looking
at its parameters, and the way that is right for an approver of half the company is not right for the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    Select,
    String,
    and_,
    bindparam,
    cast,
    column,
    false,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union,
    union_all,
    values,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from webapp.extensions import db
from webapp.models import AccessRequest, App, Invitation, Person, UTCDateTime
from webapp.models.base import Id
from webapp.text import CROCKFORD, fold, like_name, words
from webapp.workflow.states import RequestState

PAGE = 50
COUNTED = 1000
# If so many of the newest requests have the words, scanning on from there is fast enough.
RECENT, FREQUENT = 2_000, 60
# So many of the newest requests are scanned; beyond that, the index of words is faster.
WALK = 60_000
# The lists of so many approvers are merged; for more, all requests are collected.
MERGED = 20


@dataclass(frozen=True, slots=True)
class Filter:
    """The conditions; None and "" are none. `person` submitted it or is to get it, `approver` was asked to
    decide (ids). Each of `words` begins a word of the message, stands in the name of the app or the person, or
    begins the reference. `since` is inclusive, `until` exclusive. `oldest` puts the oldest first."""

    state: str = ""
    app: int | None = None
    person: tuple[int, ...] | None = None
    approver: tuple[int, ...] | None = None
    words: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    oldest: bool = False


@dataclass(frozen=True, slots=True)
class Matches:
    """One page. `count` is of all that match, COUNTED + 1 standing for all beyond; `newer` and `older` are the
    requests that the neighbouring pages start from, 0 for none."""

    ids: list[int]
    count: int
    newer: int
    older: int


@dataclass(frozen=True, slots=True)
class _Edge:
    """Where a page begins: after this request, or, looking `up`, before it; without one, at that end of the list."""

    at: datetime | None = None
    id: int = 0
    up: bool = False


def find(wanted: Filter, *, before: int = 0, after: int = 0, limit: int = PAGE) -> Matches:
    """The page that begins at one of these requests, or the first page."""
    edge = _edge(before or after, up=bool(after and not before), oldest=wanted.oldest)
    if wanted.words and db.engine.dialect.name == "postgresql":
        ids, count = _by_words(wanted, edge, limit + 1)
    else:
        ids, count = _by_indices(wanted, edge, limit + 1)
    more, ids = len(ids) > limit, ids[:limit]
    # Each page but the first has a link back.
    ahead, behind = (ids[-1] if more else 0), (ids[0] if edge.at and ids else 0)
    if edge.up is not wanted.oldest:
        ids.reverse()
    return Matches(ids, count, *((ahead, behind) if edge.up else (behind, ahead)))


def _edge(id: int, *, up: bool, oldest: bool) -> _Edge:
    at = db.session.scalar(select(AccessRequest.created_at).where(AccessRequest.id == id)) if id else None
    return _Edge(at, id, up) if at else _Edge(up=oldest)


def _by_indices(wanted: Filter, edge: _Edge, limit: int) -> tuple[list[int], int]:
    """(so many ids, count). On SQLite words are looked for in the same way, request by request."""
    text = has_words(wanted.words)
    ids = list(db.session.scalars(_newest(wanted, edge, limit, text=text)))
    # Ordered, too, or PostgreSQL may read whole tables instead of stopping at the thousandth.
    counted = _newest(wanted, _Edge(), COUNTED + 1, text=text)
    return ids, db.session.scalar(select(func.count()).select_from(counted.subquery())) or 0


def _by_words(wanted: Filter, edge: _Edge, limit: int) -> tuple[list[int], int]:
    """(so many ids, count), on PostgreSQL. Frequent words are met soon when one walks from the newest; others come
    month by month from the index of words, which answers in no order within a month."""
    terms = _terms(wanted.words)

    def walk(begin: _Edge, number: int, far: int = WALK) -> list[int]:
        columns = (AccessRequest.words, AccessRequest.public_id, AccessRequest.app_id, AccessRequest.for_person_id,
                   AccessRequest.asked_by_id)  # fmt: skip
        near = _newest(wanted, begin, far, *columns).subquery("near")
        text = [_about(one, near.c, _in_list) for one in terms]
        return list(db.session.scalars(_in_order(select(near.c.id).where(*text), near.c.at, near.c.id, begin, number)))

    if len(walk(_Edge(), FREQUENT, RECENT)) == FREQUENT:
        count = len(walk(_Edge(), COUNTED + 1))
        ids = walk(edge, limit) if count > COUNTED else []
        if len(ids) == limit:
            return ids, count
    months = _months(wanted)
    newest = _by_months(wanted, terms, months, _Edge(), COUNTED + 1)
    is_newest = edge.at is None and not edge.up
    return newest[:limit] if is_newest else _by_months(wanted, terms, months, edge, limit), len(newest)


# What is looked for, without words


def _newest(wanted: Filter, edge: _Edge, limit: int, *columns: Any, text: Sequence[Any] = ()) -> Select[Any]:
    """So many ids from the edge on, with `at`, the instant of asking, and further columns of the request."""
    # Few requests are pending, so checking each is faster than reading all invitations of a person.
    if wanted.approver is None or wanted.state == RequestState.PENDING.value:
        at, id = AccessRequest.created_at, AccessRequest.id
        conditions = (*_conditions(wanted), *_asked(wanted), *_days(wanted, at), *text)
        query = select(id.label("id"), at.label("at"), *columns).where(*conditions)
        return _in_order(_after(query, at, id, edge), at, id, edge, limit)
    if len(wanted.approver) > MERGED:
        whose = [_one_of(Invitation.person_id, wanted.approver)]
    else:
        whose = [Invitation.person_id == _written(person) for person in wanted.approver] or [false()]
    parts: list[Select[Any]] = [_asked_of(one, wanted, edge, limit, columns, text) for one in whose]
    if len(parts) == 1:
        return parts[0]
    merged = union(*(select(part.subquery()) for part in parts)).subquery()
    return _in_order(select(merged), merged.c.at, merged.c.id, edge, limit)


def _asked_of(whose: Any, wanted: Filter, edge: _Edge, limit: int, columns: Sequence[Any], text: Sequence[Any]) -> Any:
    """The newest requests that an approver was invited to decide, from the invitations, which have the same order."""
    at, id = Invitation.requested_at, Invitation.request_id
    conditions = [*_conditions(replace(wanted, app=None)), *text]
    # An approver of two steps has two invitations.
    query = select(id.label("id"), at.label("at"), *columns).distinct().where(whose, *_days(wanted, at))
    if wanted.app is not None:
        query = query.where(Invitation.app_id == _written(wanted.app))
    if conditions or columns:
        query = query.join(AccessRequest, AccessRequest.id == id).where(*conditions)
    return _in_order(_after(query, at, id, edge), at, id, edge, limit)


def _after(query: Select[Any], at: Any, id: Any, edge: _Edge) -> Select[Any]:
    return query if edge.at is None else query.where(_beyond(at, id, edge))


def _beyond(at: Any, id: Any, edge: _Edge) -> Any:
    begin = tuple_(literal(edge.at, UTCDateTime()), literal(edge.id, Id))
    return tuple_(at, id) > begin if edge.up else tuple_(at, id) < begin


def _in_order(query: Select[Any], at: Any, id: Any, edge: _Edge, limit: int) -> Select[Any]:
    order = (at, id) if edge.up else (at.desc(), id.desc())
    return query.order_by(*order).limit(limit)


def _conditions(wanted: Filter) -> list[Any]:
    found: list[Any] = []
    if wanted.state:
        found.append(AccessRequest.state == _written(wanted.state))
    if wanted.app is not None:
        found.append(AccessRequest.app_id == _written(wanted.app))
    if wanted.person is not None:
        found.append(_of_people(AccessRequest, wanted.person))
    return found


def _days(wanted: Filter, at: Any) -> list[Any]:
    found: list[Any] = []
    if wanted.since is not None:
        found.append(at >= wanted.since)
    if wanted.until is not None:
        found.append(at < wanted.until)
    return found


def _asked(wanted: Filter) -> list[Any]:
    if wanted.approver is None:
        return []
    asked = select(Invitation.request_id).where(_one_of(Invitation.person_id, wanted.approver))
    return [AccessRequest.id.in_(asked)]


def _of_people(of: Any, people: Sequence[int]) -> Any:
    return or_(_one_of(of.for_person_id, people), _one_of(of.asked_by_id, people))


def _written(value: int | str) -> Any:
    return bindparam(None, value, literal_execute=True, unique=True)


def _one_of(column: Any, ids: Sequence[int]) -> Any:
    return column.in_(bindparam(None, list(ids), expanding=True, literal_execute=True, unique=True)) if ids else false()


# Words


@dataclass(slots=True)
class _Term:
    """One word as typed, its form in messages, and the apps and people whose names contain it."""

    typed: str
    words: list[str]
    apps: list[int] = field(default_factory=list)
    people: list[int] = field(default_factory=list)

    @property
    def key(self) -> str:
        return fold(self.typed)

    @property
    def reference(self) -> str | None:
        """The beginning of a public id that the word may be."""
        upper = self.typed.upper()
        begin = upper.removeprefix("R-")[:12]
        return begin if set(begin) <= set(CROCKFORD) and (upper.startswith("R-") or len(begin) >= 6) else None

    @property
    def is_in_messages_only(self) -> bool:
        return not (self.apps or self.people or self.reference is not None)

    def names(self, of: Any) -> Any:
        """A pattern for names; a single letter has to be the first, because many names contain it."""
        return of.search_text.like(like_name(self.typed), escape="!")

    def is_in(self, search_text: str) -> bool:
        name = search_text.partition("\n")[0]
        return self.key in name if len(self.key) > 1 else name.startswith(self.key)


def has_words(typed: Sequence[str]) -> list[Any]:
    """The conditions that a request has all of these words, for other lists of requests."""
    return [_about(one, AccessRequest, _in_list) for one in _terms(typed)]


def _terms(typed: Sequence[str]) -> list[_Term]:
    """Each word with the apps and people of that name; one statement, for lists that are read through in no time."""
    terms = [_Term(one, words(one)) for one in typed]
    if not terms:
        return []
    rows = db.session.execute(
        union_all(
            select(literal("app").label("what"), App.id, App.search_text).where(
                or_(*(one.names(App) for one in terms))
            ),
            select(literal("person"), Person.id, Person.search_text).where(or_(*(one.names(Person) for one in terms))),
        )
    ).all()
    for term in terms:
        term.apps = [row.id for row in rows if row.what == "app" and term.is_in(row.search_text)]
        term.people = [row.id for row in rows if row.what == "person" and term.is_in(row.search_text)]
    return terms


def _about(term: _Term, of: Any, in_message: Callable[[Any, str], Any]) -> Any:
    """The word is in the message, in a name, or is a request's reference; "R-…" is nothing else."""
    begin = term.reference
    # A range, which the index serves in every collation; LIKE is served in none but "C".
    referred = [] if begin is None else [of.public_id.between(begin, begin.ljust(12, "Z"))]
    if referred and term.typed.upper().startswith("R-"):
        return referred[0]
    message = and_(*(in_message(of, word) for word in term.words)) if term.words else false()
    # The cheapest condition comes first.
    return or_(_one_of(of.app_id, term.apps), _of_people(of, term.people), *referred, message)


def _in_list(of: Any, word: str) -> Any:
    """The condition on each message; words contain no special character of LIKE."""
    return of.words.like(f"% {word}%")


def _in_index(month: Any, of: Any, word: str) -> Any:
    """The condition on the index of words, where each word follows its month."""
    wanted = cast(literal("'", String) + month + literal(f"{word}':*", String), TSQUERY)
    return func.words_vector(of.words, of.created_at).bool_op("@@")(wanted)


def _months(wanted: Filter) -> list[tuple[str, datetime, datetime]]:
    """(name in the index of words, begin, end) of each month with requests that is searched."""
    at = AccessRequest.created_at
    ends: Any = db.session.execute(select(func.min(at), func.max(at))).one()
    first, last = ends
    if first is None:
        return []
    if wanted.since is not None:
        first = max(first, wanted.since)
    if wanted.until is not None:
        last = min(last, wanted.until)
    found, begin = [], datetime(first.year, first.month, 1, tzinfo=UTC)
    while begin <= last:
        end = (begin + timedelta(days=31)).replace(day=1)
        found.append((f"{begin:%Y%m}", begin, end))
        begin = end
    return found


def _by_months(
    wanted: Filter, terms: Sequence[_Term], months: Sequence[tuple[str, datetime, datetime]], edge: _Edge, limit: int
) -> list[int]:
    """So many ids from the edge on. Stops searching months once there are enough."""
    if edge.at is not None:
        months = [one for one in months if (one[2] > edge.at if edge.up else one[1] <= edge.at)]
    if not months:
        return []
    instant = UTCDateTime()
    rows = values(column("name", String), column("begin", instant), column("end", instant), name="month").data(months)
    # Ordered here, so that the rows of a month, which follow each other, are all that is sorted at a time.
    month = select(rows).order_by(rows.c.begin if edge.up else rows.c.begin.desc()).subquery("month")
    at, id = AccessRequest.created_at, AccessRequest.id
    columns: tuple[Any, ...] = (id.label("id"), at.label("at"))
    conditions = _conditions(wanted)
    # The index of words knows the month; all others have to be told, and are not asked for nothing.
    if conditions or not any(one.is_in_messages_only for one in terms):
        conditions += [at >= month.c.begin, at < month.c.end]
    matching = select(*columns).where(
        *conditions, *_days(wanted, at), *_asked(wanted),
        *(_about(one, AccessRequest, partial(_in_index, month.c.name)) for one in terms),
    )  # fmt: skip
    if edge.at is not None:
        # All other months are beyond it; said of them, too, each would read an index from the edge to its end.
        matching = matching.where(or_(month.c.name != f"{edge.at:%Y%m}", _beyond(at, id, edge)))
    found = _in_order(matching, at, id, edge, limit).lateral("found")
    order = [month.c.begin, found.c.at, found.c.id]
    query = select(found.c.id).select_from(month.join(found, true()))
    return list(db.session.scalars(query.order_by(*(one if edge.up else one.desc() for one in order)).limit(limit)))
