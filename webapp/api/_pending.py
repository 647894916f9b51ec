"""What becomes of pending requests when an app is archived or its approval is turned off: said by the caller."""

from typing import Annotated, Literal

from pydantic import Field

from webapp import clock
from webapp.models import App
from webapp.operations import pending
from webapp.operations.errors import Invalid
from webapp.queries import rules
from webapp.queries.tokens import Caller
from webapp.web.problems import Problem
from webapp.wording import count

from ._types import Body, GivenKey, Text


class Pending(Body):
    """What becomes of pending requests."""

    action: Annotated[
        Literal["finish", "approve", "cancel"],
        Field(description="“finish”: they stay pending under their own rule. The others are for admins; no service "
                          "token approves."),
    ]  # fmt: skip
    reason: Annotated[Text, Field(description="Needed to approve and to cancel. People on these requests see it.")] = ""
    requests: Annotated[
        list[GivenKey] | None,
        Field(max_length=pending.LIMIT,
              description="Needed to approve and to cancel: the ids of the pending requests that you have looked at. "
                          "If there is another one, nothing is saved."),
    ] = None  # fmt: skip


def require_answer(app: App, given: Pending | None) -> None:
    """Refuses a change that leaves it open what becomes of pending requests. Call it before the change."""
    waiting = rules.pending_ids(app.id)
    if waiting and given is None:
        are, them = ("is", "it") if len(waiting) == 1 else ("are", "them")
        words = (
            f"{count(len(waiting), 'request')} for {app.name} {are} pending. Send “pending” to say what should happen "
            f"to {them}: finish, approve or cancel."
        )
        raise Problem(422, "invalid", words, {"pending": words})
    if given is not None and given.action != "finish" and given.requests is None:
        words = "Send the ids of the pending requests that you have looked at."
        raise Problem(422, "invalid", words, {"pending.requests": words})


def resolve(app: App, given: Pending | None, caller: Caller) -> None:
    """Does with the pending requests what was said; call it after the change."""
    if given is None:
        return
    waiting = rules.pending_ids(app.id)
    seen = [waiting[one] for one in given.requests or () if one in waiting]
    try:
        pending.resolve_pending(app, given.action, seen=seen, reason=given.reason, actor=caller, now=clock.now())
    except Invalid as error:
        names = {"why": "pending.reason", "pending": "pending.action"}
        raise Invalid(**{names.get(name, name): words for name, words in error.fields.items()}) from None
