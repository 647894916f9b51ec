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
from webapp.record import anchors, entries
from webapp.record import audit as record
from webapp.record.entries import Entry
from webapp.record.events import EventKind
from webapp.record.sentences import GROUPS, EntryText, describe, kinds_in
from webapp.text import reference
from webapp.times import utc
from webapp.web import htmx
from webapp.web.presentation import times
from webapp.web.reauth import require_recent_password
from webapp.web.signin import admins, me, recheck_right
from webapp.wording import count

from . import filters, tables
from .views import bp, commit, fragment, go

COLUMNS = ("Entry", "Time (UTC)", "Who", "What happened", "Before and after", "Kind", "App", "Person", "Request",
           "Record")  # fmt: skip
# The button checks so many entries, because a person waits for it.
BY_BUTTON = 100_000


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """The filters of the address."""

    who: str
    person: str
    app: str
    what: str
    since: date | None
    until: date | None

    def at(self, **key: object) -> str:
        return filters.query(asdict(self) | key)

    def filter(self) -> entries.Filter:
        """Resolve the search words to ids. Words that match nothing give an empty result."""
        app = app_list.app_id(self.app) if self.app else None
        return entries.Filter(
            who=people_called(self.who.split()[:8]) if self.who else None,
            person=people_called(self.person.split()[:8]) if self.person else None,
            app=app if app is not None or not self.app else 0,
            kinds=kinds_in(self.what),
            since=filters.begin(self.since),
            until=filters.end(self.until),
        )


def _search() -> AuditSearch:
    return AuditSearch(
        who=filters.word("who"),
        person=filters.word("person"),
        app=filters.word("app"),
        what=filters.one_of("what", tuple(GROUPS)),
        since=filters.day("since"),
        until=filters.day("until"),
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
    values |= {"apps": app_list.app_names(), "groups": list(GROUPS.items()), "verified": entries.verified()}
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
        known, removed, unusable = _anchors()
        report = record.examine(anchors.compare(known, when), newest=BY_BUTTON)
        told = anchors.compared(known, removed, report, when)
    recheck_right()
    looked_at = report.intact + report.not_checked
    record.record(EventKind.AUDIT_VERIFIED, at=clock.now(), actor=actor, lines=report.intact,
                  holds=report.broken is None, broken=report.broken.seq if report.broken else None,
                  newest=looked_at == BY_BUTTON, unchecked=report.not_checked)  # fmt: skip
    commit()
    if report.broken is None:
        message = [_intact(report), report.about_removed_keys(), unusable or told]
        look = "error" if unusable else "wait" if report.unchecked else "done"
    else:
        message = ["The audit log has been altered.", report.broken.sentence, _intact_before(report.intact)]
        message += [anchors.AFTER_A_RESTORE if report.broken.by_anchor else "", report.about_removed_keys()]
        message.append("Keep a copy of the database and contact your security team.")
        look = "error"
    flash(" ".join(filter(None, message)), look)
    return go(url_for("admin.audit"))


def _intact(report: record.Report) -> str:
    if report.unchecked:
        return f"{count(report.intact, 'entry is', 'entries are')} intact, {report.not_checked:,} cannot be checked."
    if report.intact == BY_BUTTON:
        return (
            f"The newest {report.intact:,} entries are intact. To check the whole log, run “flask --app wsgi audit "
            "verify” on the server."
        )
    return "The entry is intact." if report.intact == 1 else f"All {report.intact:,} entries are intact."


def _intact_before(number: int) -> str:
    if not number:
        return "No intact entry before it."
    return f"{count(number, 'entry before it is', 'entries before it are')} intact."


def _anchors() -> tuple[list[anchors.Anchor], list[anchors.Anchor], str]:
    """The anchors on this machine and those whose key was removed, or a sentence about what is wrong with the file."""
    file = anchors.path()
    try:
        return (*(anchors.usable(file) if file.exists() else ([], [])), "")
    except (anchors.Bad, OSError) as error:
        return [], [], f"The anchor file cannot be read. {error}"


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
    actor = names.people.get(line.actor or 0)
    person = names.people.get(line.person or 0)
    app = line.app if line.app is not None else asked.app if asked else 0
    return [
        str(line.seq),
        utc(line.at),
        "Countersign" if line.actor is None else actor.name if actor else "",
        told.sentence.striptags(),
        "; ".join(f"{one.label}: {f'{one.before} → ' if one.before else ''}{one.after}" for one in told.changes),
        line.kind,
        names.apps.get(app, ""),
        person.name if person else "",
        reference(asked.public_id) if asked else "",
        line.body,
    ]
