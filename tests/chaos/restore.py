"""A backup while everybody works, and a restore in the middle of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from tests.chaos import check, people
from tests.chaos.crowd import Crowd
from tests.chaos.people import Caller
from tests.chaos.stack import Stack
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import Notice

# Seconds for one command, on a machine that is busy with other things.
PATIENCE = 300


def restore(engine: str, *, seed: int, seconds: float = 10) -> dict[str, Any]:
    """The crowd works, a backup is made meanwhile, the crowd goes on, everything ends at once, the backup is put
    back, `restored` is run, and all starts again."""
    bad: list[str] = []
    with Stack(engine, seed=seed, sweep=1) as stack:
        company = people.found(stack.app, askers=16, apps=21)
        stack.start()
        crowd = _at_work(stack, company, seed)
        _work(stack, crowd, seconds)
        copy: list[Path] = []
        due: set[str] = set()

        def save() -> None:
            """For a moment nobody sends: what is due in the copy goes out after it was made."""
            time.sleep(1)
            due.update(_names_of(stack, "due"))
            saving.start()

        saving = threading.Thread(target=lambda: copy.append(stack.backup()))
        stack.without_workers(save)
        _work(stack, crowd, seconds)
        saving.join()
        stack.until(
            lambda: due & {one["id"] for one in stack.mails()}, 60, "something that is due in the copy goes out"
        )
        # What is due when the plug is pulled: the server says no to everything.
        stack.smtp_faults(rcpt4=1.0)
        _work(stack, crowd, 2)
        crowd.stop.set()
        for some in stack.processes().values():
            for process in some:
                process.kill()
        stack.supervisor.stop()
        _until_idle(crowd)
        stack.smtp_faults()
        stack.restore(copy[0])
        before = [one["id"] for one in stack.mails()]
        process = stack.run_command("restored", database=stack.env["DATABASE_URL"])
        if process.wait(PATIENCE) != 0:
            return {"violations": [f"`restored` ended with {process.returncode}: {stack.end_of_log()}"]}
        held = _count(stack, "held")
        gone_out = len(_names_of(stack, "held") & set(before))
        if not gone_out:
            bad.append("Nothing was held that had gone out already, so nothing was tried.")
        bad += _state(stack, "right after the restore")
        stack.start()
        with stack.app.app_context():
            for one in company.everybody:
                company.cookies[one.id] = people.sign_in(stack.app, one.id)
        crowd = _at_work(stack, company, seed + 1)
        _work(stack, crowd, seconds)
        crowd.stop.set()
        _until_idle(crowd)
        stack.until(lambda: _count(stack, "due", "leased") == 0, 60, "what is new goes out")
        twice = [name for name, count in Counter(one["id"] for one in stack.mails()).items() if count > 1]
        if twice:
            bad.append(f"{len(twice)} mails went out twice, though nobody let them go: {twice[:5]}.")
        if len(stack.mails()) <= len(before):
            bad.append("Nothing new went out after the restore.")
        if _count(stack, "held") != held:
            bad.append(f"{held} mails were held, and {_count(stack, 'held')} are.")
        admin = Caller(stack.port, company.cookies[company.admins[0].id])
        if not admin.post("/admin/mail/held/sending").done:
            bad.append("The held mails could not be let go.")
        stack.until(lambda: _count(stack, "due", "leased", "held") == 0, 60, "what was held goes out")
        bad += _state(stack, "at the end")
    return {"held": held, "gone_out": gone_out, "mails": len(before), "violations": bad}


def _at_work(stack: Stack, company: people.Company, seed: int) -> Crowd:
    crowd = Crowd(stack.app, company, stack.port, seed=seed)
    crowd.pace = 0.2
    crowd.start()
    return crowd


def _work(stack: Stack, crowd: Crowd, seconds: float) -> None:
    for _ in range(max(1, round(seconds / 0.5))):
        crowd.look()
        stack.pause(0.5)


def _until_idle(crowd: Crowd) -> None:
    for thread in crowd.threads:
        thread.join(40)


def _state(stack: Stack, when: str) -> list[str]:
    return [f"{sentence} ({when})" for sentence in check.tables(check.load(stack.app))]


def _names_of(stack: Stack, state: str) -> set[str]:
    with stack.app.app_context():
        choose("read")
        return set(db.session.scalars(select(Notice.public_id).where(Notice.state == state)))


def _count(stack: Stack, *states: str) -> int:
    with stack.app.app_context():
        choose("read")
        return db.session.scalar(select(func.count()).where(Notice.state.in_(states))) or 0
