"""`python -m bench`: every number that Countersign promises, measured on this machine, as Markdown tables."""

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec

from bench import api, chores, lists, web
from bench.stack import ENGINES, Site, Stack
from webapp.extensions import db
from webapp.record import verification

PARTS = ("pages", "writes", "api", "catalog", "expiry", "outbox", "latency", "servers", "weight", "lists")
# Not among the quick ones; `lists` takes ten minutes and four gigabytes of its own, so it has to be asked for.
LONG = ("servers", "lists")
CLASSES = ("waitress", "gthread", "sync", "gevent", "granian")

# How often each thing is done: (quick, full).
ROUNDS = {"pages": (15, 60), "writes": (25, 100), "catalog": (8, 30), "lists": (8, 20)}
EXPIRY = (20_000, 100_000)
MAILS = (600, 2_000)
LATENCY = (30, 200)
SERVERS = (2, 6)
VISIT_KB = 170
LISTS = (1_000, 1_000_000)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog="The part servers compares the kinds of server that are installed. For all of them: pip install "
        "--target SOMEWHERE gevent granian packaging, then PYTHONPATH=SOMEWHERE python -m bench --full servers",
    )
    parser.add_argument("--full", action="store_true", help="ten minutes in place of two")
    parser.add_argument("--database", choices=ENGINES, help="only this one")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"only these: {', '.join(PARTS)}")
    options = parser.parse_args()
    parts = options.parts or [part for part in PARTS if part not in LONG or (options.full and part != "lists")]
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    full = int(options.full)
    _say(f"{datetime.now(UTC):%Y-%m-%d}, {_machine()}, Python {platform.python_version()}\n")
    for engine in [options.database] if options.database else ENGINES:
        with Stack() as stack:
            _measure(stack, engine, parts, full)
    return 0


def _measure(stack: Stack, engine: str, parts: list[str], full: int) -> None:
    if "lists" in parts and engine == "postgresql":
        _lists(stack, full)
    if not set(parts) - {"lists"}:
        return
    site = stack.site(engine, "usual", apps=200)
    _say(f"## {site.version}\n")
    if "pages" in parts:
        _say("Pages, one client, with a real session: at most 3 times the bare page. A dashboard of 30 rows holds 30 "
             "apps and requests together; the one of 30 and 30 has 60, half of them with a chain of four links, and is "
             "shown for what it is.\n")  # fmt: skip
        _compared(web.pages(site, rounds=ROUNDS["pages"][full]), web.BARE_PAGE)
    if "writes" in parts:
        _say("Whole POSTs, one client: asking at most 3 times the bare form, a decision at most 4 times.\n")
        _compared(web.writes(site, rounds=ROUNDS["writes"][full]), web.BARE_FORM)
    if "api" in parts:
        _say("The API: a list of 50 requests at most 2.5 times a bare view with one query and `json.dumps`; submitting "
             "at most 3 times the bare form.\n")  # fmt: skip
        reading, writing = api.calls(site, rounds=ROUNDS["writes"][full])
        _compared(reading, api.BARE_LIST)
        _compared(writing, web.BARE_FORM)
    if "catalog" in parts:
        large = stack.site(engine, "large", apps=10_000, history=1_000)
        _say("The catalog of 10,000 apps: at most 1.5 times that of 200, its search under 25 ms.\n")
        _compared(web.big_catalog(site, large, rounds=ROUNDS["catalog"][full]), "catalog page, 200 apps")
    if {"outbox", "expiry", "latency"} & set(parts):
        _chores(stack.site(engine, "chores", apps=1_000, history=100), parts, full)
    if "servers" in parts:
        _servers(site, full)
    if "weight" in parts and engine == ENGINES[0]:
        _weight(site)


def _chores(site: Site, parts: list[str], full: int) -> None:
    if "outbox" in parts:
        _say("Mails a second to a local SMTP server: the outbox at least half of plain smtplib.\n")
        sent = chores.run(site, "outbox", MAILS[full])
        _table(["plain smtplib", "outbox", "share"],
               [[f"{sent['plain']:.0f}", f"{sent['outbox']:.0f}", f"{sent['ratio']:.2f}"]])  # fmt: skip
    if "latency" in parts:
        _say("From a commit to the mail server's acceptance, one mail at a time: under 1,000 ms at the median.\n")
        waited = chores.run(site, "latency", LATENCY[full])
        _table(["median ms", "most ms"], [[f"{waited['median']:.0f}", f"{waited['most']:.0f}"]])
    if "expiry" in parts:
        number = EXPIRY[full]
        _say("Overdue steps that end in a second: at least 2,000 on PostgreSQL, the memory growing by under 50 MB.\n")
        chores.run(site, "overdue", number)
        ended = chores.run(site, "expire", number)
        _table(["overdue", "seconds", "a second", "memory grew by"],
               [[f"{number:,}", f"{ended['seconds']:.1f}", f"{ended['rate']:,.0f}",
                 f"{ended['growth']:.1f} MB"]])  # fmt: skip


