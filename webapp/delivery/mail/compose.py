"""How an email is made: the three templates of its kind, with what every email has."""

from typing import Any

from flask import current_app

from webapp.queries.mail_context import MailContext

from .mime import Mail, sender_address
from .wording import LABEL_WIDTH, NAME, first_name, line, lines, row, why, wrap


def compose(facts: MailContext, **context: Any) -> Mail:
    """Renders the three templates of the notice's kind and addresses the mail."""
    notice, person, request = facts.notice, facts.person, facts.request
    sender = line(facts.organisation.sender) or NAME
    requester = facts.for_person
    common: dict[str, Any] = {
        "role": notice.role,
        "sender": sender,
        "why": why(facts),
        "app": line(facts.app.name) if facts.app else "",
        "reader": first_name(person.name) if person else "",
        "reference": request.reference if request else "",
        "asker": line(facts.asked_by.name) if facts.asked_by else "",
        "asker_first": first_name(facts.asked_by.name) if facts.asked_by else "",
        "requester": line(requester.name) if requester else "",
        "requester_first": first_name(requester.name) if requester else "",
        # True if the requester is also the person who gets access.
        "own": request is None or request.asked_by_id == request.for_person_id,
        # True if the reader is the person who gets access.
        "yours": (yours := person is not None and requester is not None and person.id == requester.id),
        "mine": yours and notice.role == "requester",
        "wrap": wrap,
        "row": row,
        "width": LABEL_WIDTH,
    }  # fmt: skip
    context |= {key: lines(context[key]) for key in ("message", "comment", "words", "reason") if key in context}
    environment = current_app.jinja_env

    def part(name: str, **more: Any) -> str:
        # Not render_template: its context processors need a signed-in user.
        return environment.get_template(name).render(common | context | more)

    # Each value is one line already, and isolated from the text around it (bidi).
    subject = " ".join(part(f"email/{notice.kind}/subject.txt").split())
    return Mail(
        notice,
        sender=(sender, sender_address()),
        to=(line(person.name), person.email) if person else ("", notice.address or ""),
        subject=subject,
        body=part(f"email/{notice.kind}/body.txt").strip() + "\n",
        html=part(f"email/{notice.kind}/body.html", subject=subject),
        thread=request.public_id if request else "",
    )
