"""The state machine of a request: every state of a request times every event, and nothing else.

| request  | approve            | deny   | cancel    | expire            |
|----------|--------------------|--------|-----------|-------------------|
| pending  | next step/approved | denied | cancelled | expired, when due |
| approved | Settled            | Settled| Settled   | Settled           |
| denied   | Settled            | Settled| Settled   | Settled           |
| expired  | Settled            | Settled| Settled   | Settled           |
| cancelled| Settled            | Settled| Settled   | Settled           |
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from .errors import NotYourTurn, ReasonMissing, SelfApproval, Settled
from .states import Channel, RequestState, StepState, Verdict


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a request. `overdue` is the database's answer to "is the due instant past?".

    An open step closes with `needed` approvals (its quorum), or with one denial; `verdicts` are those so far, by
    person.
    """

    id: int
    position: int
    state: StepState
    overdue: bool = False
    needed: int = 1
    verdicts: Mapping[int, Verdict] = field(default_factory=dict)

    @property
    def approvals(self) -> int:
        return sum(verdict is Verdict.APPROVED for verdict in self.verdicts.values())


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its steps in order."""

    id: int
    version: int
    state: RequestState
    asked_by: int
    for_person: int
    steps: tuple[Step, ...]

    @property
    def open_step(self) -> Step | None:
        return next((step for step in self.steps if step.state is StepState.OPEN), None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one event does: the request's next state, each step that moves (step id, to state), and the step that
    closes (None while it waits for further approvals)."""

    state: RequestState
    moves: tuple[tuple[int, StepState], ...]
    settled_step: int | None = None

    @property
    def opened(self) -> int | None:
        """The step that opens, if one does."""
        return next((step for step, state in self.moves if state is StepState.OPEN), None)


_SETTLED = {
    RequestState.APPROVED: "This request is already approved.",
    RequestState.DENIED: "This request is already denied.",
    RequestState.EXPIRED: "This request has expired.",
    RequestState.CANCELLED: "This request is cancelled.",
}


def _refuse_requester(request: Request, actor: int) -> None:
    """Nobody decides their own request, by whatever right."""
    if actor in (request.asked_by, request.for_person):
        raise SelfApproval("You cannot approve or deny your own request.")


def require_open(request: Request) -> Step:
    """The open step; raises Settled with the present state in a sentence."""
    if request.state is not RequestState.PENDING:
        raise Settled(_SETTLED[request.state])
    step = request.open_step
    if step is None:
        raise Settled("No step of this request is open.")
    return step


def decide(
    request: Request,
    *,
    actor: int,
    verdict: Verdict,
    deciders: Collection[int],
    step_id: int | None = None,
    reason: str = "",
    channel: Channel = Channel.BROWSER,
) -> Outcome:
    """One person's verdict on the open step.

    `deciders` are the people who may decide it now; with channel `admin` (the named override) they are not
    asked, but a reason is, and the one approval stands for all that the step needs. `step_id` is the step the
    person was looking at: if the request has moved on since, the verdict was not meant for the step that is open now.
    Raises SelfApproval, Settled, NotYourTurn or ReasonMissing.
    """
    _refuse_requester(request, actor)
    step = require_open(request)
    if step_id is not None and step.id != step_id:
        raise Settled("This step has already been decided.")
    if step.overdue:
        raise Settled("The deadline for this decision has passed.")
    if actor in step.verdicts:
        raise Settled("You have already decided this step.")
    if channel is not Channel.ADMIN and actor not in deciders:
        raise NotYourTurn("You are not an approver for this step.")
    if (verdict is Verdict.DENIED or channel is Channel.ADMIN) and not reason.strip():
        raise ReasonMissing("Enter a reason. The requester will see it.")
    if verdict is Verdict.DENIED:
        return _end(request, RequestState.DENIED, step, StepState.DENIED)
    if channel is not Channel.ADMIN and step.approvals + 1 < step.needed:
        return Outcome(RequestState.PENDING, ())
    waiting = [one for one in request.steps if one.state is StepState.WAITING]
    if not waiting:
        return _end(request, RequestState.APPROVED, step, StepState.APPROVED)
    following = min(waiting, key=lambda one: one.position)
    return Outcome(
        RequestState.PENDING,
        ((step.id, StepState.APPROVED), (following.id, StepState.OPEN)),
        step.id,
    )


def approve_remaining_steps(request: Request, *, actor: int, reason: str) -> Outcome:
    """The open step is approved, those that wait are skipped. Raises SelfApproval, Settled, NotYourTurn
    or ReasonMissing."""
    _refuse_requester(request, actor)
    step = require_open(request)
    if step.overdue:
        raise Settled("The deadline for this decision has passed.")
    if actor in step.verdicts:
        raise NotYourTurn("You have already approved a pending request. Another admin has to approve the rest.")
    if not reason.strip():
        raise ReasonMissing("Enter a reason. It is saved in the request history with your name.")
    skipped = tuple((one.id, StepState.SKIPPED) for one in request.steps if one.state is StepState.WAITING)
    return Outcome(RequestState.APPROVED, ((step.id, StepState.APPROVED), *skipped), step.id)


def cancel(request: Request) -> Outcome:
    """Cancels the request. The caller has checked that the person may."""
    return _end(request, RequestState.CANCELLED, require_open(request), StepState.SKIPPED)


def expire(request: Request) -> Outcome:
    """The open step's time is over; raises Settled if it is not due (any more)."""
    step = require_open(request)
    if not step.overdue:
        raise Settled("This step is not overdue.")
    return _end(request, RequestState.EXPIRED, step, StepState.EXPIRED)


def _end(request: Request, state: RequestState, step: Step, to: StepState) -> Outcome:
    """The request ends: the open step becomes `to`, those still waiting are skipped."""
    skipped = tuple((one.id, StepState.SKIPPED) for one in request.steps if one.state is StepState.WAITING)
    return Outcome(state, ((step.id, to), *skipped), step.id)
