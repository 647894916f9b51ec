"""Measurements over HTTP: pages, writes, the big catalog, worker classes, and what a first visit weighs."""

import re
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from statistics import median, quantiles
from typing import NamedTuple

from bench import data
from bench.client import Answer, Client
from bench.stack import Site, bare_cookie, serve
from webapp.extensions import db


class Timing(NamedTuple):
    """In milliseconds."""

    p50: float
    p99: float


def timing(seconds: list[float]) -> Timing:
    return Timing(median(seconds) * 1000, quantiles(seconds, n=100, method="inclusive")[98] * 1000)


@dataclass(frozen=True)
class Task:
    """One thing to ask for, over a connection of its own."""

    name: str
    run: Callable[[], Answer]
    status: int = 200


def interleaved(tasks: list[Task], *, rounds: int, each: int) -> dict[str, Timing]:
    """Each task `each` times in every round, so that whatever else the machine does hits all of them alike."""
    taken: dict[str, list[float]] = {task.name: [] for task in tasks}
    for number in range(-2, rounds):
        turn = number % len(tasks)
        for task in tasks[turn:] + tasks[:turn]:
            for _ in range(each):
                answer = task.run()
                assert answer.status == task.status, (task.name, answer.status, answer.body[:600])
                if number >= 0:  # the first two rounds warm up
                    taken[task.name].append(answer.seconds)
    return {name: timing(seconds) for name, seconds in taken.items()}


BARE_PAGE = "bare page of 30 rows"
BARE_FORM = "bare form: 2 SELECT, 2 INSERT, COMMIT"


def pages(site: Site, *, rounds: int) -> dict[str, Timing]:
    """The three pages that people look at most, and the bare page."""
    with serve(site) as port:
        tasks = [_bare_page(port)]
        for name, who, path, must, rows in (
            ("dashboard, 24 apps and 6 requests", "paul", "/", b'<article class="cs-req"', 6),
            ("dashboard, 15 apps and 15 requests", "mia", "/", b'<article class="cs-req"', 15),
            ("dashboard, 30 apps and 30 requests", "rita", "/", b'<article class="cs-req"', 30),
            ("catalog, 30 cards", "otto", "/catalog", b'<li class="cs-card"', 30),
            ("approvals, 30 waiting", "ana", "/approvals", b'<li class="cs-turn', 30),
        ):
            tasks.append(_page(port, name, site.cookies[who], path, must, rows))
        return interleaved(tasks, rounds=rounds, each=4)


def writes(site: Site, *, rounds: int) -> dict[str, Timing]:
    """Asking for an app and approving it, whole POSTs, and the bare form."""
    each = 2
    number_of_requests = (rounds + 2) * each
    with site.app.app_context():
        wanted = iter(data.add_askable(site.company, number_of_requests))
        cookies = [data.cookie(site.app, next(site.askers)) for _ in range(askers_for(number_of_requests))]
        db.session.remove()
        db.engine.dispose()
    with serve(site) as port:
        askers, ana = cycle([Client(port, cookie) for cookie in cookies]), Client(port, site.cookies["ana"])
        plain = Client(port, bare_cookie(port))
        asked_with, decided_with = next(askers).csrf_token("/catalog"), ana.csrf_token("/approvals")
        made: list[str] = []

        def ask() -> Answer:
            answer = next(askers).post(
                f"/catalog/{next(wanted)}/request", f"csrf_token={asked_with}&message=For+my+work."
            )
            made.append(answer.location.rpartition("/")[2])
            return answer

        def approve() -> Answer:
            return ana.post(f"/requests/{made.pop(0)}/approval", f"csrf_token={decided_with}&comment=")

        # Approving comes after asking in each round, so these do not take turns in being first.
        taken: dict[str, list[float]] = {BARE_FORM: [], "ask for an app": [], "approve a request": []}
        for number in range(-2, rounds):
            for name, run in (
                (BARE_FORM, lambda: plain.post("/bare/orders", "item=1&message=For+my+work.")),
                ("ask for an app", ask),
                ("approve a request", approve),
            ):
                for _ in range(each):
                    answer = run()
                    assert answer.status == 303, (name, answer.status, answer.body[:600])
                    if number >= 0:
                        taken[name].append(answer.seconds)
    return {name: timing(seconds) for name, seconds in taken.items()}


