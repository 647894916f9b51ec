"""The same events on the pure core alone: no database, no mail, values in and an Outcome or a refusal out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from tests.reference_model.reference import Model
from tests.reference_model.terms import Who
from webapp.workflow import state_machine
from webapp.workflow.approvers import Deciders, Directory, require_deciders, who_decides
from webapp.workflow.errors import NobodyCanDecide, NotYourTurn, ReasonMissing, SelfApproval, Settled, WorkflowError
from webapp.workflow.policy import Approver
from webapp.workflow.state_machine import approve_remaining_steps
from webapp.workflow.states import RequestState, StepState, Verdict

WORDS: dict[type[WorkflowError], str] = {
    SelfApproval: "own",
    Settled: "settled",
    NotYourTurn: "not yours",
    NobodyCanDecide: "nobody",
    ReasonMissing: "incomplete",
}


class Core:
    """Holds the values that the core is asked about. Who is active, a member or an owner, it takes from the model."""

    knows_conflicts = False  # those are the operations' around the core

    def start(self, model: Model) -> None:
        self.model = model
        self.keys = {name: number for number, name in enumerate((*model.people, *model.groups), 1)}
        self.names = {number: name for name, number in self.keys.items()}
        self.requests: list[state_machine.Request] = []
        self.due: dict[int, int] = {}

    def do(self, event: str, **values: Any) -> str | None:
        try:
            getattr(self, event, self.nothing)(**values)
        except WorkflowError as error:
            return WORDS[type(error)]
        return None

    def nothing(self, **values: Any) -> None:
        """The core has no part in it: it is asked anew at the next decision."""

    def submit(self, person: str, app: str, seat: str, stale: bool) -> None:
        steps = self.model.apps[app]["rule"]["steps"]
        who = self.keys[person]
        require_deciders(
            tuple(self.approver(one) for one, _, _ in steps), owner=self.owner(app), directory=self.directory(),
            without=frozenset({who}),
        )  # fmt: skip
        self.sweep(person, app)
        number = len(self.requests)
        made = state_machine.Request(
            number, 1, RequestState.PENDING, who, who,
            tuple(state_machine.Step(number * 10 + place, place, StepState.WAITING) for place in range(len(steps))),
        )  # fmt: skip
        self.requests.append(self.moved(made, ((number * 10, StepState.OPEN),)))

    def approve(self, person: str, number: int, seen: int, seat: str) -> None:
        self.decide(person, number, seen, Verdict.APPROVED, "")

    def deny(self, person: str, number: int, seen: int, reason: str) -> None:
        self.decide(person, number, seen, Verdict.DENIED, reason)

    def decide(self, person: str, number: int, seen: int, verdict: Verdict, reason: str) -> None:
        request = self.now(number)
        deciders = self.deciders(request)
        self.apply_outcome(
            request,
            state_machine.decide(
                request, actor=self.keys[person], verdict=verdict, deciders=deciders.people if deciders else (),
                step_id=request.steps[seen].id, reason=reason,
            ),
        )  # fmt: skip

    def cancel(self, person: str, number: int) -> None:
        request = self.now(number)
        self.apply_outcome(request, state_machine.cancel(request))

    def add(self, person: str, app: str) -> None:
        self.sweep(person, app)

    def sweep(self, person: str = "", app: str = "") -> None:
        for number in range(len(self.requests)):
            told = self.model.requests[number]
            if person and (told["person"], told["app"]) != (person, app):
                continue
            request = self.now(number)
            with suppress(Settled):
                self.apply_outcome(request, state_machine.expire(request))

    def approval_off(self, actor: str, app: str, way: str, reason: str) -> None:
        if way != "finish" and not reason:
            raise ReasonMissing("The operation asks first.")
        for number, told in enumerate(self.model.requests):
            request = self.now(number)
            if told["app"] != app or request.state is not RequestState.PENDING:
                continue
            with suppress(Settled):
                if way == "cancel":
                    self.apply_outcome(request, state_machine.cancel(request))
                elif way == "approve":
                    self.apply_outcome(request, approve_remaining_steps(request, actor=self.keys[actor], reason=reason))

    def deactivate(self, actor: str, person: str) -> None:
        for number, told in enumerate(self.model.requests):
            if told["person"] == person:
                with suppress(Settled):
                    self.cancel(person, number)

    def now(self, number: int) -> state_machine.Request:
        """The request with what is overdue today."""
        request = self.requests[number]
        steps = [replace(step, overdue=self.due.get(step.id, 999) <= self.model.today) for step in request.steps]
        return replace(request, steps=tuple(steps))

    def apply_outcome(self, request: state_machine.Request, outcome: state_machine.Outcome) -> None:
        self.requests[request.id] = self.moved(replace(request, state=outcome.state), outcome.moves)

    def moved(self, request: state_machine.Request, moves: tuple[tuple[int, StepState], ...]) -> state_machine.Request:
        to = dict(moves)
        for step in request.steps:
            if to.get(step.id) is StepState.OPEN:
                self.due[step.id] = self.model.today + self.days(request, step.position)
        steps = tuple(replace(step, state=to.get(step.id, step.state)) for step in request.steps)
        return replace(request, steps=steps, version=request.version + 1)

    def days(self, request: state_machine.Request, position: int) -> int:
        return int(self.model.requests[request.id]["rule"]["steps"][position][1])

    def deciders(self, request: state_machine.Request) -> Deciders | None:
        step = request.open_step
        if step is None:
            return None
        told = self.model.requests[request.id]
        return who_decides(
            self.approver(told["rule"]["steps"][step.position][0]), owner=self.owner(told["app"]),
            directory=self.directory(), without=frozenset({request.asked_by, request.for_person}),
        )  # fmt: skip

    def approver(self, who: Who) -> Approver:
        kind, name = who
        return Approver(person=self.keys[name]) if kind == "person" else Approver(group=self.keys[name])

    def owner(self, app: str) -> Approver | None:
        owner = self.model.apps[app]["owner"]
        return self.approver(owner) if owner else None

    def directory(self) -> Directory:
        active = frozenset(self.keys[name] for name, one in self.model.people.items() if one["active"])
        return Directory(
            active=active,
            members={
                self.keys[group]: tuple(sorted(active & {self.keys[name] for name in members}))
                for group, members in self.model.groups.items()
            },
            admins=tuple(sorted(self.keys[name] for name in self.model.admins())),
        )

    def look(self) -> dict[str, Any]:
        found = []
        for number, request in enumerate(self.requests):
            deciders = self.deciders(request)
            found.append(
                {
                    "state": request.state.value,
                    "steps": [{"state": step.state.value} for step in request.steps],
                    "tier": deciders.tier.value if deciders else None,
                    "deciders": {self.names[one] for one in deciders.people} if deciders else set(),
                    "overdue": any(step.overdue and step.state is StepState.OPEN for step in self.now(number).steps),
                }
            )
        return {"requests": found}

    def expected(self, model: Model) -> dict[str, Any]:
        """How it has to stand, in the form of `look`."""
        wanted = []
        for request in model.requests:
            step = model.open_step(request)
            wanted.append(
                {
                    "state": request["state"],
                    "steps": [{"state": one["state"]} for one in request["steps"]],
                    "tier": step["tier"] if step else None,
                    "deciders": {name for name, (live, _) in step["asked"].items() if live} if step else set(),
                    "overdue": model.overdue(request),
                }
            )
        return {"requests": wanted}
