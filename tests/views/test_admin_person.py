"""One person's page: access and why, its removal, details, passwords and sessions."""

from __future__ import annotations

import html
import re

import pytest
from sqlalchemy import insert, select, update

from tests.helpers import factories, lookups, pages, rules
from tests.helpers.changes import turn_off
from tests.helpers.lookups import app_called, facts, now
from tests.helpers.pages import flat, is_fragment, markup
from tests.helpers.statements import assert_constant, counting
from webapp import clock, links
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, App, Grant, Notice
from webapp.operations import people
from webapp.text import public_id, sha256

from .people_helpers import notices, url


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


# What somebody has, and why


def held(login_as, rita, ana, **changes):
    """Rita asked for Salesforce and Ana said yes."""
    app = factories.app("Salesforce", ana, **changes)
    made = factories.request(rita, app)
    factories.decide(made, ana)
    return app, made, grant_of(rita, app)


def grant_of(person, app):
    db.session.rollback()
    found = select(Grant).where(Grant.person_id == person.id, Grant.app_id == app.id).order_by(Grant.id.desc())
    return db.session.scalars(found.execution_options(populate_existing=True)).first()


def removal(person, grant):
    return f"{url(person)}/grants/{grant.public_id}/removal"


def test_the_page_says_what_somebody_has_with_which_fields_and_why(admin, login_as, rita, ana, ben, company):
    fields = (rules.text_field("role", requester=rules.WRITE), rules.text_field("region"))
    policy = rules.rule(ana, ben, see=({"role": rules.READ, "region": rules.WRITE}, {}), entitlements=fields)
    app = factories.app("Salesforce", policy=policy)
    made = factories.request(rita, app, given={"role": ["Writer"]})
    factories.decide(made, ana, given={"region": ["EMEA"]})
    factories.decide(made, ben)
    login_as(rita).post(f"/catalog/{factories.app('Zoom').public_id}/grant")
    page = pages.words(admin.get(url(rita)))
    assert "Role Writer by Rita Lindqvist, just now" in page and "Region EMEA by Ana Moreau, just now" in page
    assert f"Approved by Ana Moreau and Ben Okafor just now. Request {made.reference}" in page
    assert "Zoom Added by Rita just now without approval." in page


def test_an_override_is_told_as_one(admin, rita, ana, adam):
    factories.app("Salesforce", ana)
    made = factories.request(rita, db.session.merge(app_called("Salesforce")))
    turn_off(admin, app_called("Salesforce"), pending="approve", why="Everybody has it.")
    assert lookups.state(made) == "approved"
    assert "Approved by Adam Weiss just now (admin override)" in pages.words(admin.get(url(rita)))


def test_the_page_shows_requests_and_decisions_and_leads_to_all(admin, rita, ana):
    for number in range(7):
        factories.decide(factories.request(rita, factories.app(f"App {number}", ana)), ana)
    hers = admin.get(url(rita))
    assert "Requests 7 View all" in pages.words(hers) and "h-decisions" not in markup(hers)
    page = admin.get(url(ana))
    assert "Decisions 7 View all" in pages.words(page) and "App 6 for Rita Lindqvist" in pages.words(page)
    assert "No requests yet." in pages.words(page)
    assert "Approver for App 0 Step 1" in pages.words(page)
    every = admin.get(f"/admin/requests?approver={ana.public_id}")
    assert "7 of 7" in pages.words(every)
    assert "7 of 7" in pages.words(admin.get(f"/admin/requests?person={rita.public_id}"))


def test_who_has_nothing_has_a_page_too(admin, otto):
    page = pages.words(admin.get(url(otto)))
    assert "No apps" in page and "Not in any group." in page and "No active sessions." in page


def test_a_persons_page_takes_the_same_statements_with_1_30_and_300_apps(admin, rita, ana):
    counts = []
    for more in (1, 29, 270):
        for _ in range(more if more == 1 else 2):
            factories.decide(factories.request(rita, factories.app(f"App {factories.rows('apps')}", ana)), ana)
        choose("write")
        kept = db.session.scalars(select(App)).all()
        columns = {key.key: getattr(kept[0], key.key) for key in App.__table__.columns if key.key != "id"}
        names = [public_id() for _ in range(more)]
        db.session.execute(
            insert(App), [columns | {"public_id": one, "name": one, "sort_key": f"b {one}"} for one in names]
        )
        db.session.execute(
            insert(Grant),
            [
                {"app_id": id, "person_id": rita.id, "state": "active", "created_at": clock.now(), "public_id": name}
                for id, name in db.session.execute(select(App.id, App.public_id).where(App.public_id.in_(names)))
            ],
        )
        db.session.commit()
        with counting() as seen:
            assert admin.get(url(rita)).status_code == 200
        counts.append(len(seen))
    assert_constant(counts, at_most=22)


