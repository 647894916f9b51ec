"""The list of all requests at a thousand and at a million, and the audit record's export; PostgreSQL only.

Both companies have the same 20,000 people and 200 apps, and what is looked for fills a page in both, so that only the
number of requests differs. The rows are made by the database itself: a million come and go in two minutes.
"""

import socket
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import psutil
from sqlalchemy import Engine, event, text

from bench import data
from bench.client import Client
from bench.stack import Site, serve
from bench.web import Task, Timing, interleaved
from webapp import clock
from webapp.database.transactions import choose
from webapp.extensions import db, keyring
from webapp.models import Person
from webapp.queries import request_search
from webapp.queries.request_search import Filter
from webapp.record import audit
from webapp.text import public_id, search_text, sort_key

CROWD = 20_000
SCARCE = 60  # fills a page and needs a second one

# What the requests of the big company are like, by their number `n`, oldest first, of :number in all. `scarce` are
# sixty of them, evenly spread.
_REQUESTS = """
INSERT INTO requests (id, public_id, app_id, asked_by_id, for_person_id, policy_revision_id, message, words, state,
                      version, created_at, settled_at, settled_note, values_json)
SELECT n, upper(substr(md5('request' || n), 1, 12)), a.id, p.person, p.person, a.policy_revision_id, m.message,
       ' ' || m.message, s.state, 2, t.at, CASE WHEN s.state <> 'pending' THEN t.at + interval '5 hours' END, '', '{}'
FROM (SELECT n, n % (:number / :scarce) = 0 AS scarce FROM generate_series(1, :number) AS n) AS numbers
CROSS JOIN LATERAL (SELECT CASE WHEN scarce THEN :rita ELSE :first + n % :crowd END AS person) AS p
JOIN apps AS a ON a.id = CASE WHEN n % (:number / :scarce) = 1 THEN :scarce_app
                              WHEN n % 10 = 2 THEN :common_app ELSE :first_app + n * 7 % :apps END
CROSS JOIN LATERAL (SELECT CASE WHEN n > :number - greatest(:scarce, :number / 500) THEN 'pending'
                                WHEN n % 100 < 70 THEN 'approved' WHEN n % 100 < 85 THEN 'denied'
                                WHEN n % 100 < 93 THEN 'expired' ELSE 'cancelled' END AS state) AS s
CROSS JOIN LATERAL (SELECT CAST(:now AS timestamptz) - interval '3 years' * (:number - n) / :number AS at) AS t
CROSS JOIN LATERAL (SELECT concat_ws(' ', 'i prepare the', CASE WHEN n % 2 = 0 THEN 'figures' ELSE 'texts' END,
    CASE WHEN n % 20 = 0 THEN 'quarterly' END, CASE WHEN n % 200 = 0 THEN 'abroad' END,
    CASE WHEN n % (:number / :scarce) = 2 THEN 'telescope' END, CASE WHEN n < :number / 2 THEN 'formerly' END,
    'of region', 'r' || n % 50, 'case', 'c' || n) AS message) AS m
"""

# Ana is asked about every other request, `scarce` ones go to Ben, the others to two hundred of the crowd.
_STEPS = """
INSERT INTO steps (id, request_id, position, needed, state, approver_person_id, days, tier, opened_at, due_at,
                   settled_at)
SELECT r.id, r.id, 0, 1,
       CASE r.state WHEN 'pending' THEN 'open' WHEN 'cancelled' THEN 'skipped' ELSE r.state END,
       CASE WHEN r.id % (:number / :scarce) = 3 THEN :ben WHEN r.id % 2 = 0 THEN :ana ELSE :first + r.id % 200 END,
       3, 'approver', r.created_at, r.created_at + interval '3 days', r.settled_at
FROM requests AS r
"""
_INVITATIONS = """
INSERT INTO invitations (id, public_id, step_id, request_id, app_id, requested_at, person_id, round, key_id, live,
                         wrong_codes, codes_day, codes_mailed, created_at)
SELECT s.id, upper(substr(md5('invitation' || s.id), 1, 12)), s.id, r.id, r.app_id, s.opened_at, s.approver_person_id,
       1, :key, s.state = 'open', 0, '', 0, s.opened_at
FROM steps AS s
JOIN requests AS r ON r.id = s.request_id
"""
_DECISIONS = """
INSERT INTO decisions (step_id, person_id, verdict, channel, comment, set_json, created_at)
SELECT id, approver_person_id, state, 'code', '', '{}', settled_at FROM steps WHERE state IN ('approved', 'denied')
"""


