"""Approving and denying, by the person whose token it is. No service token decides."""

from typing import Annotated

from pydantic import Field

from webapp import clock
from webapp.operations import decisions, proofs
from webapp.queries.cases import Case
from webapp.queries.tokens import Caller
from webapp.runtime import trace
from webapp.web import access
from webapp.web.problems import Problem
from webapp.wording import count
from webapp.workflow.entitlements import Sheet
from webapp.workflow.scopes import Scope
from webapp.workflow.states import Assurance, Verdict

from . import _fields
from ._operation import operation
from ._types import Body, GivenValue, Text
from .requests import Request, fresh

StepPosition = Annotated[
    int | None,
    Field(description="The position of the step that you looked at: refused if another one is open by now.",
          examples=[1]),
]  # fmt: skip


class Approval(Body):
    """An approval."""

    step: StepPosition = None

    comment: Annotated[Text, Field(description="The requester and later approvers see it.")] = ""
    fields: Annotated[
        dict[str, GivenValue],
        Field(description="The fields that this step may set, by name.", examples=[{"Role": "Read only"}]),
    ] = Field(default_factory=dict)


class Denial(Body):
    """A denial, with its reason."""

    step: StepPosition = None

    reason: Annotated[Text, Field(description="The requester gets it by email.")]


_REFUSES = (404, 409)


@operation("POST", "/requests/{request}/approval", scope=Scope.DECIDE, audience="people", body=Approval,
           answer=Request, refuses=_REFUSES)  # fmt: skip
def approve(caller: Caller, *, request: str, body: Approval) -> Request:
    """Approve the open step.

    With the last approval the person gets the app. Some apps want the approver signed in; whether a token will do
    there, your organisation decides."""
    case = _case(request, caller)
    sheet = _sheet(case)
    with access.refused_as(case, caller), _fields.named(sheet):
        given = _fields.given(sheet, body.fields) if sheet.writable or body.fields else None
        decisions.decide(case, actor=caller, proof=proofs.SIGNED_IN, verdict=Verdict.APPROVED, comment=body.comment,
                         given=given, step_id=step_at(case, body.step), now=clock.now())  # fmt: skip
    return fresh(case, caller)


@operation("POST", "/requests/{request}/denial", scope=Scope.DECIDE, audience="people", body=Denial, answer=Request,
           refuses=_REFUSES)  # fmt: skip
def deny(caller: Caller, *, request: str, body: Denial) -> Request:
    """Deny the open step.

    It ends the request. The reason is required."""
    case = _case(request, caller)
    with access.refused_as(case, caller):
        decisions.decide(case, actor=caller, proof=proofs.SIGNED_IN, verdict=Verdict.DENIED, comment=body.reason,
                         step_id=step_at(case, body.step), now=clock.now())  # fmt: skip
    return fresh(case, caller)


def _case(request: str, caller: Caller) -> Case:
    case = access.request_to_decide(request)
    trace.about(access_request=case.request.public_id)
    if case.policy.assurance is Assurance.SIGN_IN and not caller.decides_signed_in:
        access.refuse_to_decide(case, caller)
        raise Problem(
            403, "not-allowed",
            f"{case.app.name} needs an approver who is signed in. Open the request in Countersign and decide there.",
        )  # fmt: skip
    return case


def _sheet(case: Case) -> Sheet:
    """The fields of the open step; none where there is no such step, which the decision refuses."""
    step = case.open_step
    return case.policy.sheet_for_step(step.position, case.request.values) if step is not None else Sheet()


def step_at(case: Case, position: int | None) -> int | None:
    """The id of the step at this position, None for the open one."""
    if position is None:
        return None
    if not 1 <= position <= len(case.steps):
        words = f"This request has {count(len(case.steps), 'step', 'steps')}."
        raise Problem(422, "invalid", words, {"step": words})
    return case.steps[position - 1].id