def askers_for(requests: int) -> int:
    """How many people have to send them: each may send 50 a day."""
    return -(-requests // 40)


def big_catalog(small: Site, large: Site, *, rounds: int) -> dict[str, Timing]:
    """The catalog of 200 apps beside that of 10,000, and the search there."""
    fragment = "HX-Request: true\r\n"
    with serve(small) as few, serve(large) as many:
        few_client, many_client = (Client(port, site.cookies["otto"]) for port, site in ((few, small), (many, large)))
        searches = {
            "search for a word that many have": "/catalog?q=dashboards",
            "search for two words": "/catalog?q=photo+design",
            "search for one app": "/catalog?q=number+9876",
            "search that finds nothing": "/catalog?q=nothing+like+it",
            "one category": "/catalog?category=Design",
        }
        tasks = [
            Task("catalog page, 200 apps", lambda: few_client.get("/catalog")),
            Task("catalog page, 10,000 apps", lambda: many_client.get("/catalog")),
        ]
        tasks += [
            Task(name, lambda path=path: many_client.get(path, fragment))  # type: ignore[misc]
            for name, path in searches.items()
        ]
        return interleaved(tasks, rounds=rounds, each=3)


class Load(NamedTuple):
    """What so many clients at once did with one kind of server."""

    kind: str
    what: str
    clients: int
    rate: float
    timing: Timing


def worker_classes(site: Site, kinds: list[str], *, rounds: int, seconds: float) -> list[Load]:
    """Reads and writes at one and eight clients, with two processes as by default; all servers run at the same time
    and take turns."""
    with site.app.app_context():
        wanted = data.add_askable(site.company, int(rounds * seconds * 300))
        # Each client is somebody else, so that all of them can ask for the same apps.
        askers = {kind: [data.cookie(site.app, next(site.askers)) for _ in range(9)] for kind in kinds}
        db.session.remove()
        db.engine.dispose()
    with ExitStack() as servers:
        ports = {kind: servers.enter_context(serve(site, kind=kind, workers=2)) for kind in kinds}
        token = Client(ports[kinds[0]], site.cookies["otto"]).csrf_token("/catalog")

        def reading(port: int, cookie: str) -> Callable[[], Answer]:
            client = Client(port, cookie)
            return lambda: client.get("/catalog")

        def asking(port: int, cookie: str) -> Callable[[], Answer]:
            client, mine = Client(port, cookie), iter(wanted)
            return lambda: client.post(f"/catalog/{next(mine)}/request", f"csrf_token={token}&message=For+my+work.")

        found = []
        for what, begin in (("catalog page", reading), ("ask for an app", asking)):
            for some in (slice(0, 1), slice(1, None)):
                clients = {kind: [begin(ports[kind], cookie) for cookie in askers[kind][some]] for kind in kinds}
                taken: dict[str, list[float]] = {kind: [] for kind in kinds}
                for number in range(rounds):
                    for kind in kinds[number % len(kinds) :] + kinds[: number % len(kinds)]:
                        taken[kind] += _load(clients[kind], seconds)
                for kind in kinds:
                    rate = len(taken[kind]) / (rounds * seconds)
                    found.append(Load(kind, what, len(clients[kind]), rate, timing(taken[kind])))
    return found


def weight(site: Site) -> list[tuple[str, int, int]]:
    """(file, bytes as sent, bytes unpacked) of a first visit: the sign-in page and all that it asks for."""
    found = []
    with serve(site) as port:
        client = Client(port)
        page = client.get("/sign-in")
        found.append(("/sign-in", len(page.body), len(page.body)))
        paths = dict.fromkeys(re.findall(r'(?:href|src)="(/static/[^"#]+)', page.body.decode()))
        for path in paths:
            packed, plain = client.get(path, "Accept-Encoding: br\r\n"), client.get(path)
            assert packed.status == 200, path
            found.append((path.rpartition("/")[2], len(packed.body), len(plain.body)))
    return found


def _bare_page(port: int) -> Task:
    return _page(port, BARE_PAGE, bare_cookie(port), "/bare/items", b"<li id=", data.ROWS)


def _page(port: int, name: str, cookie: str, path: str, must: bytes, rows: int) -> Task:
    client = Client(port, cookie)
    shown = client.get(path).body.count(must)
    assert shown == rows, (name, shown)
    return Task(name, lambda: client.get(path))


def _load(clients: list[Callable[[], Answer]], seconds: float) -> list[float]:
    """How long each request took, with all these clients at once for so long."""
    taken: list[float] = []
    gate = threading.Barrier(len(clients))

    def work(run: Callable[[], Answer]) -> None:
        run()
        gate.wait()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            answer = run()
            assert answer.status in (200, 303), answer.status
            taken.append(answer.seconds)

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken
