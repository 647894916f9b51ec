"""Measurements over HTTP: pages, writes, the big catalog, worker classes, and what a first visit weighs."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
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
    with site.app.app_context():
        wanted = iter(data.add_askable(site.company, (rounds + 2) * each))
        db.session.remove()
        db.engine.dispose()
    with serve(site) as port:
        otto, ana = Client(port, site.cookies["otto"]), Client(port, site.cookies["ana"])
        plain = Client(port, bare_cookie(port))
        asked_with, decided_with = otto.csrf_token("/catalog"), ana.csrf_token("/approvals")
        made: list[str] = []

        def ask() -> Answer:
            answer = otto.post(f"/catalog/{next(wanted)}/request", f"csrf_token={asked_with}&message=For+my+work.")
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


def worker_class(site: Site, kind: str, *, seconds: float) -> list[tuple[str, int, float, Timing]]:
    """(what, clients, requests a second, timing) of one worker class, with two processes as by default."""
    found = []
    with site.app.app_context():
        wanted = iter(data.add_askable(site.company, int(seconds * 2 * 1200)))
        db.session.remove()
        db.engine.dispose()
    with serve(site, kind=kind, workers=2) as port:
        lock = threading.Lock()
        token = Client(port, site.cookies["otto"]).csrf_token("/catalog")

        def read(client: Client) -> Answer:
            return client.get("/catalog")

        def write(client: Client) -> Answer:
            with lock:
                app = next(wanted)
            return client.post(f"/catalog/{app}/request", f"csrf_token={token}&message=For+my+work.")

        for what, run in (("catalog page", read), ("ask for an app", write)):
            for clients in (1, 8):
                rate, taken = _load(port, site.cookies["otto"], run, clients, seconds)
                found.append((what, clients, rate, timing(taken)))
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


def _load(
    port: int, cookie: str, run: Callable[[Client], Answer], clients: int, seconds: float
) -> tuple[float, list[float]]:
    """Requests a second, and how long each took, with so many clients at once."""
    taken: list[float] = []
    gate = threading.Barrier(clients + 1)

    def work() -> None:
        client = Client(port, cookie)
        for _ in range(3):
            run(client)
        gate.wait()
        until, mine = time.perf_counter() + seconds, []
        while time.perf_counter() < until:
            answer = run(client)
            assert answer.status in (200, 303), answer.status
            mine.append(answer.seconds)
        taken.extend(mine)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    gate.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return len(taken) / (time.perf_counter() - began), taken
