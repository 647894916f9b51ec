"""The entries of the audit log: filtered, paged by number, with the names that their ids stand for."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, literal, select, text, tuple_, union_all

from webapp.extensions import db
from webapp.models import (
    AccessRequest,
    ApiToken,
    App,
    Directory,
    Endpoint,
    EntitlementField,
    Event,
    Group,
    Organisation,
    Person,
    PolicyRevision,
    Provider,
)
from webapp.models.events import BY_TOKEN, VERIFIED
from webapp.queries.chains import Who
from webapp.record.events import EventKind
from webapp.text import sha256
from webapp.workflow.policy import Policy
from webapp.workflow.policy_codec import loads

PAGE = 50
COUNTED = 1000
BATCH = 500


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions of a search; None and () mean any. `who` are the actors, `person` those whom the entries are about
    (ids), `token` the one by which it was done; `since` is inclusive, `until` exclusive, `beyond` the number of the
    entry before the first."""

    who: tuple[int, ...] | None = None
    person: tuple[int, ...] | None = None
    app: int | None = None
    kinds: tuple[EventKind, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    request: int | None = None
    token: int | None = None
    beyond: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, with its facts parsed from JSON."""

    seq: int
    at: datetime
    kind: str
    actor: int | None
    request: int | None
    app: int | None
    person: int | None
    facts: dict[str, Any]
    body: str
    token: int | None = None


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """The request that an entry is about."""

    public_id: str
    app: int
    person: int
    policy: Policy


@dataclass(slots=True)
class Names:
    """The names that the ids of some entries stand for; `keys` are their public ids: ("person", id) → public id, and so
    for groups, apps, fields and tokens."""

    people: dict[int, Who] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=dict)
    apps: dict[int, str] = field(default_factory=dict)
    fields: dict[int, str] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    endpoints: dict[int, str] = field(default_factory=dict)
    providers: dict[int, str] = field(default_factory=dict)
    directories: dict[int, str] = field(default_factory=dict)
    # The tokens that are of directories.
    pushers: set[int] = field(default_factory=set)
    requests: dict[int, EntryRequest] = field(default_factory=dict)
    rules: dict[tuple[int, int], Policy] = field(default_factory=dict)
    keys: dict[tuple[str, int], str] = field(default_factory=dict)
    # SHA-256 → text, of texts that have not changed since: the record has only their hashes.
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EntryPage:
    """`count` is of all that match, at most COUNTED + 1, which means more than COUNTED; `newer` and `older` are the
    entry numbers where the neighbouring pages start, 0 for none."""

    lines: list[Entry]
    names: Names
    count: int
    newer: int
    older: int


def verified() -> tuple[datetime, bool, int] | None:
    """When an admin last checked the record, whether it was intact, and how many entries could not be checked."""
    # The same text as in the partial index; with a bound parameter the database would not use it.
    query = select(Event.at, Event.body).where(text(VERIFIED)).order_by(Event.seq.desc()).limit(1)
    row = db.session.execute(query).first()
    if row is None:
        return None
    facts = json.loads(row.body)["facts"]
    return row.at, facts["holds"], facts.get("unchecked", 0)


_COLUMNS: tuple[Any, ...] = (
    Event.seq, Event.at, Event.kind, Event.actor_id, Event.request_id, Event.app_id, Event.person_id, Event.body,
    Event.token_id,
)  # fmt: skip
_LINES: Select[Any] = select(*_COLUMNS)


def _matching(wanted: Filter) -> Select[Any]:
    query = _LINES
    if wanted.who is not None:
        query = query.where(Event.actor_id.in_(wanted.who))
    if wanted.person is not None:
        query = query.where(Event.person_id.in_(wanted.person))
    if wanted.app is not None:
        query = query.where(Event.app_id == wanted.app)
    if wanted.request is not None:
        query = query.where(Event.request_id == wanted.request)
    if wanted.token is not None:
        # The same text as in the partial index.
        query = query.where(text(BY_TOKEN), Event.token_id == wanted.token)
    if wanted.beyond is not None:
        query = query.where(Event.seq > wanted.beyond)
    if wanted.kinds:
        query = query.where(Event.kind.in_([kind.value for kind in wanted.kinds]))
    if wanted.since is not None:
        query = query.where(Event.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(Event.at < wanted.until)
    return query


def page(wanted: Filter, *, before: int = 0, after: int = 0) -> EntryPage:
    """Newest first; `before` or `after` is the entry number at the edge of the page that was shown."""
    query = _matching(wanted)
    count = db.session.scalar(
        select(func.count()).select_from(query.with_only_columns(Event.seq).limit(COUNTED + 1).subquery())
    )
    if after and not before:
        rows = db.session.execute(query.where(Event.seq > after).order_by(Event.seq).limit(PAGE + 1)).all()
        more, rows = len(rows) > PAGE, rows[:PAGE][::-1]
        newer, older = (rows[0].seq if more else 0), (rows[-1].seq if rows else 0)
    else:
        if before:
            query = query.where(Event.seq < before)
        rows = db.session.execute(query.order_by(Event.seq.desc()).limit(PAGE + 1)).all()
        more, rows = len(rows) > PAGE, rows[:PAGE]
        newer, older = (rows[0].seq if before and rows else 0), (rows[-1].seq if more else 0)
    lines = [_line(row) for row in rows]
    return EntryPage(lines, names(lines), count or 0, newer, older)


def latest(wanted: Filter, *, before: int | None = None, limit: int) -> list[Entry]:
    """Up to `limit` entries, newest first, from the one before this number on."""
    query = _matching(wanted)
    if before is not None:
        query = query.where(Event.seq < before)
    return [_line(row) for row in db.session.execute(query.order_by(Event.seq.desc()).limit(limit))]


def batches(wanted: Filter) -> Iterator[tuple[list[Entry], Names]]:
    """All that match, newest first, a few hundred at a time. Each batch is a transaction of its own, so that a slow
    download holds no lock. Entries never change, so the batches fit together."""
    before = None
    while True:
        lines = latest(wanted, before=before, limit=BATCH)
        found = names(lines)
        db.session.expunge_all()
        db.session.rollback()
        if lines:
            yield lines, found
        if len(lines) < BATCH:
            return
        before = lines[-1].seq


def _line(row: Any) -> Entry:
    facts = json.loads(row.body)["facts"]
    return Entry(row.seq, row.at, row.kind, row.actor_id, row.request_id, row.app_id, row.person_id, facts, row.body,
                 row.token_id)  # fmt: skip


def names(lines: Sequence[Entry]) -> Names:
    """Loads them in three statements for any number of entries."""
    found = Names()
    _add_requests(found, {line.request for line in lines if line.request is not None})
    _add_rules(found, lines)
    people = {one for line in lines for one in (line.actor, line.person) if one is not None}
    people |= {one.person for one in found.requests.values()}
    apps = {line.app for line in lines if line.app is not None} | {one.app for one in found.requests.values()}
    apps |= {line.facts["source"] for line in lines if isinstance(line.facts.get("source"), int)}
    groups: set[int] = set()
    for line in lines:
        _gather(line.facts, people, groups)
    for rule in found.rules.values():
        people |= {step.approver.person for step in rule.steps if step.approver.person is not None}
        groups |= {step.approver.group for step in rule.steps if step.approver.group is not None}
    fields = {line.facts["field"] for line in lines if isinstance(line.facts.get("field"), int)}
    tokens = {line.token for line in lines if line.token is not None}
    tokens |= {line.facts["api_token"] for line in lines if isinstance(line.facts.get("api_token"), int)}
    endpoints = {line.facts["endpoint"] for line in lines if isinstance(line.facts.get("endpoint"), int)}
    providers = {line.facts["provider"] for line in lines if isinstance(line.facts.get("provider"), int)}
    directories = {line.facts["directory"] for line in lines if isinstance(line.facts.get("directory"), int)}
    _add_names(found, people, groups, apps, fields, tokens, endpoints, providers, directories)
    return found


def _gather(facts: Any, people: set[int], groups: set[int]) -> None:
    """Collects the people and groups that an entry's facts name."""
    if isinstance(facts, list):
        for one in facts:
            _gather(one, people, groups)
        return
    if not isinstance(facts, dict):
        return
    for key, value in facts.items():
        if key in ("person", "by") and isinstance(value, int):
            people.add(value)
        elif key == "group" and isinstance(value, int):
            groups.add(value)
        elif key in ("asked", "asked_twice", "emergency", "members") and isinstance(value, list):
            people.update(one for one in value if isinstance(one, int))
        elif key == "audience" and isinstance(value, list):
            groups.update(one for one in value if isinstance(one, int))
        else:
            _gather(value, people, groups)


def _add_requests(found: Names, ids: Iterable[int]) -> None:
    rows = db.session.execute(
        select(AccessRequest.id, AccessRequest.public_id, AccessRequest.app_id, AccessRequest.for_person_id,
               AccessRequest.values_json, PolicyRevision.body)
        .join(PolicyRevision, PolicyRevision.id == AccessRequest.policy_revision_id)
        .where(AccessRequest.id.in_(ids))
    )  # fmt: skip
    for row in rows:
        found.requests[row.id] = EntryRequest(row.public_id, row.app_id, row.for_person_id, loads(row.body))
        _add_texts(found, *(str(one["value"]) for one in json.loads(row.values_json).values()))


def _add_rules(found: Names, lines: Sequence[Entry]) -> None:
    """Loads both revisions of each saved rule, so that the changes can be shown."""
    wanted = {
        (line.app, line.facts[side]["number"])
        for line in lines
        if line.kind == EventKind.POLICY_SAVED
        for side in ("before", "after")
        if line.app is not None and line.facts.get(side)
    }
    rows = db.session.execute(
        select(PolicyRevision.app_id, PolicyRevision.number, PolicyRevision.body).where(
            tuple_(PolicyRevision.app_id, PolicyRevision.number).in_(wanted)
        )
    )
    for row in rows:
        found.rules[row.app_id, row.number] = loads(row.body)


def _add_names(
    found: Names, people: Iterable[int], groups: Iterable[int], apps: Iterable[int], fields: Iterable[int],
    tokens: Iterable[int], endpoints: Iterable[int], providers: Iterable[int], directories: Iterable[int],
) -> None:  # fmt: skip
    def row_of(what: str, row: Any, wanted: Iterable[int], *texts: Any) -> Select[Any]:
        """Selects its name and up to four more texts of it."""
        more = [*texts, *[literal("")] * (4 - len(texts))]
        columns = [column.label(f"text{number}") for number, column in enumerate(more)]
        return select(literal(what).label("what"), row.id, row.public_id, row.name, *columns).where(row.id.in_(wanted))

    named = EntitlementField
    rows: Any = db.session.execute(
        union_all(
            row_of("person", Person, people, Person.email, Person.about, Person.department),
            row_of("group", Group, groups),
            row_of("app", App, apps, App.description, App.category, App.launch_url, App.note),
            row_of("field", named, fields, named.help, named.options, func.coalesce(named.default, "")),
            row_of("token", ApiToken, tokens, case((ApiToken.directory_id.is_not(None), "directory"), else_="")),
            row_of("directory", Directory, directories),
            row_of("endpoint", Endpoint, endpoints, Endpoint.host),
            row_of("provider", Provider, providers),
            select(literal("organisation"), Organisation.id, literal(""), Organisation.name, Organisation.sender,
                   *[literal("")] * 3),
        )
    )  # fmt: skip
    for row in rows:
        found.keys[row.what, row.id] = row.public_id
        _add_texts(found, row.name, row.text0, row.text1, row.text2, row.text3)
        if row.what == "person":
            found.people[row.id] = Who(row.id, row.public_id, row.name)
        elif row.what == "group":
            found.groups[row.id] = row.name
        elif row.what == "field":
            found.fields[row.id] = row.name
        elif row.what == "endpoint":
            found.endpoints[row.id] = row.name
        elif row.what == "provider":
            found.providers[row.id] = row.name
        elif row.what == "directory":
            found.directories[row.id] = row.name
        elif row.what == "token":
            found.tokens[row.id] = row.name
            if row.text0:
                found.pushers.add(row.id)
        elif row.what == "app":
            found.apps[row.id] = row.name


def _add_texts(found: Names, *texts: str) -> None:
    found.texts |= {sha256(one): one for one in texts}
