"""What the emails about access say to whom: added, granted, removed, to be checked."""

from __future__ import annotations

from dataclasses import replace

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import SmtpServer
from tests.mail.contents import COST, ROLE, Drain, link_in, never_says, says
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.operations import grants, people
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import OutcomeRule, Policy, StepRule
from webapp.workflow.states import RequestState, Visibility


def test_an_added_app_comes_with_its_words(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    rule = Policy(
        approval_required=False,
        entitlements=(replace(ROLE, default="Sales user"), replace(COST, default="4711")),
        outcomes={RequestState.APPROVED: OutcomeRule(message="Sign in with your e-mail.")},
    )
    app = factories.app("Apptio", policy=rule, launch_url="https://apptio.example.com/")
    choose("write")
    grants.add_directly(app, factories.revision_of(app), actor=company.rita, now=clock.now())
    outbox.commit()
    drain()
    mail = smtp.one_to("rita@example.com")
    assert mail.subject == "You now have access to Apptio"
    says(mail, "You added Apptio on", "Sign in with your e-mail.", "Sales user", "Open Apptio",
         "https://apptio.example.com/", "because you added Apptio")  # fmt: skip
    never_says(mail, "4711", "Cost centre")


def test_who_loses_an_app_and_who_looks_after_it_read_why(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    app = factories.app("Miro", owner=company.finance)
    grant = factories.grant(company.rita, app)
    drain()
    choose("write")
    grants.remove(db.session.merge(grant), actor=company.adam, reason="Moved to\nFigma boards.", now=clock.now())
    outbox.commit()
    drain()
    hers = smtp.to("rita@example.com")[-1]
    assert hers.subject == "Removed: your access to Miro"
    says(hers, "Your access to Miro was removed", "Adam Weiss removed it on", "“Moved to Figma boards.”",
         "request it again in the catalog", "because you had access to Miro. Questions? Contact Finance")  # fmt: skip
    assert link_in(hers, "catalog") == "http://localhost/catalog"
    for address in ("ben@example.com", "chloe@example.com"):
        theirs = smtp.one_to(address)
        assert theirs.subject == "Removed: access to Miro for Rita Lindqvist"
        says(theirs, "Rita Lindqvist’s access to Miro was removed", "Adam Weiss removed it on", "remove it there",
             "because you own Miro.")  # fmt: skip
        never_says(theirs, "http://localhost/catalog")
    assert not smtp.to("adam@example.com")


def test_who_is_granted_access_and_who_was_left_out_read_why(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    fields = (Entitlement("role", "Role", "text", default="Reader"),
              Entitlement("seat", "Seat", "text", requester=Visibility.WRITE))  # fmt: skip
    rule = Policy(steps=(StepRule(factories.approver(company.ana)),), entitlements=fields)
    app = factories.app("Miro", policy=rule, owner=company.otto, launch_url="https://miro.example.com")
    choose("write")
    grants.give(app, factories.revision_of(app), person=company.rita, actor=company.adam, given={"seat": ["12"]},
                reason="Replaces\nBen.", now=clock.now())  # fmt: skip
    outbox.commit()
    drain()
    hers = smtp.one_to("rita@example.com")
    assert hers.subject == "Access granted: Miro"
    says(hers, "You have access to Miro", "Adam Weiss granted it without a request", "“Replaces Ben.”", "Seat",
         "12", "Open Miro", "because you have access to Miro.")  # fmt: skip
    never_says(hers, "Reader")
    assert "https://miro.example.com" in hers.text
    for address in ("ana@example.com", "otto@example.com"):
        theirs = smtp.one_to(address)
        assert theirs.subject == "Access granted: Miro for Rita Lindqvist"
        says(theirs, "Rita Lindqvist has access to Miro", "“Replaces Ben.”",
             "because you own Miro or approve requests for it.")  # fmt: skip
        never_says(theirs, "https://miro.example.com")
        never_says(theirs, "Seat")
    assert not smtp.to("adam@example.com")


def test_who_loses_several_apps_reads_it_in_one_email(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = [factories.grant(company.rita, factories.app(name, owner=company.otto)) for name in ("Zoom", "Miro")]
    drain()
    choose("write")
    grants.remove_all(company.rita, shown=[one.public_id for one in made], actor=company.adam, reason="Rita moves.",
                      now=clock.now())  # fmt: skip
    outbox.commit()
    drain()
    hers = smtp.to("rita@example.com")[-1]
    assert hers.subject == "Removed: your access to 2 apps"
    says(hers, "You no longer have access to 2 apps", "“Rita moves.”", "Miro", "Zoom",
         "because you had access to these apps.")  # fmt: skip
    theirs = smtp.one_to("otto@example.com")
    assert theirs.subject == "Removed: Rita Lindqvist’s access to 2 apps"
    says(theirs, "Miro", "Zoom", "because you own these apps.")


def test_other_admins_read_why_an_access_is_to_be_checked(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    factories.person("Ada Berg", admin=True)
    choose("write")
    people.send_invitation_again(company.ana, actor=company.adam, now=clock.now())
    outbox.commit()
    made = factories.request(company.adam, factories.app("Salesforce", company.ana))
    factories.decide(made, company.ana)
    drain()
    mail = smtp.one_to("ada@example.com")
    assert mail.subject == f"Check: Adam Weiss has access to Salesforce ({made.reference})"
    says(mail, "approved the request of", "had the sign-in link of Ana Moreau sent", "no one else approved",
         "remove the access and check the account of Ana Moreau", f"/requests/{made.public_id}",
         "because you are an admin")  # fmt: skip
