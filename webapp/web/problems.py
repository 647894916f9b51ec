"""Refusals for programs: RFC 9457 problems, with the sentences that people see on the screens."""

import json
from collections.abc import Mapping, Sequence

from flask import Response, request

from webapp.operations.errors import Conflict, Invalid, TooOften
from webapp.workflow.errors import (
    BadPolicy,
    BadValues,
    NobodyCanDecide,
    NotYourTurn,
    ReasonMissing,
    SelfApproval,
    Settled,
    WorkflowError,
)

CONTENT_TYPE = "application/problem+json"
# Name → (status, title, what a program does about it). The names are anchors on the page about the API. Of a status
# with several names the first one is told where nothing more is known.
PROBLEMS = {
    "malformed": (400, "The request could not be read", "Send JSON as the documentation says."),
    "token": (401, "No valid token", "Make a new one: it is missing, unknown, ended, or used from another network."),
    "not-allowed": (403, "Not allowed", "Ask somebody who may do this."),
    "scope": (403, "The token was not made for this", "Use a token that has the scope."),
    "not-yours": (403, "Not yours to decide", "It is not your turn, or it is your own request."),
    "not-found": (404, "Not found", "It does not exist, or this token’s person may not see it."),
    "wrong-method": (405, "Wrong method", "Use one of the methods in the Allow header."),
    "conflict": (409, "This has changed", "Read it again; the sentence says why it cannot be done now."),
    "settled": (409, "Already decided", "Nothing is left to do; the sentence says how it stands."),
    "nobody-there": (409, "Nobody could decide it", "Ask an admin to set an approver."),
    "changed": (412, "Changed since you read it", "Read it again, then change it."),
    "too-large": (413, "Too large", "Send less."),
    "invalid": (422, "Some of it does not fit", "Correct the fields that are named."),
    "condition-missing": (428, "If-Match is missing", "Send the ETag that you read as If-Match."),
    "slow-down": (429, "Too many calls", "Wait as long as Retry-After says."),
    "device-pending": (400, "Not approved yet", "Ask again after the interval, until the code ends."),
    "device-slow-down": (400, "Asked again too soon", "Wait 5 seconds longer between calls from now on."),
    "device-denied": (400, "Not allowed by the person", "Stop. Ask for a new code if that was a mistake."),
    "device-expired": (400, "The code has ended", "Ask for a new code: each works once, within 10 minutes."),
    "broken": (500, "Something went wrong", "Try again, or give an admin the reference."),
    "unavailable": (503, "Temporarily unavailable", "Nothing was saved. Try again in a minute."),
    "unsure": (503, "It is not known whether it was saved", "Send the same call with the same Idempotency-Key."),
}
# The same in the words of RFC 8628, as the member `error`.
_OAUTH_ERRORS = {
    "device-pending": "authorization_pending",
    "device-slow-down": "slow_down",
    "device-denied": "access_denied",
    "device-expired": "expired_token",
}
BY_STATUS = {status: name for name, (status, _, _) in reversed(PROBLEMS.items())} | {414: "too-large", 415: "malformed"}


class Problem(Exception):
    """A refusal of the API that no screen has; `name` is one of PROBLEMS, `errors` field → sentence."""

    def __init__(self, status: int, name: str, sentence: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.name, self.errors = status, name, errors


def is_for_a_program() -> bool:
    """Whether the answer goes to a program: errors included that belong to no view."""
    return request.path.startswith(("/api/v1", "/scim/v2"))


def for_a_directory(status: int, sentence: str) -> Response:
    """An error in the form of SCIM (RFC 7644, 3.12)."""
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": sentence}
    response = Response(json.dumps(body, ensure_ascii=False), status, content_type="application/scim+json")
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="SCIM"'
    return response


def answer(
    status: int, sentence: str, *, name: str = "", errors: Mapping[str, str] | None = None, reference: str = "",
) -> Response:  # fmt: skip
    """A problem; `name` is told from the status unless it is given."""
    if request.path.startswith("/scim/v2"):
        return for_a_directory(status, sentence)
    name = name or BY_STATUS.get(status, "malformed")
    body: dict[str, object] = {
        "type": f"/api/docs#{name}",
        "title": PROBLEMS[name][1],
        "status": status,
        "detail": sentence,
    }
    if name in _OAUTH_ERRORS:
        body["error"] = _OAUTH_ERRORS[name]
    if errors:
        body["errors"] = [{"field": field, "detail": words} for field, words in errors.items()]
    if reference:
        body["reference"] = reference
    response = Response(json.dumps(body, ensure_ascii=False), status, content_type=CONTENT_TYPE)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="Countersign"'
    return response


def of_status(status: int, sentence: str = "") -> Response:
    """The problem for an error of HTTP; without a sentence it says what a program does about it."""
    return answer(status, sentence or PROBLEMS[BY_STATUS.get(status, "malformed")][2])


# Kind of exception → status and name: the first that fits. Screens and programs get the same status and sentence.
REFUSALS: Sequence[tuple[type[Exception], int, str]] = (
    (SelfApproval, 403, "not-yours"),
    (NotYourTurn, 403, "not-yours"),
    (Settled, 409, "settled"),
    (NobodyCanDecide, 409, "nobody-there"),
    (ReasonMissing, 422, "invalid"),
    (BadValues, 422, "invalid"),
    (BadPolicy, 422, "invalid"),
    (Invalid, 422, "invalid"),
    (TooOften, 409, "conflict"),
    (Conflict, 409, "conflict"),
    (WorkflowError, 409, "conflict"),
)


def of_refusal(error: Exception) -> Response:
    """The problem for what an operation, or the API itself, refused."""
    if isinstance(error, Problem):
        return answer(error.status, str(error), name=error.name, errors=error.errors)
    status, name = next((status, name) for kind, status, name in REFUSALS if isinstance(error, kind))
    return answer(status, str(error), name=name, errors=_fields(error))


def _fields(error: Exception) -> dict[str, str]:
    if isinstance(error, Invalid):
        return dict(error.fields)
    if isinstance(error, BadValues):
        return {f"fields.{key}": words for key, words in error.fields.items()}
    if isinstance(error, ReasonMissing):
        return {"reason": str(error)}
    return {}