# Taking an app away


def test_an_app_is_taken_away_with_a_reason_and_everybody_is_told(admin, login_as, rita, ana, otto, adam):
    app, made, grant = held(login_as, rita, ana, owner=otto)
    answer = admin.post(removal(rita, grant), {"reason": "  Moved to <b>HubSpot</b>.\r\nAsk Otto. "})
    assert (answer.status_code, answer.headers["Location"]) == (303, url(rita))
    kept = grant_of(rita, app)
    assert (kept.state, kept.removed_by_id) == ("removed", adam.id)
    assert kept.removed_reason == "Moved to <b>HubSpot</b>.\nAsk Otto." and kept.removed_at is not None
    assert notices("grant-removed", rita) == 1 and notices("grant-removed", otto) == 1
    line = facts("grant.removed")[-1]
    assert (line["actor"], line["person"], line["app"], line["request"]) == (adam.id, rita.id, app.id, made.id)
    assert line["reason"] == sha256(kept.removed_reason) and "HubSpot" not in str(line)
    page = markup(admin.get(url(rita)))
    assert "Access to Salesforce removed." in page and "Removed access" in page
    assert "Moved to &lt;b&gt;" in admin.get(url(rita)).get_data(as_text=True)
    assert "access to <b>Salesforce</b>" in admin.get("/admin/audit").get_data(as_text=True)


def test_of_those_who_own_it_whoever_took_it_or_lost_it_gets_no_second_mail(admin, login_as, rita, ana, otto, adam):
    _, _, grant = held(login_as, rita, ana, owner=factories.group("Sales leads", adam, rita, otto))
    admin.post(removal(rita, grant), {"reason": "Moved."})
    assert [notices("grant-removed", one) for one in (rita, otto, adam)] == [1, 1, 0]


def test_what_was_taken_away_can_be_asked_for_again(admin, login_as, rita, ana):
    app, _, grant = held(login_as, rita, ana)
    admin.post(removal(rita, grant), {"reason": "Moved."})
    hers = login_as(rita)
    assert "Salesforce" not in pages.words(hers.get("/")).partition("My requests")[0]
    assert hers.post(f"/catalog/{app.public_id}/request", {"message": "Back again."}).status_code == 303
    factories.decide(db.session.scalars(select(AccessRequest).order_by(AccessRequest.id.desc())).first(), ana)
    assert grant_of(rita, app).state == "active"
    assert "Removed access" in markup(admin.get(url(rita)))


def test_htmx_opens_the_question_in_place_and_takes_it_back(admin, login_as, rita, ana):
    _, _, grant = held(login_as, rita, ana)
    asked = admin.get(removal(rita, grant), htmx=True)
    assert is_fragment(asked) and "Reason for removing Salesforce from Rita" in markup(asked)
    kept = admin.get(removal(rita, grant) + "?keep=1", htmx=True)
    assert is_fragment(kept) and "Why does" not in markup(kept) and f'id="grant-{grant.public_id}"' in markup(kept)
    whole = admin.get(removal(rita, grant))
    assert "Reason for removing Salesforce from Rita" in markup(whole) and not is_fragment(whole)
    done = admin.post(removal(rita, grant), {"reason": "Moved."}, htmx=True)
    assert is_fragment(done) and 'id="person"' in markup(done)
    assert "Access to Salesforce removed. Rita Lindqvist has been notified." in markup(done)


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(("reason", "sentence"), [(" \0 ", "Enter a reason"), ("x" * 501, "You entered 501.")])
def test_without_a_reason_nothing_is_taken_and_what_was_typed_stays(
    admin, login_as, rita, ana, reason, sentence, htmx
):  # fmt: skip
    app, _, grant = held(login_as, rita, ana)
    answer = admin.post(removal(rita, grant), {"reason": reason}, htmx=htmx)
    assert answer.status_code == 422 and is_fragment(answer) is htmx
    assert sentence in markup(answer) and (len(reason) < 500 or reason in markup(answer))
    assert grant_of(rita, app).state == "active" and notices("grant-removed", rita) == 0


@pytest.mark.parametrize("htmx", [False, True])
def test_taking_it_away_twice_is_a_conflict_that_says_who_did_it(admin, login_as, rita, ana, adam, htmx):
    _, _, grant = held(login_as, rita, ana)
    admin.post(removal(rita, grant), {"reason": "Moved."})
    answer = admin.post(removal(rita, grant), {"reason": "Again."}, htmx=htmx)
    assert answer.status_code == 409
    assert "Adam Weiss has already removed this access." in markup(answer)
    assert notices("grant-removed", rita) == 1 and len(facts("grant.removed")) == 1


