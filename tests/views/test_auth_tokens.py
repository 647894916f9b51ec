"""API tokens on the account page: list, make, end."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.helpers import changes, factories, lookups, pages
from tests.helpers.statements import counting
from webapp import clock, tokens
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Organisation
from webapp.operations import tokens as operations
from webapp.queries import tokens as queries
from webapp.workflow.policy import Policy, StepRule
from webapp.workflow.states import Assurance

PAGE = "/account/tokens"


@pytest.fixture
def hers(login_as, rita):
    return login_as(factories.with_password(rita))


def form(**changed):
    ends = (clock.now() + timedelta(days=20)).date().isoformat()
    return {"name": "laptop", "scopes": ["requests:read", "requests:write"], "ends": ends, "networks": "", **changed}


def make(person, name="laptop", *scopes, **more):
    choose("write")
    row, _ = operations.create(name=name, scopes=scopes or ("requests:read",), days=30, actor=person, person=person,
                               now=clock.now(), **more)  # fmt: skip
    outbox.commit()
    return row


def secret_on(answer):
    found = re.search(r'id="secret"[^>]*value="([^"]*)"', pages.flat(answer))
    return found[1] if found else ""


def in_use(person):
    db.session.rollback()
    return [line.token for line in queries.of_person(person.id, now=clock.now())]


@pytest.mark.parametrize("htmx", [False, True])
def test_a_token_is_made_and_shown_once(hers, rita, htmx):
    answer = hers.post(PAGE, form(networks="10.2.0.0/16"), htmx=htmx)
    assert answer.status_code == 200 and pages.is_fragment(answer) is htmx
    assert answer.headers["Cache-Control"] == "no-store"
    secret = secret_on(answer)
    (made,) = in_use(rita)
    assert tokens.digest(secret) == made.hash and made.scope_list == "requests:read requests:write"
    assert made.networks == "10.2.0.0/16" and made.expires_at.date().isoformat() == form()["ends"]
    assert "cannot be shown again" in pages.words(answer) and "/api/v1/me" in answer.text
    assert 'id="tokens"' in answer.text, "the list behind the dialog has it, too"
    page = hers.get(PAGE)
    assert made.beginning in page.text and secret not in page.text
    assert secret not in str(dict(hers.client.get_cookie("countersign").__dict__))


def test_the_form_sent_twice_makes_one_token_and_shows_nothing(hers, rita):
    sent = form()
    hers.post(PAGE, sent)
    again = hers.post(PAGE, sent)
    assert again.status_code == 422 and "A token named laptop is in use already." in pages.markup(again)
    assert secret_on(again) == "" and len(in_use(rita)) == 1


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"name": " "}, "Enter a name"),
        ({"name": "x" * 81}, "Use 80 characters or fewer"),
        ({"scopes": []}, "Choose at least one."),
        ({"scopes": ["audit:read"]}, "because you are not an admin"),
        ({"scopes": ["everything"]}, "is not a scope"),
        ({"ends": "tomorrow"}, "Enter a date"),
        ({"ends": "2020-01-01"}, "Choose a date from"),
        ({"ends": "2199-01-01"}, "Choose a date from"),
        ({"networks": "the office"}, "is not an address or a network"),
    ],
)
@pytest.mark.parametrize("htmx", [False, True])
def test_bad_input_is_refused_at_its_field_with_what_was_typed(hers, bad, sentence, htmx):
    before = lookups.everything()
    sent = form(networks="10.2.0.0/16") | bad
    answer = hers.post(PAGE, sent, htmx=htmx)
    page = pages.flat(answer)
    assert answer.status_code == 422 and sentence in page and 'aria-invalid="true"' in page
    assert f'value="{sent["name"].strip()}"' in page
    assert f'value="{sent["networks"]}"' in page and f'value="{sent["ends"]}"' in page
    if sent["scopes"][:1] == ["requests:read"]:
        assert re.search(r'value="requests:write" checked', page)
    assert lookups.everything() == before


def test_it_lasts_no_longer_than_the_organisation_allows(hers):
    ours = db.session.get_one(Organisation, 1)
    ours.token_days = 7
    db.session.commit()
    assert hers.post(PAGE, form()).status_code == 422
    last = (clock.now() + timedelta(days=7)).date()
    dialog = hers.get(f"{PAGE}/new", htmx=True)
    assert f'max="{last.isoformat()}"' in dialog.text and "allows tokens until" in dialog.text
    assert hers.post(PAGE, form(ends=last.isoformat())).status_code == 200


def test_where_people_may_make_none_the_page_says_so(hers, rita):
    make(rita)
    db.session.get_one(Organisation, 1).tokens_allowed = False
    db.session.commit()
    page = hers.get(PAGE)
    assert "does not allow API tokens" in page.text and "laptop" in page.text and "New token" not in page.text
    for answer in (hers.get(f"{PAGE}/new"), hers.post(PAGE, form(name="other"))):
        assert answer.status_code == 403 and "Ask an admin." in pages.markup(answer)
    assert len(in_use(rita)) == 1


def test_decide_says_for_which_apps_it_does_not_work(login_as, ana, ben):
    rule = Policy(steps=(StepRule(factories.approver(ana)),), assurance=Assurance.SIGN_IN)
    for name in ("NetSuite", "DocuSign"):
        factories.app(name, policy=rule)
    factories.app("Figma", ana)
    his, hers = login_as(ben), login_as(ana)
    assert "Does not work for DocuSign and NetSuite, where you have to sign in" in pages.flat(hers.get(f"{PAGE}/new"))
    assert "Does not work" not in pages.flat(his.get(f"{PAGE}/new"))
    for name in ("Gusto", "Rippling"):
        factories.app(name, policy=rule)
    assert "Does not work for DocuSign, Gusto and 2 more apps" in pages.flat(hers.get(f"{PAGE}/new"))
    db.session.get_one(Organisation, 1).tokens_decide_signed_in = True
    db.session.commit()
    assert "Does not work" not in pages.flat(hers.get(f"{PAGE}/new"))


def test_scopes_for_admins_are_offered_to_admins(login_as, rita, adam):
    assert "audit:read" not in login_as(rita).get(f"{PAGE}/new").text
    page = login_as(adam).get(f"{PAGE}/new").text
    assert "audit:read" in page and "more for admins" in page


@pytest.mark.parametrize("htmx", [False, True])
def test_a_token_is_ended_after_a_question(hers, rita, htmx):
    made = make(rita)
    address = f"{PAGE}/{made.public_id}/ending"
    question = hers.get(address, htmx=htmx)
    assert "End laptop?" in question.text and made.beginning in question.text
    answer = hers.post(address, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303) and in_use(rita) == []
    assert "laptop ended." in (answer if htmx else hers.get(PAGE)).text
    (line,) = lookups.facts("token.revoked")
    assert line["actor"] == rita.id
    again = hers.post(address, htmx=htmx)
    assert again.status_code == 409 and "had ended already" in again.text
    assert len(lookups.facts("token.revoked")) == 1


def test_making_asks_for_the_password_and_ending_does_not(hers, rita):
    made = make(rita)
    changes.shift("sessions", "proved_at", -16 * timedelta(minutes=1))
    asked = hers.post(PAGE, form(name="other"))
    assert asked.status_code == 401 and "Confirm your password" in asked.text
    assert 'name="scopes" value="requests:write"' in asked.text
    done = hers.post(PAGE, form(name="other", your_password=factories.PASSWORD))
    assert done.status_code == 200 and secret_on(done)
    changes.shift("sessions", "proved_at", -16 * timedelta(minutes=1))
    assert hers.post(f"{PAGE}/{made.public_id}/ending").status_code == 303


def test_nobody_sees_or_ends_the_token_of_another(login_as, rita, adam, otto):
    made = make(rita)
    for other in (login_as(otto), login_as(adam)):
        assert made.beginning not in other.get(PAGE).text
        assert other.get(f"{PAGE}/{made.public_id}/ending").status_code == 404
        assert other.post(f"{PAGE}/{made.public_id}/ending").status_code == 404
    assert len(in_use(rita)) == 1


def test_one_who_has_none_is_told_what_they_are_for(hers):
    page = hers.get(PAGE)
    assert "No API tokens" in page.text and "New token" in page.text
    assert "API tokens" in hers.get("/account").text


def test_the_page_asks_the_database_as_often_for_many_tokens(hers, rita):
    make(rita)
    with counting() as few:
        hers.get(PAGE)
    for number in range(30):
        make(rita, f"laptop {number}")
    with counting() as many:
        hers.get(PAGE)
    assert len(few) == len(many)
