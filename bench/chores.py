"""Measurements of the worker's jobs, each in a process of its own: `python -m bench.chores JOB NUMBER`.

The environment says which database; the answer is one line of JSON.
"""

import json
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import psutil
from sqlalchemy import insert, select, text

from bench import data
from bench.stack import Site, free_port
from webapp import clock, create_app
from webapp.config import PROJECT, Settings
from webapp.database.transactions import choose, reading
from webapp.delivery import jobs, mail, outbox
from webapp.extensions import db
from webapp.models import Group, Heartbeat, Invitation, Notice, Person, Step, db_now
from webapp.operations import expiry
from webapp.queries import mail_context
from webapp.text import public_id

ROUND = 200


def run(site: Site, chore: str, number: int) -> dict[str, Any]:
    """Runs the chore on that database and waits for what it measured."""
    with _smtp_server() as port:
        env = site.env | {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(port)}
        command = [sys.executable, "-m", "bench.chores", chore, str(number)]
        done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def overdue(number: int) -> dict[str, float]:
    """Adds overdue requests, in a process of its own: memory that filling left free would hide what ending takes."""
    data.add_overdue(_company(), number)
    return {}


def expire(number: int) -> dict[str, float]:
    """Overdue requests ended in a second, and by how many MB the memory grew meanwhile."""
    memory = psutil.Process().memory_info
    db.session.remove()
    before = most = memory().rss
    began = time.perf_counter()
    while expiry.expire_overdue(now=clock.now(), limit=jobs.EXPIRE_BATCH):
        outbox.commit()
        most = max(most, memory().rss)
    seconds = time.perf_counter() - began
    db.session.rollback()
    left = db.session.scalar(text("SELECT count(*) FROM requests r JOIN steps s ON s.request_id = r.id "
                                  "WHERE r.state = 'expired' AND s.state = 'expired'"))  # fmt: skip
    assert left == number, (left, number)
    return {"rate": number / seconds, "seconds": seconds, "growth": (most - before) / 1e6}


def send(number: int) -> dict[str, float]:
    """Mails a second: by plain smtplib, built and rendered and nothing else; and by the outbox, claimed, looked at
    again and each marked by a commit of its own."""
    company = _company()
    plain, ours = [], []
    for _ in range(max(2, number // ROUND)):
        ids = _post(company, ROUND)
        with reading():
            facts = mail_context.load(ids)
        plain.append(_plainly([facts[one] for one in ids]))
        choose("write")
        began = time.perf_counter()
        jobs.drain()
        ours.append(ROUND / (time.perf_counter() - began))
        sent = db.session.scalar(
            select(text("count(*)")).select_from(Notice).where(Notice.id.in_(ids), Notice.state == "sent")
        )
        assert sent == ROUND, sent
        db.session.rollback()
    return {"plain": median(plain), "outbox": median(ours), "ratio": median(ours) / median(plain)}


def wait(number: int) -> dict[str, float]:
    """Milliseconds from a commit to the mark that follows the server's acceptance, by a worker with nothing else to
    do: the median and the slowest of so many single mails."""
    company = _company()
    taken = []
    with _worker():
        for _ in range(number + 1):
            (id,) = _post(company, 1)
            committed = time.time()
            outbox.wake_workers()
            taken.append((_accepted(id) - committed) * 1000)
            time.sleep(0.2)
    del taken[0]  # the worker's first mail loads what all the others use
    return {"median": median(taken), "most": max(taken)}


def _accepted(id: int) -> float:
    """When the notice was marked, in seconds since 1970."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        choose("read")
        settled = db.session.scalar(select(Notice.settled_at).where(Notice.id == id, Notice.state == "sent"))
        db.session.rollback()
        if settled is not None:
            return settled.timestamp()
        time.sleep(0.02)
    raise RuntimeError("the worker did not send a mail within 30 seconds")


@contextmanager
def _worker() -> Iterator[None]:
    """A worker as in production; ready when its heart has beaten."""
    process = subprocess.Popen([sys.executable, "worker.py"], cwd=PROJECT)
    try:
        until = time.monotonic() + 30
        choose("read")
        while db.session.scalar(select(Heartbeat.at).limit(1)) is None:
            db.session.rollback()
            if time.monotonic() > until:
                raise RuntimeError("the worker did not start within 30 seconds")
            time.sleep(0.1)
        db.session.rollback()
        yield
    finally:
        process.terminate()
        process.wait()


def _plainly(facts: list[mail_context.MailContext]) -> float:
    settings: Settings = _app.extensions["settings"]
    began = time.perf_counter()
    with smtplib.SMTP(settings.mail_server, settings.mail_port, "localhost") as server:
        for one in facts:
            message = mail.render(one)
            server.sendmail(str(message.sender), list(message.send_to), message.as_bytes())
    return len(facts) / (time.perf_counter() - began)


def _post(company: data.Company, number: int) -> list[int]:
    """So many notices "approval asked" that are due."""
    choose("write")
    now = clock.now()
    waiting = db.session.execute(
        select(Invitation.id, Invitation.step_id, Step.request_id)
        .join(Step, Step.id == Invitation.step_id)
        .where(Invitation.person_id == company.ana, Invitation.live, Step.state == "open")
        .limit(data.ROWS)
    ).all()
    rows = [
        {
            "public_id": public_id(), "kind": "approval-asked", "role": "approver", "person_id": company.ana,
            "request_id": one.request_id, "step_id": one.step_id, "invitation_id": one.id, "round": 1,
            "created_at": now,
        }
        for one in (waiting[n % len(waiting)] for n in range(number))
    ]  # fmt: skip
    ids = list(
        db.session.scalars(
            insert(Notice).values(due_at=db_now()).returning(Notice.id, sort_by_parameter_order=True), rows
        )
    )
    db.session.commit()
    db.session.remove()
    return ids


def _company() -> data.Company:
    """The company as `data.fill` left it."""
    people = dict(db.session.execute(select(Person.name, Person.id)).all())
    finance = db.session.scalars(select(Group.id)).first() or 0
    others = tuple(id for name, id in people.items() if name.startswith("Person "))
    db.session.rollback()
    cast = ("Adam Weiss", "Rita Lindqvist", "Mia Sorel", "Paul Hartmann", "Ana Moreau", "Otto Brandt")
    return data.Company(*(people[name] for name in cast), others=others, finance=finance)


@contextmanager
def _smtp_server() -> Iterator[int]:
    """A server in a process of its own that takes every mail and forgets it."""
    port = free_port()
    command = [sys.executable, "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Sink", "-l", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                smtplib.SMTP("127.0.0.1", port, "localhost").close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    _app = create_app(Settings.from_env())
    with _app.app_context():
        choose("write")
        print(
            json.dumps(
                {"overdue": overdue, "expire": expire, "outbox": send, "latency": wait}[sys.argv[1]](int(sys.argv[2]))
            )
        )