def test_an_app_of_somebody_else_is_not_taken_away_by_that_address(admin, login_as, rita, ana, otto):
    app, _, grant = held(login_as, rita, ana)
    assert admin.post(removal(otto, grant), {"reason": "Moved."}).status_code == 404
    for path in (removal(rita, grant), removal(rita, grant) + "?keep=1"):
        assert login_as(otto).get(path).status_code == 404
    assert login_as(otto).post(removal(rita, grant), {"reason": "Moved."}).status_code == 404
    assert admin.get(removal(otto, grant), htmx=True).status_code == 404
    assert grant_of(rita, app).state == "active"


# Name and address, passwords, sessions


def test_a_name_and_an_address_are_changed_and_mails_go_there(admin, adam, rita):
    page = admin.get(url(rita) + "/details")
    was = was_of(page)
    answer = admin.post(
        url(rita) + "/details", {"name": "Rita Berg", "email": "Rita.Berg@Example.com", "about": "Sales", "was": was}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, url(rita))
    changed = now(rita)
    assert (changed.name, changed.email, changed.about) == ("Rita Berg", "rita.berg@example.com", "Sales")
    line = facts("person.changed")[-1]
    assert line["after"] == {"name": sha256("Rita Berg"), "email": sha256("rita.berg@example.com"),
                             "about": sha256("Sales")}  # fmt: skip
    assert "Berg" not in str(line)
    assert "Rita Berg" in markup(admin.get("/admin/people?q=rita.berg"))
    # She has no password yet, and the invitation went to the old address.
    assert notices("invitation", rita) == 1


def was_of(page):
    return html.unescape(re.search(r'name="was"\s+value="([^"]*name[^"]*)"', page.get_data(as_text=True))[1])


def test_another_address_kills_the_links_that_went_to_the_old_one(admin, login_as, rita, ana):
    factories.with_password(ana)
    made = factories.request(rita, factories.app("Salesforce", ana))
    with db.session.no_autoflush:
        old_link, old_password = lookups.link(made, ana), links.password_token(ana.public_id, now(ana).password_round)
    details = {"name": ana.name, "email": "a.moreau@example.com", "about": ana.about}
    nobody = login_as(None)
    assert nobody.get(f"/password/{old_password}").status_code == 200
    admin.post(url(ana) + "/details", details | {"was": was_of(admin.get(url(ana) + "/details"))})
    assert notices("approval-asked", ana) == 2
    assert lookups.link(made, ana) != old_link
    answer = nobody.post(old_link + "/approval", {"code": lookups.code(made, ana)})
    assert answer.status_code == 404 and lookups.state(made) == "pending"
    assert "no longer used" in markup(nobody.get(old_link))
    assert nobody.get(f"/password/{old_password}").status_code == 404
    new = {"password": "quite another one 1", "again": "quite another one 1"}
    assert nobody.post(f"/password/{old_password}", new).status_code == 404
    assert factories.rows("events", "kind = 'code.renewed'") == 1


def test_a_name_alone_leaves_links_as_they_are(admin, rita, ana):
    made = factories.request(rita, factories.app("Salesforce", ana))
    old = lookups.link(made, ana)
    details = {"name": "Ana Ortiz", "email": ana.email, "about": ana.about}
    admin.post(url(ana) + "/details", details | {"was": was_of(admin.get(url(ana) + "/details"))})
    assert lookups.link(made, ana) == old and notices("approval-asked", ana) == 1
    assert facts("person.changed")[-1]["before"] == {"name": sha256("Ana Moreau")}


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "Enter a name."),
        ({"email": "rita"}, "“rita” is not an email address."),
        ({"email": "ana@example.com"}, "A person with the email ana@example.com already exists."),
        ({"about": "a" * 121}, "Use 120 characters or fewer. You entered 121."),
    ],
)
def test_details_that_cannot_be_saved_stay_as_typed(admin, rita, changes, sentence, htmx):
    typed = {"name": "Rita Berg", "email": "rita@example.com", "about": "Sales"} | changes
    was = was_of(admin.get(url(rita) + "/details"))
    answer = admin.post(url(rita) + "/details", typed | {"was": was}, htmx=htmx)
    assert answer.status_code == 422 and is_fragment(answer) is htmx
    assert sentence in markup(answer) and "<dialog" in markup(answer)
    assert all(f'value="{one}"' in markup(answer) for one in typed.values())
    assert now(rita).name == "Rita Lindqvist"