def fill(company: data.Company, number: int) -> None:
    """`number` requests with their steps, invitations and decisions, into a company that has none."""
    choose("write")
    now = clock.now()
    rows = [
        {"public_id": public_id(), "email": f"{n}@crowd.example", "name": f"Crowd {n:05}", "created_at": now,
         "sort_key": sort_key(f"Crowd {n:05}"), "search_text": search_text(f"Crowd {n:05}", f"{n}@crowd.example")}
        for n in range(CROWD)
    ]  # fmt: skip
    first = data.add(Person, rows)[0]
    apps = db.session.execute(text("SELECT min(id) AS first, count(*) AS number FROM apps")).one()
    ben = db.session.query(Person).filter_by(name="Ben Okafor").one().id
    values = {
        "number": number, "scarce": SCARCE, "crowd": CROWD, "first": first, "rita": company.rita, "ana": company.ana,
        "ben": ben, "first_app": apps.first, "apps": apps.number - 2, "scarce_app": apps.first + apps.number - 1,
        "common_app": apps.first + apps.number - 2, "now": now, "key": keyring().current,
    }  # fmt: skip
    # Each row is right by the way it is made; looking up five million references would take longer than making them.
    db.session.execute(text("SET LOCAL session_replication_role = replica"))
    for statement in (_REQUESTS, _STEPS, _INVITATIONS, _DECISIONS):
        made = text(statement)
        db.session.execute(made, {name: values[name] for name in made._bindparams})
    for table in ("requests", "steps", "invitations"):
        db.session.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), :number)"), {"number": number})
    db.session.commit()


class Search(NamedTuple):
    """One filter: as an address, and as the query takes it."""

    name: str
    query: str
    wanted: Filter
    words: bool = False


class Found(NamedTuple):
    """How long the page took at a thousand requests and at a million, and by which indices there."""

    search: Search
    few: Timing
    many: Timing
    indices: list[str]


def searches(site: Site) -> list[Search]:
    """Every filter alone and the usual ones together; `scarce` ones find sixty requests."""
    with site.app.app_context():
        apps = {name: db.session.execute(text("SELECT id, public_id FROM apps WHERE id = (SELECT min(id) + :place FROM "
                                              "apps)"), {"place": place}).one()
                for name, place in (("common", 198), ("scarce", 199))}  # fmt: skip
        people = dict(db.session.execute(text("SELECT name, public_id FROM people WHERE name NOT LIKE '%0%'")).all())
        ids = dict(db.session.execute(text("SELECT name, id FROM people WHERE name NOT LIKE '%0%'")).all())
        rita, ana, ben = ("Rita Lindqvist", "Ana Moreau", "Ben Okafor")
        reference = db.session.scalar(text("SELECT public_id FROM requests ORDER BY id LIMIT 1"))
        db.session.rollback()
    today = clock.now()
    old = (today - timedelta(days=1000), today - timedelta(days=500))
    days = f"since={old[0]:%Y-%m-%d}&until={old[1]:%Y-%m-%d}"
    asked, by_ana = (ids[rita],), (ids[ana],)
    common, scarce = apps["common"], apps["scarce"]
    a, b = f"approver={people[ana]}", f"approver={people[ben]}"
    found = [
        Search("everything", "", Filter()),
        Search("state, that most have", "state=approved", Filter(state="approved")),
        Search("state, pending", "state=pending", Filter(state="pending")),
        Search("app, a tenth of all", f"app={common.public_id}", Filter(app=common.id)),
        Search("app, sixty", f"app={scarce.public_id}", Filter(app=scarce.id)),
        Search("person, sixty", f"person={people[rita]}", Filter(person=asked)),
        Search("approver, half of all", a, Filter(approver=by_ana)),
        Search("approver, sixty", b, Filter(approver=(ids[ben],))),
        Search("days, long ago", days, Filter(since=old[0], until=old[1])),
        Search("app and state", f"app={common.public_id}&state=approved", Filter(app=common.id, state="approved")),
        Search("approver and pending", f"{a}&state=pending", Filter(approver=by_ana, state="pending")),
        Search("approver and state", f"{a}&state=approved", Filter(approver=by_ana, state="approved")),
        Search("approver and app", f"{a}&app={common.public_id}", Filter(approver=by_ana, app=common.id)),
        Search("approver and days", f"{a}&{days}", Filter(approver=by_ana, since=old[0], until=old[1])),
        Search("state and days", f"state=approved&{days}", Filter(state="approved", since=old[0], until=old[1])),
    ]
    for name, words in (
        ("a word in half of all", "figures"), ("in a twentieth", "quarterly"), ("in one of fifty", "r7"),
        ("in one of 200", "abroad"), ("in sixty", "telescope"), ("in no message", "zebra"),
        ("two words", "quarterly figures"), ("the beginning of a word", "telesc"), ("a person", "lindqvist"),
        ("a person and a word", "rita figures"), ("a reference", f"R-{(reference or '')[:6]}"),
        ("a word and a state", "abroad&state=denied"), ("a word nobody uses any more", "formerly"),
    ):  # fmt: skip
        typed, _, state = words.partition("&state=")
        found.append(Search(name, f"q={words.replace(' ', '+')}", Filter(words=typed.split(), state=state), True))
    return found


