"""Races of programs: browsers and programs on one step, and calls that are sent several times at once."""

from __future__ import annotations

from functools import partial

from sqlalchemy import func, select

from tests.chaos.people import Program, sign_in, token_of
from tests.chaos.races import Crew, Races
from tests.helpers import factories
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import Group

# A token may make 600 calls a minute.
TOKENS = 20


class ProgramRaces(Races):
    """`doors`: (how many browsers, and as many programs; trials). `replays`: keys that are each sent four times."""

    def run_programs(self, *, doors: tuple[int, int], replays: int) -> None:
        with self.stack_for(threads=8):
            self._doors(*doors)
            if replays:
                self._replays(replays)

    def _doors(self, many: int, trials: int) -> None:
        """Browsers and programs decide one step at the same moment: one of them does."""
        with self.app.app_context():
            people = [factories.person(f"Decider{n} Tan") for n in range(2 * many)]
            wanted = factories.app("App at two doors", factories.group("Both doors", *people))
            cookies = [sign_in(self.app, one.id) for one in people[:many]]
            secrets = [token_of(one.id, "decide") for one in people[many:]]
            ids, app_id = [one.id for one in people], wanted.id
        browsers = self.callers(cookies)
        programs = [Program(self.stack.port, secret) for secret in secrets]
        crew = Crew(2 * many)
        try:
            for trial in range(trials):
                with self.app.app_context():
                    public_id, request_id = self._ask(app_id, f"door{trial}")
                verdicts = ["approval" if n % 2 else "denial" for n in range(many)]
                acts = [partial(one.post, f"/requests/{public_id}/{verdict}", reason="No.")
                        for one, verdict in zip(browsers, verdicts, strict=True)]  # fmt: skip
                for one, verdict in zip(programs, verdicts, strict=True):
                    body = {"reason": "No."} if verdict == "denial" else {}
                    acts.append(partial(one.call, f"/requests/{public_id}/{verdict}", **body))
                answers = crew.at_once(acts)
                self._one_winner(f"{many} browsers and {many} programs, trial {trial}", answers, request_id, ids)
                self.done[f"{many} browsers and {many} programs"] += 1
                self.stack.tend()
        finally:
            crew.end()
            for one in (*browsers, *programs):
                one.close()

    def _replays(self, keys: int) -> None:
        """Four equal calls with one key: one change, four equal answers."""
        with self.app.app_context():
            secrets = [token_of(None, "groups:admin") for _ in range(TOKENS)]
        programs = [[Program(self.stack.port, secret) for _ in range(4)] for secret in secrets]
        crew = Crew(4)
        try:
            for number in range(keys):
                name, key = f"Group {number}", f"key-{number}"
                four = programs[number % TOKENS]
                answers = crew.at_once([partial(one.call, "/groups", key, name=name) for one in four])
                if {one.status for one in answers} != {201} or len({one.body for one in answers}) != 1:
                    self.bad.append(f"key {number}: {[(one.status, one.body[:80]) for one in answers]}")
                with self.app.app_context():
                    choose("read")
                    made = db.session.scalar(select(func.count()).select_from(Group).where(Group.name == name))
                if made != 1:
                    self.bad.append(f"key {number}: {made} groups were made.")
                self.done["keys sent four times"] += 1
        finally:
            crew.end()
            for four in programs:
                for one in four:
                    one.close()
