"""apps, request, requests, show, approve, deny, cancel, comment, remind."""

import time
from collections.abc import Sequence

import click

from countersign_cli import names
from countersign_cli.api import Json
from countersign_cli.failures import Exit
from countersign_cli.session import Session, asks, at, facts, fields_of
from countersign_cli.text import clean, lines

STATES = ("pending", "approved", "denied", "expired", "cancelled")
OUTCOMES = {"approved": Exit.DONE, "denied": Exit.DENIED, "expired": Exit.EXPIRED, "cancelled": Exit.CANCELLED}
# Seconds between two looks of --wait.
LOOK = 5.0
FIELD = "A field, by its name: --field Role=Editor. Several values: give it twice."
_MINE = {"request": "", "add": "no approval", "requested": "requested", "added": "you have it", "unavailable": "–"}


@click.command("apps")
@click.argument("words", nargs=-1)
@asks
def apps(session: Session, words: tuple[str, ...]) -> None:
    """List the apps of your catalog, with WORDS in their name, description or category."""
    found = list(session.api.items("/apps", q=" ".join(words) or None))
    session.table(found, {
        "App": lambda one: one["name"],
        "Category": lambda one: one["category"],
        "For you": lambda one: _MINE.get((one["mine"] or {}).get("state", ""), ""),
        "What it is": lambda one: one["description"],
    }, "No app matches." if words else "There is no app in your catalog.")  # fmt: skip


@click.command("request")
@click.argument("app")
@click.option("--field", "-f", "given", multiple=True, metavar="NAME=VALUE", help=FIELD)
@click.option("--message", "-m", default="", help="Why. Some apps need it.")
@click.option("--for", "for_person", help="Service tokens only: for whom, by email address, name or id.")
@click.option("--wait", is_flag=True, help="Wait for the outcome: exit code 0 approved, 10 denied, 11 expired, "
              "12 cancelled.")  # fmt: skip
@click.option(
    "--timeout", type=click.IntRange(1), help="With --wait: give up after so many seconds, with exit code 13."
)
@asks
def request(
    session: Session, app: str, given: Sequence[str], message: str, for_person: str | None, wait: bool,
    timeout: int | None,
) -> None:  # fmt: skip
    """Request APP, by its name or id. An app that needs no approval is added straight away."""
    fields, api = fields_of(given), session.api
    found = names.app(api, app)
    if (found["mine"] or {}).get("state") == "add":
        grant = api.post("/grants", {"app": found["id"]})
        session.show(grant, lambda: [f"{clean(found['name'])} added. It needs no approval."])
        return
    body = {"app": found["id"], "message": message, "fields": fields}
    if for_person is not None:
        body["for_person"] = names.person(api, for_person)["id"]
    made = api.post("/requests", body)
    if not wait:
        session.show(made, lambda: [f"{clean(found['name'])} requested: {made['reference']}.", *_waits_for(made)])
        return
    session.say(f"{found['name']} requested: {made['reference']}. Waiting for the decision …")
    made = _settled(session, made, timeout)
    session.show(made, lambda: _drawn(made))
    raise SystemExit(int(OUTCOMES.get(made["state"], Exit.STILL_PENDING)))


def _settled(session: Session, made: Json, timeout: int | None) -> Json:
    """The request once it is closed, or as it is when the time is over."""
    until = time.monotonic() + timeout if timeout is not None else None
    while made["state"] == "pending" and (until is None or time.monotonic() < until):
        time.sleep(LOOK if until is None else min(LOOK, max(0.0, until - time.monotonic())))
        made = session.api.get(f"/requests/{made['id']}")
    return made


@click.command("requests")
@click.option("--waiting", is_flag=True, help="Those that wait for your decision.")
@click.option("--all", "everything", is_flag=True, help="All that you can see, not only yours.")
@click.option("--state", type=click.Choice(STATES), help="Only in this state.")
@click.option("--app", help="Only for this app, by its name or id.")
@click.option("--limit", default=50, type=click.IntRange(1), show_default=True, help="The newest so many.")
@asks
def requests(session: Session, waiting: bool, everything: bool, state: str | None, app: str | None, limit: int) -> None:
    """List your requests, newest first; with --waiting those that you decide."""
    role = "approver" if waiting else None if everything or _is_service(session) else "requester"
    key = names.app(session.api, app, manage=True)["id"] if app else None
    found = list(session.api.items("/requests", limit=limit, role=role, state=state, app=key))
    session.table(found, {
        "Request": lambda one: one["reference"],
        "App": lambda one: one["app"]["name"],
        "For": lambda one: one["for_person"]["name"],
        "State": lambda one: one["state"],
        "Waiting for": lambda one: one["step"]["approver"]["name"] if one["step"] else "",
        "Due": lambda one: at(one["step"]["due_at"]) if one["step"] else "",
        "Requested": lambda one: at(one["created_at"]),
    }, "No request waits for you." if waiting else "There is no such request.")  # fmt: skip


