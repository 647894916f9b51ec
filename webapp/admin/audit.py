"""The audit log: list, filter, verify, and export as a table."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from itertools import groupby
from typing import Any

from flask import Response, flash, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.database.transactions import choose, reading
from webapp.queries import app_list
from webapp.queries.principals import people_called
from webapp.queries.tokens import one as token_called
from webapp.record import entries, verification
from webapp.record.entries import Entry
from webapp.record.entry_words import Words
from webapp.record.sentences import GROUPS, EntryText, describe, kinds_in
from webapp.text import reference
from webapp.times import utc
from webapp.web import htmx
from webapp.web.presentation import times
from webapp.web.reauth import require_recent_password
from webapp.web.signin import admins, me, recheck_right

from . import filters, tables
from .views import bp, commit, fragment, go

COLUMNS = ("Entry", "Time (UTC)", "Who", "What happened", "Before and after", "Kind", "App", "Person", "Request",
           "Record")  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """The filters of the address."""

    who: str
    person: str
    app: str
    what: str
    since: date | None
    until: date | None
    token: str

    def at(self, **key: object) -> str:
        return filters.query(asdict(self) | key)

    def filter(self) -> entries.Filter:
        """Resolve the search words to ids. Words that match nothing give an empty result."""
        app = app_list.app_id(self.app) if self.app else None
        token = token_called(self.token) if self.token else None
        return entries.Filter(
            who=people_called(self.who.split()[:8]) if self.who else None,
            person=people_called(self.person.split()[:8]) if self.person else None,
            app=app if app is not None or not self.app else 0,
            kinds=kinds_in(self.what),
            since=filters.begin(self.since),
            until=filters.end(self.until),
            token=token.id if token is not None else 0 if self.token else None,
        )


def _search() -> AuditSearch:
    return AuditSearch(
        who=filters.word("who"),
        person=filters.word("person"),
        app=filters.word("app"),
        what=filters.one_of("what", tuple(GROUPS)),
        since=filters.day("since"),
        until=filters.day("until"),
        token=filters.word("token"),
    )


@bp.get("/audit")
@admins
def audit() -> Response:
    """The entries, newest first."""
    search = _search()
    page = entries.page(search.filter(), before=filters.key("before"), after=filters.key("after"))
    days = [
        (day, [(line, describe(line, page.names, times().due)) for line in lines])
        for day, lines in groupby(page.lines, key=_day)
    ]
    values: dict[str, Any] = {"page": page, "days": days, "search": search}
    if htmx.is_fragment():
        return fragment("admin/_audit.html", **values)
    token = token_called(search.token) if search.token else None
    values |= {
        "token": token,
        "apps": app_list.app_names(),
        "groups": list(GROUPS.items()),
        "verified": entries.verified(),
    }
    return fragment("admin/audit.html", **values)


def _day(line: Entry) -> str:
    return times().day(line.at)


@bp.post("/audit/verification")
@admins
def verify_audit() -> AnyResponse:
    """Verify the log and report whether it is intact; the verification is recorded, too. Of a long log only the newest
    entries are checked, in a second or two; the command `audit verify` checks all of it."""
    actor, when = me(), times().full
    with reading():  # a million entries take a while, and no other writer should wait
        found = verification.check(when=when)
    recheck_right()
    verification.note(found, actor=actor, now=clock.now())
    commit()
    look = "error" if found.unusable or not found.is_intact else "wait" if found.report.unchecked else "done"
    flash(found.sentences, look)
    return go(url_for("admin.audit"))


@bp.get("/audit.csv")
@admins
@require_recent_password
def audit_csv() -> Response:
    """Export the matching entries, newest first, streamed from the database."""
    return tables.download("audit", _table(_search().filter()))


def _table(wanted: entries.Filter) -> Iterator[str]:
    choose("read")
    yield tables.head(COLUMNS)
    for lines, names in entries.batches(wanted):
        yield tables.written([_row(line, describe(line, names), names) for line in lines])


def _row(line: Entry, told: EntryText, names: entries.Names) -> list[str]:
    asked = names.requests.get(line.request or 0)
    person = names.people.get(line.person or 0)
    app = line.app if line.app is not None else asked.app if asked else 0
    return [
        str(line.seq),
        utc(line.at),
        Words(line, names, utc).who().striptags(),
        told.sentence.striptags(),
        "; ".join(f"{one.label}: {f'{one.before} → ' if one.before else ''}{one.after}" for one in told.changes),
        line.kind,
        names.apps.get(app, ""),
        person.name if person else "",
        reference(asked.public_id) if asked else "",
        line.body,
    ]
