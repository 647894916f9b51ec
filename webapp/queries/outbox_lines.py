"""The outbox as admins see it: what is queued, retried, sent or failed, and whether something is in trouble."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import AccessRequest, App, Delivery, Endpoint, Grant, Heartbeat, Notice, Person, db_now
from webapp.notices import TRIES, NoticeKind, kind_of
from webapp.queries import stops
from webapp.queries.principals import people_called
from webapp.queries.stops import Stop
from webapp.text import like_exactly, reference

PAGE = 50
COUNTED = 1000
DAY = 24 * 3600
WORKER_SECONDS = 60
LATE_SECONDS = 300

_OPEN = Notice.state.in_(("due", "leased"))
STATES: dict[str, Any] = {
    "": True,
    "due": and_(_OPEN, Notice.error == ""),
    "trying": and_(_OPEN, Notice.error != ""),
    # Literal comparisons, so that the partial indices are used.
    "dead": Notice.state == "dead",
    "sent": Notice.state == "sent",
    "obsolete": Notice.state == "obsolete",
    "held": Notice.state == "held",
}


@dataclass(frozen=True, slots=True)
class EmailLine:
    """One line of the email log."""

    id: int
    public_id: str
    kind: str
    about: str
    person: str  # the recipient's public id, "" for an address
    name: str
    address: str
    state: str
    why: str
    at: datetime
    request: str
    attempts: int
    created_at: datetime

    @property
    def to(self) -> str:
        return f"{self.name}, {self.address}" if self.person else self.address

    @property
    def is_again(self) -> bool:
        """`at` is the next attempt."""
        return self.state == "trying"

    @property
    def waits(self) -> bool:
        """Whether it can be tried now."""
        return self.state in ("due", "trying")


@dataclass(frozen=True, slots=True)
class EmailPage:
    """`count` is of all that match; `counts` are of the states with tabs; `newer` and `older` are the keys of pages."""

    items: list[EmailLine]
    count: int
    counts: dict[str, int]
    newer: int
    older: int


def matching(
    state: str,
    words: Sequence[str],
    *,
    kind: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    person: int | None = None,
    request: int | None = None,
) -> Select[Any]:
    """Those in `state` (of STATES) and of `kind`, made from `since` up to `until`, to this person and about this
    request (ids), whose recipient's name or address has all the words."""
    query = _rows(state, words)
    if kind:
        query = query.where(Notice.kind == kind)
    if person is not None:
        query = query.where(Notice.person_id == person)
    if request is not None:
        query = query.where(Notice.request_id == request)
    if since is not None:
        query = query.where(Notice.created_at >= since)
    if until is not None:
        query = query.where(Notice.created_at < until)
    return query


def ids(query: Select[Any]) -> Select[Any]:
    """The ids of what matches."""
    return query.with_only_columns(Notice.id)


def page(query: Select[Any], state: str, *, before: int = 0, after: int = 0) -> EmailPage:  # fmt: skip
    """A page of what matches, newest first."""
    counts = _counts(query, state)
    if after and not before:
        rows = list(db.session.execute(query.where(Notice.id > after).order_by(Notice.id).limit(PAGE + 1)))
        more, rows = len(rows) > PAGE, rows[:PAGE][::-1]
        newer, older = (rows[0].id if more else 0), (rows[-1].id if rows else 0)
    else:
        if before:
            query = query.where(Notice.id < before)
        rows = list(db.session.execute(query.order_by(Notice.id.desc()).limit(PAGE + 1)))
        more, rows = len(rows) > PAGE, rows[:PAGE]
        newer, older = (rows[0].id if before and rows else 0), (rows[-1].id if more else 0)
    return EmailPage([_mail(row) for row in rows], counts.pop("here"), counts, newer, older)


def latest(query: Select[Any], *, before: int | None = None, limit: int) -> list[EmailLine]:
    """Up to `limit` of what matches, newest first, from the one before this id on; one statement."""
    if before is not None:
        query = query.where(Notice.id < before)
    return [_mail(row) for row in db.session.execute(query.order_by(Notice.id.desc()).limit(limit))]


def one(public_id: str) -> EmailLine | None:
    """The email with that public id."""
    row = db.session.execute(_ROWS.where(Notice.public_id == public_id)).one_or_none()
    return None if row is None else _mail(row)


_GRANTED = aliased(App)
_ASKER = aliased(Person)
_COLUMNS: tuple[Any, ...] = (
    Notice.id, Notice.public_id, Notice.kind, Notice.role, Notice.address, Notice.state, Notice.due_at,
    Notice.error, Notice.tries, Notice.created_at, Notice.settled_at, Notice.data_json, Person.name, Person.email,
    Person.public_id.label("person"),
    _ASKER.name.label("asker"), AccessRequest.public_id.label("request"),
    func.coalesce(App.name, _GRANTED.name).label("app"),
)  # fmt: skip
_ROWS: Select[Any] = (
    select(*_COLUMNS)
    .outerjoin(Person, Person.id == Notice.person_id)
    .outerjoin(AccessRequest, AccessRequest.id == Notice.request_id)
    .outerjoin(App, App.id == AccessRequest.app_id)
    .outerjoin(_ASKER, _ASKER.id == AccessRequest.for_person_id)
    .outerjoin(Grant, Grant.id == Notice.grant_id)
    .outerjoin(_GRANTED, _GRANTED.id == Grant.app_id)
)