def pages(few: Site, many: Site, *, rounds: int) -> list[Found]:
    """Each filter's page, both companies in turns."""
    with serve(few) as few_port, serve(many) as many_port:
        small, large = Client(few_port, few.cookies["adam"]), Client(many_port, many.cookies["adam"])
        there = searches(many)
        tasks = []
        for here, one in zip(searches(few), there, strict=True):
            tasks += [_task(f"few {one.name}", small, here.query), _task(f"many {one.name}", large, one.query)]
        taken = interleaved(tasks, rounds=rounds, each=2)
    return [Found(one, taken[f"few {one.name}"], taken[f"many {one.name}"], indices(many, one.wanted)) for one in there]


def _task(name: str, client: Client, query: str) -> Task:
    return Task(name, lambda: client.get(f"/admin/requests?{query}"))


def indices(site: Site, wanted: Filter) -> list[str]:
    """Those that the plans of finding the page name, in their order."""
    with site.app.app_context():
        choose("read")
        plans = explained(partial(request_search.find, wanted))
        db.session.remove()
        db.engine.dispose()
    return list(dict.fromkeys(name for plan in plans for name in names(plan)))


def explained(read: Callable[[], object]) -> list[Any]:
    """The plan of each statement of a read."""
    seen: list[tuple[str, Any]] = []

    def executed(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if not statement.startswith("EXPLAIN"):
            seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", executed)
    try:
        read()
    finally:
        event.remove(Engine, "before_cursor_execute", executed)
    run = db.session.connection().exec_driver_sql
    return [run(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one() for statement, parameters in seen]


def names(plan: Any, key: str = "Index Name", *, of: str = "") -> list[str]:
    """The values of a key in plans, in their order; with `of` only in nodes of that type."""
    if isinstance(plan, list):
        return [name for one in plan for name in names(one, key, of=of)]
    if not isinstance(plan, dict):
        return []
    here = [plan[key]] if key in plan and of in ("", plan.get("Node Type")) else []
    return here + [name for value in plan.values() for name in names(value, key, of=of)]


# The audit record

_LINE = "COPY events (seq, at, kind, actor_id, request_id, app_id, person_id, body, key_id, mac) FROM STDIN"


def fill_audit(number: int) -> None:
    """So many lines of decisions and what followed from them, chained as real ones, of requests that are there."""
    choose("write")
    head = db.session.execute(text("SELECT seq, mac FROM event_head")).one()
    requests = db.session.execute(text("SELECT id, app_id, for_person_id FROM requests ORDER BY id LIMIT 1000")).all()
    ring, now = keyring(), clock.now()
    key_id, seq, mac = ring.current, head.seq, head.mac
    key = ring.derive(audit.PURPOSE, key_id)
    raw: Any = db.session.connection().connection.dbapi_connection
    with raw.cursor() as cursor, cursor.copy(_LINE) as copy:
        while seq < number:
            seq += 1
            about = requests[seq % len(requests)]
            kind = ("request.submitted", "step.opened", "step.approved", "grant.added")[seq % 4]
            facts = {"step": 0, "asked": [about.for_person_id], "channel": "code", "before": None, "after": None}
            line = audit.Draft(
                kind, now, about.for_person_id, about.id, about.app_id, about.for_person_id, facts if seq % 4 else {}
            )
            body = audit.canonical(seq, line)
            mac = audit.chain(key, mac, body)
            copy.write_row((seq, now, kind, line.actor, line.request, line.app, line.person, body, key_id, mac))
    db.session.execute(text("UPDATE event_head SET seq = :seq, mac = :mac"), {"seq": seq, "mac": mac})
    db.session.commit()


class Export(NamedTuple):
    """Seconds, and megabytes of the web process (all of its processes together)."""

    first_byte: float
    seconds: float
    lines: int
    before: float
    most: float


def export(site: Site) -> Export:
    """The whole record as CSV, by one client that reads as fast as it comes."""
    with serve(site) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as one:
        Client(port, site.cookies["adam"]).get("/admin/audit")
        server = next(found for found in psutil.Process().children() if str(port) in str(found.environ().get("PORT")))

        def memory() -> float:
            return sum(each.memory_info().rss for each in [server, *server.children(recursive=True)]) / 1e6

        before = most = memory()
        one.sendall(f"GET /admin/audit.csv HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nCookie: {site.cookies['adam']}\r\n\r\n"
                    .encode())  # fmt: skip
        began, first, lines, looked = time.perf_counter(), 0.0, 0, 0.0
        while got := one.recv(1 << 20):
            first = first or time.perf_counter() - began
            lines += got.count(b"\r\n")
            if time.perf_counter() - looked > 0.5:
                looked, most = time.perf_counter(), max(most, memory())
        return Export(first, time.perf_counter() - began, lines, before, max(most, memory()))


def verification(site: Site, newest: int | None) -> tuple[int, float, float]:
    """(lines, seconds, megabytes by which this process grew) of checking the record."""
    with site.app.app_context():
        choose("read")
        process = psutil.Process()
        before, began = process.memory_info().rss, time.perf_counter()
        lines, broken = audit.verify(newest=newest)
        seconds = time.perf_counter() - began
        assert broken is None, broken
        grown = (process.memory_info().rss - before) / 1e6
        db.session.remove()
        db.engine.dispose()
    return lines, seconds, grown
