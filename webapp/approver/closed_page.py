"""Explains why the reader cannot decide this request, or cannot any more: title, text and next step."""

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.approval_chain import names, waiting
from webapp.models import Person
from webapp.queries.cases import Case
from webapp.queries.chains import ChainStep, Who
from webapp.times import Times
from webapp.web.access import Invited
from webapp.wording import OVERRIDE

NOTHING_TO_DO = "You do not need to do anything."


@dataclass(frozen=True, slots=True)
class ClosedMessage:
    """`state` colours the seal: approved, denied, expired, cancelled or pending. `label` names the author of `quote`.
    `retry`: a newer link can decide."""

    state: str
    title: str
    lead: str
    label: str = ""
    quote: str = ""
    retry: bool = False


def closed_message(
    case: Case,
    steps: Sequence[ChainStep],
    reader: Person,
    invited: Invited | None,
    times: Times,
    *,
    has_session: bool,
    closed_by: Who | None,
) -> ClosedMessage | None:
    """The message, or None when the reader may decide the open step now. `closed_by`: who cancelled the request."""
    asker, app = case.for_person.name, case.app.name
    first = asker.split()[0]
    state = case.request.state
    mine = next((one for step in steps if (one := step.decision_of(reader.id)) is not None), None)
    last = next((step for step in reversed(steps) if step.closing_decision is not None), None)
    at = times.ago(case.request.settled_at) if case.request.settled_at else ""
    if state == "cancelled":
        by = closed_by.name if closed_by is not None else asker
        own = closed_by is None or closed_by.id in (case.request.for_person_id, case.request.asked_by_id)
        lead = f"{first} no longer needs {app}." if own else f"{first} did not get access to {app}."
        label = f"Reason from {by}"
        if closed_by is not None and closed_by.id == reader.id:
            by, label = "you", "Your reason"
        note = case.request.settled_note
        return ClosedMessage("cancelled", f"Cancelled by {by}, {at}", f"{lead} {NOTHING_TO_DO}", label, note)
    if state == "expired" or case.is_overdue:
        step = next((one for one in steps if one.state in ("expired", "open")), None)
        when = times.due(step.due_at) if step is not None and step.due_at else at
        return ClosedMessage(
            "expired",
            f"Expired {when}",
            f"No decision was made by the deadline. {first} can request {app} again; you will then get a new email.",
        )
    if state in ("approved", "denied") and last is not None and (closing := last.closing_decision) is not None:
        who = "you" if closing.by.id == reader.id else closing.by.name
        when = times.ago(closing.at)
        place = f", for {last.group_name}" if last.group_name else ""
        if closing.channel == "admin":
            place = f", {OVERRIDE}"
        title = f"{'Approved' if state == 'approved' else 'Denied'} by {who}, {when}{place}"
        if state == "approved":
            lead = f"{asker} now has access to {app}."
        else:
            lead = f"{asker} did not get access to {app} and can see the reason."
        if mine is None:
            lead += f" {NOTHING_TO_DO}"
        kind = "Comment" if state == "approved" else "Reason"
        label = f"Your {kind.lower()}" if mine is closing else f"{kind} from {closing.by.name}"
        return ClosedMessage(state, title, lead, label, closing.comment)
    open_step = next((step for step in steps if step.state == "open"), None)
    if open_step is None:
        return ClosedMessage("pending", "This request is pending", "You do not need to do anything right now.")
    # A link can decide its own step only; a session can decide any step that is open for the person.
    is_asked = any(who.id == reader.id for who in open_step.asked) and (
        has_session or (invited is not None and invited.invitation.step_id == open_step.id)
    )
    if reader.id in (case.request.for_person_id, case.request.asked_by_id):
        return ClosedMessage("pending", waiting(open_step), "This is your own request, so someone else has to decide.")
    if not is_asked:
        now_with = waiting(open_step)
        if mine is not None:
            verb = "approved" if mine.verdict == "approved" else "denied"
            when = times.ago(mine.at)
            return ClosedMessage(
                "pending",
                f"You {verb} this, {when}",
                f"{now_with}. {NOTHING_TO_DO}",
                "Your comment",
                mine.comment,
            )
        who = names(open_step)
        asked_for = invited.invitation.step_id if invited is not None else None
        settled = next((step for step in steps if step.id == asked_for), None)
        lead = "You are not, or are no longer, an approver for this request."
        if settled is not None and settled.closing_decision is not None:
            when = times.ago(settled.closing_decision.at)
            lead = f"{settled.closing_decision.by.name} already approved your step {when}."
        return ClosedMessage("pending", now_with + (f": {who}" if who and open_step.group_name else ""), lead)
    if invited is not None and not invited.is_newest and not has_session:
        return ClosedMessage(
            "pending",
            "There is a newer email",
            "This link can no longer be used to decide. Open the latest email or sign in.",
            retry=True,
        )
    return None