def _rows(state: str, words: Sequence[str]) -> Select[Any]:
    query = _ROWS if not state else _ROWS.where(STATES[state])
    if words:
        addressed = and_(*(Notice.address.ilike(like_exactly(word), escape="!") for word in words))
        query = query.where(or_(Notice.person_id.in_(people_called(words)), addressed))
    return query


def _counts(query: Select[Any], state: str) -> dict[str, int]:
    """Counts this list ("here") and, regardless of the search, the states with tabs; one statement."""

    def up_to(part: Any) -> Any:
        return select(func.count()).select_from(part.limit(COUNTED + 1).subquery()).scalar_subquery()

    row = db.session.execute(
        select(
            up_to(query.with_only_columns(Notice.id)).label("here"),
            *(up_to(select(Notice.id).where(STATES[name])).label(name) for name in ("due", "trying", "dead", "held")),
        )
    ).one()
    return dict(row._mapping)


def _mail(row: Any) -> EmailLine:
    state = row.state
    if state == "leased":
        state = "sending"
    elif state == "due" and row.error:
        state = "trying"
    about = kind_of(row.kind).about.format(
        asker=row.asker or "", app=row.app or "", reference=reference(row.request or "")
    )
    if row.kind == NoticeKind.APPROVAL_ASKED and '"again": true' in row.data_json:
        about = f"Reminder: {about}"
    at = row.due_at if state in ("due", "trying", "sending") else row.settled_at or row.created_at
    return EmailLine(
        row.id, row.public_id, row.kind, about, row.person or "", row.name or "", row.email or row.address, state,
        _why(row, state), at, row.request or "", row.tries, row.created_at,
    )  # fmt: skip


def _why(row: Any, state: str) -> str:
    if state == "sending":
        return "Sending now."
    if state == "due":
        return "Will be sent shortly."
    if state == "trying":
        return f"{_sentence(row.error)}{f' Attempt {row.tries} of {TRIES}.' if row.tries else ''}"
    if state == "dead":
        tries = f" Failed after {row.tries} attempts." if row.tries > 1 else " Permanent error."
        return _sentence(row.error) + tries
    if state == "sent":
        return "The mail server accepted it." + (f" Sent after {row.tries} attempts." if row.tries > 1 else "")
    return row.error or "No longer relevant."


def _sentence(error: str) -> str:
    return error if error.endswith((".", "!", "?")) else f"{error}."


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the banner warns of; ages in seconds. `worker` is None before any worker has run, `hook_worker` before any
    of webhooks has. `hooks_late`: of the oldest delivery to a webhook or chat channel that is due."""

    worker: float | None
    hook_worker: float | None
    hooks_late: float
    hooks_held: int
    late: float
    dead: int
    held: int
    stop: Stop | None
    stopped: float

    @property
    def worker_missing(self) -> bool:
        return self.worker is None or self.worker > WORKER_SECONDS

    @property
    def hook_worker_missing(self) -> bool:
        """Whether something is due for webhooks or chat, and nobody is there who sends it."""
        return self.hooks_late > 0 and (self.hook_worker is None or self.hook_worker > WORKER_SECONDS)

    @property
    def is_late(self) -> bool:
        return self.late > LATE_SECONDS and self.stop is None


_TROUBLE = select(
    db_now().label("now"),
    select(func.max(Heartbeat.at)).where(Heartbeat.name.not_like("webhooks@%")).scalar_subquery().label("beat"),
    select(func.max(Heartbeat.at)).where(Heartbeat.name.like("webhooks@%")).scalar_subquery().label("hook_beat"),
    select(func.min(Delivery.due_at))
    .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
    .where(Delivery.state == "due", Delivery.due_at <= db_now(), Endpoint.paused_at.is_(None))
    .scalar_subquery()
    .label("hook_due"),
    select(func.count())
    .select_from(select(Delivery.id).where(Delivery.state == "held").limit(COUNTED + 1).subquery())
    .scalar_subquery()
    .label("hooks_held"),
    select(func.min(Notice.due_at))
    .where(Notice.state == "due", Notice.due_at <= db_now())
    .scalar_subquery()
    .label("due"),
    select(func.count())
    .select_from(
        select(Notice.id).where(Notice.state == "dead", Notice.settled_at > db_now(-DAY)).limit(COUNTED + 1).subquery()
    )
    .scalar_subquery()
    .label("dead"),
    select(func.count())
    .select_from(select(Notice.id).where(Notice.state == "held").limit(COUNTED + 1).subquery())
    .scalar_subquery()
    .label("held"),
    *(select(column).scalar_subquery().label(f"stop_{number}") for number, column in enumerate(stops.COLUMNS)),
)


def trouble() -> Trouble:
    """Reads it in one statement, by small indices."""
    row = db.session.execute(_TROUBLE).one()
    stop = stops.read(*row[-len(stops.COLUMNS) :])
    return Trouble(
        worker=(row.now - row.beat).total_seconds() if row.beat else None,
        hook_worker=(row.now - row.hook_beat).total_seconds() if row.hook_beat else None,
        hooks_late=max((row.now - row.hook_due).total_seconds(), 0.001) if row.hook_due else 0,
        hooks_held=row.hooks_held,
        late=(row.now - row.due).total_seconds() if row.due else 0,
        dead=row.dead,
        held=row.held,
        stop=stop,
        stopped=(row.now - stop.since).total_seconds() if stop else 0,
    )
