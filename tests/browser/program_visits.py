"""How to get to the screens for programs: tokens and webhooks."""

from __future__ import annotations

import secrets
from datetime import timedelta

from playwright.sync_api import FilePayload, Page, expect

from tests.helpers import factories
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, Delivery, DeliveryTry, Person
from webapp.operations import endpoints as operations

from .cases import Cases
from .site import email


def new_service_token(page: Page, cases: Cases) -> None:
    page.goto("/admin/api")
    page.locator("#new-token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(f"Terraform {secrets.token_hex(3)}")
    dialog.locator("[value='apps:admin']").check()
    dialog.get_by_role("button", name="Create token", exact=True).click()
    expect(dialog.get_by_label("Your token", exact=True)).to_be_visible()


def token_of_rita(page: Page, cases: Cases) -> None:
    """What was done with a token."""
    page.goto("/admin/api/tokens")
    page.get_by_role("row").filter(has_text="Rita").get_by_role("link", name="laptop", exact=True).click()
    expect(page.get_by_role("heading", name="laptop", exact=True)).to_be_visible()


def shown_import(page: Page, cases: Cases) -> None:
    """What a file of people would change."""
    lines = [
        "email,name,department,manager,groups", "kim@example.com,Kim Park,Design,marta@example.com,Everybody",
        "rita@example.com,Rita Lindqvist,Brand,ines@example.com,", "nobody,Ann,,,", "paul@example.com,Paul Hartmann,,,",
    ]  # fmt: skip
    page.goto("/admin/directory/csv")
    file: FilePayload = {"name": "people.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_role("heading", name="What people.csv would change")).to_be_visible()


def refused_leak(page: Page, cases: Cases) -> None:
    page.goto("/admin/api")
    page.get_by_label("The token, or its first characters").fill("csn_0000")
    page.locator("#leak").get_by_role("button", name="End token", exact=True).click()
    expect(page.locator("#leaked[aria-invalid=true]")).to_be_visible()


def new_token(page: Page, cases: Cases) -> None:
    """A token that was just made."""
    page.goto("/account/tokens")
    page.locator("#new-token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(f"laptop {secrets.token_hex(3)}")
    for scope in ("requests:read", "decide"):
        dialog.locator(f"[value='{scope}']").check()
    dialog.get_by_label("Only from (optional)", exact=True).fill("10.2.0.0/16 2001:db8::/32")
    dialog.get_by_role("button", name="Create token", exact=True).click()
    expect(dialog.get_by_label("Your token", exact=True)).to_be_visible()


def token_ending(page: Page, cases: Cases) -> None:
    new_token(page, cases)
    page.get_by_role("link", name="Done", exact=True).click()
    page.locator("#tokens a").first.click()
    expect(page.get_by_role("button", name="End token", exact=True)).to_be_visible()


def refused_webhook(page: Page, cases: Cases) -> None:
    page.goto("/admin/webhooks/new")
    page.get_by_role("checkbox", name="Every event, also those of later versions").uncheck()
    page.locator("main form").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Add webhook", exact=True).click()
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()


def new_secret(page: Page, cases: Cases) -> None:
    """A webhook that was just added."""
    page.goto("/admin/webhooks/new")
    page.get_by_label("Name", exact=True).fill(f"Ledger {secrets.token_hex(3)}")
    page.get_by_label("Address", exact=True).fill(f"{cases.site.address}/webhook-viewer/in")
    page.get_by_role("button", name="Add webhook", exact=True).click()
    expect(page.get_by_role("textbox", name="Signing secret", exact=True)).to_be_visible()


def webhook(page: Page, cases: Cases) -> None:
    """One with two secrets that is paused, and deliveries in each state."""
    page.goto(f"/admin/endpoints/{_webhook(cases)}")
    expect(page.get_by_role("heading", name="Signing secret", exact=True)).to_be_visible()


def webhooks(page: Page, cases: Cases) -> None:
    _webhook(cases)
    page.goto("/admin/webhooks")


def webhook_removal(page: Page, cases: Cases) -> None:
    page.goto(f"/admin/endpoints/{_webhook(cases)}")
    page.locator("#remove").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def delivery(page: Page, cases: Cases) -> None:
    """One that is tried again, and one that waits behind it."""
    page.goto(f"/admin/endpoints/{_webhook(cases)}?state=retried")
    page.get_by_role("link", name="request.approved", exact=True).click()
    expect(page.get_by_role("heading", name="Waiting behind it", exact=True)).to_be_visible()


def _webhook(cases: Cases) -> str:
    with cases.app.app_context():
        choose("write")
        admin = db.session.query(Person).filter_by(email=email("Adam")).one()
        made = factories.webhook(admin, name=f"Service desk {secrets.token_hex(3)}")
        choose("write")
        made = db.session.merge(made)
        operations.rotate_secret(made, actor=admin, now=clock.now())
        operations.pause(made, actor=admin, now=clock.now())
        made.paused_why = "It answered 410 Gone."
        asked = db.session.query(AccessRequest).first()
        for number, (event, state, tries) in enumerate(_DELIVERIES):
            settled = clock.now() if state in ("sent", "dead", "obsolete") else None
            row = Delivery(endpoint_id=made.id, event=event, state=state, tries=tries, body='{"type": "x"}',
                           created_at=clock.now(), due_at=clock.now() + timedelta(hours=1), settled_at=settled,
                           ordered_by="1" if settled is None else None, request_id=asked.id, app_id=asked.app_id,
                           person_id=asked.for_person_id, event_seq=number + 1, status=503)  # fmt: skip
            db.session.add(row)
            db.session.flush()
            for _ in range(min(tries, 2)):
                answer = "503 Service Unavailable\ncontent-type: text/html\n\n<h1>Later</h1>"
                db.session.add(DeliveryTry(delivery_id=row.id, at=clock.now(), status=503, ms=212, answer=answer))
        outbox.commit()
        return made.public_id


_DELIVERIES = (
    ("request.submitted", "sent", 1),
    ("request.denied", "dead", 14),
    ("person.created", "obsolete", 0),
    ("request.approved", "due", 2),
    ("access.given", "due", 0),
)


def refused_channel(page: Page, cases: Cases) -> None:
    page.goto("/admin/chat")
    page.locator("#new form").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Add channel", exact=True).click()
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()


def open_every_call(page: Page, cases: Cases) -> None:
    """The page about the API with its calls unfolded: one of each shape, as axe takes a minute for all hundred."""
    page.goto("/api/docs")
    left = page.evaluate(ONE_OF_EACH_SHAPE)
    assert left > 5
    expect(page.get_by_label("Example of a request:").first).to_be_visible()


# Those that have the same elements with the same classes as one before are taken out; how many stay.
ONE_OF_EACH_SHAPE = """() => {
    const shapes = new Set();
    for (const call of document.querySelectorAll(".cs-op")) {
        const parts = [...call.querySelectorAll("*")].map((one) => `${one.tagName}.${one.className}`);
        const shape = [...new Set(parts)].sort().join();
        if (shapes.has(shape)) call.remove();
        shapes.add(shape);
        call.open = true;
    }
    return shapes.size;
}"""
