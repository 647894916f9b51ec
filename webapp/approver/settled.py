"""Honest words for a request that this reader has nothing (left) to decide on."""

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.access import Invited
from webapp.chain import holder, names
from webapp.models import Person
from webapp.queries.cases import Case
from webapp.queries.chains import ChainStep
from webapp.times import Times


@dataclass(frozen=True, slots=True)
class Settlement:
    """`state` colours the seal: approved, denied, expired, cancelled or pending. `retry`: a newer link decides."""

    state: str
    title: str
    lead: str
    quote: str = ""
    quoted: str = ""
    retry: bool = False


def settlement(
    case: Case,
    steps: Sequence[ChainStep],
    reader: Person,
    invited: Invited | None,
    times: Times,
    *,
    has_session: bool,
    withdrawn_by: str = "",
) -> Settlement | None:
    """None when the reader may decide the open step now. `withdrawn_by`: who withdrew it in the asker's place."""
    asker, app = case.for_person.name, case.app.name
    first = asker.split()[0]
    state = case.request.state
    mine = next((step for step in steps if step.decided_by is not None and step.decided_by.id == reader.id), None)
    last = next((step for step in reversed(steps) if step.decided_by is not None), None)
    at = times.ago(case.request.settled_at) if case.request.settled_at else ""
    if state == "cancelled":
        return Settlement(
            "cancelled",
            f"Withdrawn by {withdrawn_by or asker}, {at}",
            f"{first} {'did not get' if withdrawn_by else 'no longer asks for'} {app}. "
            "There is nothing left for you to do.",
            case.request.settled_note,
            withdrawn_by or asker,
        )
    if state == "expired" or case.is_overdue:
        step = next((one for one in steps if one.state in ("expired", "open")), None)
        when = times.due(step.due_at) if step is not None and step.due_at else at
        return Settlement(
            "expired",
            f"Expired on {when}",
            f"Nobody answered in time, so {first} did not get {app}. "
            f"{first} can ask again, and you get a new mail then.",
        )
    if state in ("approved", "denied") and last is not None and last.decided_by is not None:
        who = "you" if last.decided_by.id == reader.id else last.decided_by.name
        when = times.ago(last.decided_at) if last.decided_at else ""
        place = f", for {last.group_name}" if last.group_name else ""
        if last.channel == "admin":
            place = ", as an admin"
        title = f"{'Approved' if state == 'approved' else 'Denied'} by {who}, {when}{place}"
        if state == "approved":
            lead = f"{asker} has {app}."
        else:
            lead = f"{asker} did not get {app}, and has the reason by mail."
        if mine is None:
            lead += " There is nothing left for you to do."
        return Settlement(state, title, lead, last.comment, last.decided_by.name if mine is not last else "You")
    open_step = next((step for step in steps if step.state == "open"), None)
    if open_step is None:
        return Settlement("pending", "This request is on its way", "There is nothing for you to do right now.")
    # A link stands for one step; a session may decide whichever step is open for the person.
    is_asked = any(who.id == reader.id for who in open_step.asked) and (
        has_session or (invited is not None and invited.invitation.step_id == open_step.id)
    )
    if reader.id in (case.request.for_person_id, case.request.asked_by_id):
        return Settlement(
            "pending",
            f"Now with {holder(open_step)}",
            "You asked for this yourself, so somebody else has to decide it.",
        )
    if not is_asked:
        now_with = f"Now with {holder(open_step)}"
        if mine is not None:
            verb = "approved" if mine.verdict == "approved" else "denied"
            when = times.ago(mine.decided_at) if mine.decided_at else ""
            return Settlement(
                "pending",
                f"You {verb} this, {when}",
                f"{now_with}. There is nothing left for you to do.",
                mine.comment,
                "You",
            )
        who = names(open_step)
        asked_for = invited.invitation.step_id if invited is not None else None
        settled = next((step for step in steps if step.id == asked_for), None)
        lead = "This decision is not yours to make (any more)."
        if settled is not None and settled.decided_by is not None:
            when = times.ago(settled.decided_at) if settled.decided_at else ""
            lead = f"{settled.decided_by.name} approved the step that you were asked for, {when}."
        return Settlement("pending", now_with + (f": {who}" if who and open_step.group_name else ""), lead)
    if invited is not None and not invited.is_newest and not has_session:
        return Settlement(
            "pending",
            "There is a newer mail for this",
            "A newer link and code were mailed to you, so this one only shows how things stand. "
            "Open the newest mail, or sign in to decide.",
            retry=True,
        )
    return None
