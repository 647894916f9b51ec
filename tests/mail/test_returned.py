"""What the owner of an app reads when somebody gives it back."""

from __future__ import annotations

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import SmtpServer
from tests.mail.contents import Drain, never_says, says
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.models import App, Grant, Person
from webapp.operations import returns


def give_back(grant: Grant, person: Person, reason: str) -> None:
    choose("write")
    returns.give_back(grant, actor=person, reason=reason, now=clock.now())
    outbox.commit()


def given(company: Company, name: str, owner: Person | None) -> tuple[App, Grant]:
    app = factories.app(name, owner=owner)
    return app, factories.grant(company.rita, app)


def test_the_owner_reads_who_why_and_what_to_do(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    app, grant = given(company, "Apptio", company.otto)
    give_back(grant, company.rita, "Moved to <HubSpot>.")
    drain()
    mail = smtp.one_to("otto@example.com")
    assert mail.subject == "Given back: Apptio by Rita Lindqvist"
    says(
        mail, "Rita Lindqvist gave back Apptio", "Rita Lindqvist no longer has access to Apptio, since",
        "Moved to <HubSpot>.",
        "close the account of Rita Lindqvist there.", "You received this email because you own Apptio.",
    )  # fmt: skip
    assert f"/admin/apps/{app.public_id}/people" in mail.text


def test_without_an_owner_an_admin_reads_it_and_without_a_reason_none_is_quoted(
    company: Company, smtp: SmtpServer, drain: Drain
) -> None:
    _, grant = given(company, "Apptio", None)
    give_back(grant, company.rita, "")
    drain()
    mail = smtp.one_to("adam@example.com")
    says(mail, "You received this email because you are an admin.")
    never_says(mail, "reason", "“")
