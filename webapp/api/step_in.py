"""What admins do to a pending request that is not theirs: cancel it, give it to somebody else, give it time."""

from typing import Annotated

from pydantic import Field

from webapp import clock
from webapp.operations import step_in
from webapp.operations.errors import Outrun
from webapp.queries import principals
from webapp.queries.cases import Case
from webapp.queries.tokens import Caller
from webapp.runtime import trace
from webapp.web import access
from webapp.web.problems import Problem
from webapp.workflow.scopes import Scope

from ._answers import GivenApprover
from ._operation import operation
from ._types import Body, Text
from .decisions import StepPosition, step_at
from .requests import Request, fresh

Reason = Annotated[Text, Field(description="Everyone on this request will see it.", examples=["Ana is away."])]
_REFUSES = (403, 404)


class AdminCancellation(Body):
    """Why it is cancelled."""

    reason: Reason


class Reassignment(Body):
    """Who decides the open step instead, and why."""

    step: StepPosition = None
    approver: GivenApprover
    reason: Reason


class Extension(Body):
    """How long the open step may take, and why."""

    step: StepPosition = None
    days: Annotated[int, Field(description="So many days from now; never earlier than it is due.", examples=[3])]
    reason: Reason


@operation("POST", "/requests/{request}/stepping-in/cancellation", scope=Scope.DECIDE, audience="admins",
           body=AdminCancellation, answer=Request, refuses=_REFUSES)  # fmt: skip
def cancel(caller: Caller, *, request: str, body: AdminCancellation) -> Request:
    """Cancel somebody’s pending request.

    The requester and everybody who was asked are told why."""
    case = _case(request)
    step_in.cancel(case, actor=caller, reason=body.reason, now=clock.now())
    return fresh(case, caller)


@operation("POST", "/requests/{request}/stepping-in/reassignment", scope=Scope.DECIDE, audience="admins",
           body=Reassignment, answer=Request, refuses=_REFUSES)  # fmt: skip
def reassign(caller: Caller, *, request: str, body: Reassignment) -> Request:
    """Give the open step to somebody else.

    They get an email, and earlier links no longer work. The deadline stays."""
    case = _case(request)
    _refuse_another_step(case, body.step)
    to = principals.chosen(body.approver.value)
    if to is None:
        raise Problem(422, "invalid", "Choose a person or group.", {"approver": "Choose a person or group."})
    step_in.reassign(case, to=to.approver, name=to.name, actor=caller, reason=body.reason, now=clock.now())
    return fresh(case, caller)


@operation("POST", "/requests/{request}/stepping-in/extension", scope=Scope.DECIDE, audience="admins", body=Extension,
           answer=Request, refuses=_REFUSES)  # fmt: skip
def extend(caller: Caller, *, request: str, body: Extension) -> Request:
    """Give the open step more time.

    It is due in so many days from now."""
    case = _case(request)
    _refuse_another_step(case, body.step)
    step_in.extend(case, days=str(body.days), actor=caller, reason=body.reason, now=clock.now())
    return fresh(case, caller)


def _case(request: str) -> Case:
    case = access.request_to_decide(request)
    trace.about(access_request=case.request.public_id)
    return case


def _refuse_another_step(case: Case, position: int | None) -> None:
    """Raises Outrun where another step is open than the one that the caller looked at."""
    wanted = step_at(case, position)
    if wanted is not None and case.open_step is not None and case.open_step.id != wanted:
        raise Outrun