@pytest.mark.parametrize("htmx", [False, True])
def test_details_that_somebody_else_changed_meanwhile_are_a_conflict(admin, rita, htmx):
    was = was_of(admin.get(url(rita) + "/details"))
    first = {"name": "Rita Berg", "email": rita.email, "about": ""}
    assert admin.post(url(rita) + "/details", first | {"was": was}).status_code == 303
    answer = admin.post(url(rita) + "/details", first | {"name": "Rita Tal", "was": was}, htmx=htmx)
    assert answer.status_code == 409 and 'value="Rita Tal"' in markup(answer)
    again = admin.post(url(rita) + "/details", first | {"name": "Rita Tal", "was": was_of(answer)})
    assert again.status_code == 303 and now(rita).name == "Rita Tal"


@pytest.mark.parametrize("htmx", [False, True])
def test_a_password_is_reset_by_a_mailed_link_and_once_at_a_time(admin, rita, adam, htmx):
    factories.with_password(rita)
    answer = admin.post(url(rita) + "/password-reset", htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    assert notices("password-reset", rita) == 1 and now(rita).password_hash
    line = facts("password.link_mailed")[-1]
    assert (line["actor"], line["person"]) == (adam.id, rita.id)
    again = admin.post(url(rita) + "/password-reset", htmx=htmx)
    assert again.status_code == 409 and "is already on its way to Rita Lindqvist" in markup(again)
    assert notices("password-reset", rita) == 1


@pytest.mark.parametrize("htmx", [False, True])
def test_a_reset_asks_before_it_sends(admin, rita, htmx):
    factories.with_password(rita)
    assert f'href="{url(rita)}/password-reset"' in flat(admin.get(url(rita)))
    question = admin.get(url(rita) + "/password-reset", htmx=htmx)
    assert question.status_code == 200 and is_fragment(question) is htmx
    assert "Reset the password of Rita Lindqvist?" in markup(question) and "Send link" in markup(question)
    assert "The email says that you sent it." in markup(question)
    assert notices("password-reset", rita) == 0
    admin.post(url(rita) + "/password-reset", htmx=htmx)
    refused = admin.post(url(rita) + "/password-reset", htmx=htmx)
    assert refused.status_code == 409 and "<dialog" in markup(refused)


def test_an_invitation_that_failed_shows_at_the_person_until_one_is_sent_again(admin, rita):
    choose("write")
    people.mail_invitation(db.session.merge(rita), now=clock.now())
    outbox.commit()
    notice = db.session.scalars(select(Notice).where(Notice.kind == "invitation")).one()
    choose("write")
    db.session.execute(update(Notice).values(state="dead", error="550 5.1.1 no such user", settled_at=clock.now()))
    db.session.commit()
    for page in ("/admin/people", url(rita)):
        shown = flat(admin.get(page))
        assert f"/admin/mail/{notice.public_id}" in shown and "nvitation" in shown
    assert "Invitation failed" in markup(admin.get("/admin/people?state=invited"))
    assert "could not be delivered to rita@example.com" in flat(admin.get(url(rita)))
    admin.post(url(rita) + "/invitation")
    assert "Invitation failed" not in markup(admin.get("/admin/people"))
    assert "could not be delivered" not in markup(admin.get(url(rita)))


def test_who_has_no_password_or_is_gone_gets_no_reset(admin, rita, ana):
    refused = admin.post(url(rita) + "/password-reset")
    assert refused.status_code == 409 and "Send the invitation again." in markup(refused)
    admin.post(url(ana) + "/deactivation")
    assert "Reactivate the account first." in markup(admin.post(url(ana) + "/password-reset"))


def test_somebody_is_signed_out_everywhere(admin, login_as, rita, adam):
    hers = login_as(rita)
    assert "Sign out everywhere" in markup(admin.get(url(rita)))
    answer = admin.post(url(rita) + "/sessions/ending", htmx=True)
    assert is_fragment(answer) and "Rita Lindqvist has been signed out of all sessions." in markup(answer)
    assert hers.get("/").headers["Location"].startswith("/sign-in")
    assert facts("session.ended")[-1]["actor"] == adam.id
    again = admin.post(url(rita) + "/sessions/ending")
    assert again.status_code == 409 and "has no active sessions" in markup(again)


def test_an_admin_who_signs_out_everywhere_sees_the_sign_in_page(admin, adam):
    assert admin.post(url(adam) + "/sessions/ending").headers["Location"] == "/sign-in"
