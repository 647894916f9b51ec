"""One trial: a change to the record in a transaction that is undone, and whether a check finds it."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from tests.helpers import factories
from tests.helpers.factories import rows
from tests.tamper import changes
from webapp import clock
from webapp.database.transactions import choose, reading
from webapp.extensions import db
from webapp.record import anchors, audit
from webapp.workflow.states import Verdict


def make_a_record(anchor: Path) -> None:
    """Some requests and what became of them, and an anchor of the end."""
    company = factories.company()
    wanted = [factories.app(name, company.ana, company.finance) for name in ("Salesforce", "Zoom", "Figma")]
    for asker in (company.rita, company.otto):
        made = [factories.request(asker, one) for one in wanted]
        factories.decide(made[0], company.ana)
        factories.decide(made[0], company.ben)
        factories.decide(made[1], company.ana, Verdict.DENIED)
    with reading():
        assert anchors.keep(anchor, now=clock.now())


def tamper(engine: str, anchor: Path, *, seed: int, trials: int) -> tuple[Counter[str], list[str]]:
    """(how many of each kind of change, what was done where no check found it). Undoes each."""
    rng = random.Random(seed)
    seen = anchors.compare(anchors.read(anchor))
    lines = rows("events")
    done: Counter[str] = Counter()
    missed: list[str] = []
    while done.total() < trials:
        choose("write")
        change = rng.choice(changes.CHANGES)
        before = changes.dump()
        changes.triggers_off(engine)
        what = change(rng, lines)
        if changes.dump() != before:  # a value put over its equal is no change
            done[change.__name__] += 1
            if audit.verify(seen)[1] is None:
                missed.append(what)
        db.session.rollback()
    with reading():
        assert audit.verify(seen) == (lines, None), "a trial left something behind"
    return done, missed