def _is_service(session: Session) -> bool:
    return session.api.token.startswith("csn_svc_")


@click.command("show")
@click.argument("reference")
@asks
def show(session: Session, reference: str) -> None:
    """Show a request with its steps: R-7K3F9Q, or its id."""
    found = names.request(session.api, reference)
    session.show(found, lambda: _drawn(found))


@click.command("approve")
@click.argument("reference")
@click.option("--field", "-f", "given", multiple=True, metavar="NAME=VALUE", help=FIELD)
@click.option("--comment", "-m", default="", help="The requester and later approvers see it.")
@asks
def approve(session: Session, reference: str, given: Sequence[str], comment: str) -> None:
    """Approve the open step of a request."""
    fields = fields_of(given)
    found = names.request(session.api, reference)
    done = session.api.post(f"/requests/{found['id']}/approval", {"comment": comment, "fields": fields})
    session.show(done, lambda: [f"{done['reference']} approved: {_what(done)}.", *_waits_for(done)])


@click.command("deny")
@click.argument("reference")
@click.option("--reason", "-m", required=True, help="The requester gets it by email.")
@asks
def deny(session: Session, reference: str, reason: str) -> None:
    """Deny a request, with a reason."""
    found = names.request(session.api, reference)
    done = session.api.post(f"/requests/{found['id']}/denial", {"reason": reason})
    session.show(done, lambda: [f"{done['reference']} denied: {_what(done)}. The requester has been notified."])


@click.command("cancel")
@click.argument("reference")
@click.option("--reason", "-m", default="", help="The approvers get it by email.")
@asks
def cancel(session: Session, reference: str, reason: str) -> None:
    """Cancel your pending request."""
    found = names.request(session.api, reference)
    done = session.api.post(f"/requests/{found['id']}/cancellation", {"reason": reason})
    session.show(done, lambda: [f"{done['reference']} cancelled: {_what(done)}."])


@click.command("comment")
@click.argument("reference")
@click.argument("text")
@asks
def comment(session: Session, reference: str, text: str) -> None:
    """Comment on a request."""
    found = names.request(session.api, reference)
    done = session.api.post(f"/requests/{found['id']}/comments", {"text": text})
    session.show(done, lambda: [f"Comment added to {done['reference']}."])


@click.command("remind")
@click.argument("reference")
@asks
def remind(session: Session, reference: str) -> None:
    """Remind who has to decide your request; once a day."""
    found = names.request(session.api, reference)
    done = session.api.post(f"/requests/{found['id']}/reminders")
    session.show(done, lambda: [f"Reminder sent for {done['reference']}."])


def _what(one: Json) -> str:
    return clean(f"{one['app']['name']} for {one['for_person']['name']}")


def _waits_for(one: Json) -> list[str]:
    """Who decides next; nothing once it is closed."""
    step = next((step for step in one["steps"] if step["state"] == "open"), None)
    if one["state"] != "pending" or step is None:
        return []
    return [clean(f"Waiting for {step['approver']['name']}, due {at(step['due_at'])}.")]


def _drawn(one: Json) -> list[str]:
    drawn = facts([
        ("Request", f"{one['reference']} ({one['id']})"),
        ("App", one["app"]["name"]),
        ("For", one["for_person"]["name"]),
        ("Asked by", one["asked_by"]["name"] if one["asked_by"]["id"] != one["for_person"]["id"] else ""),
        ("State", one["state"]),
        ("Requested", at(one["created_at"])),
        ("Closed", at(one["settled_at"])),
        ("Note", one["note"]),
        *((name, ", ".join(value) if isinstance(value, list) else value) for name, value in one["fields"].items()),
    ])  # fmt: skip
    if one["message"]:
        drawn += ["", *(f"  {line}" for line in lines(one["message"]))]
    for step in one["steps"]:
        due = f", due {at(step['due_at'])}" if step["state"] == "open" else ""
        drawn += ["", clean(f"Step {step['position']}: {step['approver']['name']}, {step['state']}{due}")]
        for decision in step["decisions"]:
            said = f": {decision['comment']}" if decision["comment"] else ""
            drawn.append(clean(f"  {decision['by']['name']} {decision['verdict']} {at(decision['at'])}{said}"))
    return drawn
