"""The one way past the chain: an admin's named override, with a reason and never for their own request."""

from .errors import ReasonMissing, SelfApproval, Settled
from .machine import Outcome, Request, require_open
from .states import RequestState, StepState


def approve_past_the_chain(request: Request, *, actor: int, reason: str) -> Outcome:
    """The open step is approved, those that wait are skipped. Raises SelfApproval, Settled or ReasonMissing."""
    if actor in (request.asked_by, request.for_person):
        raise SelfApproval("You cannot approve or deny your own request.")
    step = require_open(request)
    if step.overdue:
        raise Settled("The deadline for this decision has passed.")
    if not reason.strip():
        raise ReasonMissing("Enter a reason. It is saved in the request history with your name.")
    skipped = tuple((one.id, StepState.SKIPPED) for one in request.steps if one.state is StepState.WAITING)
    return Outcome(RequestState.APPROVED, ((step.id, StepState.APPROVED), *skipped), step.id)