def _servers(site: Site, full: int) -> None:
    _say("Worker classes, two processes (four threads where there are any): requests a second, p50 and p99 in ms.\n")
    kinds = [kind for kind in CLASSES if find_spec(kind if kind in ("gevent", "granian") else "gunicorn")]
    if missing := set(CLASSES) - set(kinds):
        _say(f"({' and '.join(sorted(missing))}: not installed, so left out.)\n")
    rows = [
        [one.kind, one.what, str(one.clients), f"{one.rate:,.0f}", f"{one.timing.p50:.1f}", f"{one.timing.p99:.1f}"]
        for one in web.worker_classes(site, kinds, rounds=SERVERS[full], seconds=1.0)
    ]
    _table(["server", "what", "clients", "a second", "p50", "p99"], rows)


def _weight(site: Site) -> None:
    _say(f"A first visit, compressed: at most {VISIT_KB} kB.\n")
    files = web.weight(site)
    rows = [[name, f"{sent / 1000:.1f}", f"{plain / 1000:.1f}"] for name, sent, plain in files]
    rows.append(["**all**", *(f"{sum(one[place] for one in files) / 1000:.1f}" for place in (1, 2))])
    _table(["file", "kB sent", "kB unpacked"], rows)


def _lists(stack: Stack, full: int) -> None:
    few, many = (
        stack.site("postgresql", f"lists_{number}", apps=200, fill=partial(lists.fill, number=number))
        for number in LISTS
    )
    _say(f"## {many.version}: the list of {LISTS[1]:,} requests\n")
    _say(f"Beside that of {LISTS[0]:,}: at most 1.5 times, but for words, which take under 150 ms.\n")
    rows = [
        [
            f"words: {one.search.name}" if one.search.words else one.search.name,
            f"{one.few.p50:.1f}", f"{one.many.p50:.1f}", f"{one.many.p99:.1f}", f"{one.many.p50 / one.few.p50:.2f}",
            ", ".join(one.indices),
        ]
        for one in lists.pages(few, many, rounds=ROUNDS["lists"][full])
    ]  # fmt: skip
    _table(["", f"p50 ms at {LISTS[0]:,}", f"p50 ms at {LISTS[1]:,}", "p99 ms", "times", "indices"], rows)
    with many.app.app_context():
        lists.fill_audit(LISTS[1])
        db.session.remove()
        db.engine.dispose()
    _say(f"The audit record of {LISTS[1]:,} lines: exported with flat memory, checked in seconds.\n")
    taken = lists.export(many)
    _table(["export of lines", "first byte s", "all s", "MB before", "MB at most"],
           [[f"{taken.lines:,}", f"{taken.first_byte:.2f}", f"{taken.seconds:.0f}", f"{taken.before:.0f}",
             f"{taken.most:.0f}"]])  # fmt: skip
    checks = [lists.verification(many, newest) for newest in (verification.NEWEST, None)]
    _table(["lines checked", "seconds", "memory grew by"],
           [[f"{lines:,}", f"{seconds:.1f}", f"{grown:.1f} MB"] for lines, seconds, grown in checks])  # fmt: skip


def _compared(found: dict[str, web.Timing], base: str) -> None:
    rows = [
        [name, *(f"{value:.2f}" for value in (*one, one.p50 / found[base].p50, one.p99 / found[base].p99))]
        for name, one in found.items()
    ]
    _table(["", "p50 ms", "p99 ms", "times, p50", "times, p99"], rows)


def _table(heads: list[str], rows: list[list[str]]) -> None:
    _say(f"| {' | '.join(heads)} |\n|{'|'.join('---:' if place else '---' for place in range(len(heads)))}|")
    for row in rows:
        _say(f"| {' | '.join(row)} |")
    _say("")


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, load {os.getloadavg()[0]:.1f}"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
