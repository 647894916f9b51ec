"""Settings, API: tokens of services, whether people may make tokens, and a token that leaked."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.helpers import changes, factories, lookups, pages
from tests.helpers.statements import assert_constant, counting
from webapp import clock, tokens
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import ApiToken, Organisation
from webapp.operations import requests
from webapp.operations import tokens as operations
from webapp.queries import tokens as queries
from webapp.workflow.actor import Actor
from webapp.workflow.states import Channel

PAGE = "/admin/api"


@pytest.fixture
def admin(login_as, adam):
    return login_as(factories.with_password(adam))


def form(**changed):
    ends = (clock.now() + timedelta(days=100)).date().isoformat()
    return {"name": "Terraform", "scopes": ["apps:admin", "people:read"], "ends": ends, "networks": ""} | changed


def secret_on(answer):
    found = re.search(r'id="secret"[^>]*value="([^"]*)"', pages.flat(answer))
    return found[1] if found else ""


def stored(token):
    db.session.rollback()
    return db.session.get_one(ApiToken, token.id, populate_existing=True)


def with_secret(person, name="laptop"):
    choose("write")
    row, secret = operations.create(name=name, scopes=["requests:write"], days=30, actor=person, person=person,
                                    now=clock.now())  # fmt: skip
    outbox.commit()
    return row, secret


def ours():
    db.session.rollback()
    return db.session.get_one(Organisation, 1, populate_existing=True)


# ---------- Tokens of services ----------


@pytest.mark.parametrize("htmx", [False, True])
def test_a_service_token_is_made_and_shown_once(admin, adam, htmx):
    answer = admin.post(f"{PAGE}/tokens", form(networks="10.2.0.0/16"), htmx=htmx)
    assert answer.status_code == 200 and pages.is_fragment(answer) is htmx
    assert answer.headers["Cache-Control"] == "no-store"
    secret = secret_on(answer)
    caller = queries.find_caller(tokens.digest(secret), now=clock.now())
    assert caller is not None and caller.is_service and caller.token_name == "Terraform"
    assert caller.responsible_id == adam.id and 'id="services"' in answer.text
    page = admin.get(PAGE)
    assert "Terraform" in page.text and secret not in page.text
    again = admin.post(f"{PAGE}/tokens", form(), htmx=htmx)
    assert again.status_code == 422 and secret_on(again) == "" and "is in use already" in again.text
    assert "made the service token" in pages.words(admin.get("/admin/audit"))


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"name": ""}, "Enter a name"),
        ({"scopes": ["decide"]}, "A service token cannot decide."),
        ({"scopes": []}, "Choose at least one."),
        ({"ends": "2199-01-01"}, "Choose a date from"),
        ({"networks": "office"}, "is not an address or a network"),
    ],
)
def test_bad_input_is_refused_at_its_field_with_what_was_typed(admin, bad, sentence):
    before = lookups.everything()
    sent = form(networks="10.2.0.0/16") | bad
    answer = admin.post(f"{PAGE}/tokens", sent)
    page = pages.flat(answer)
    assert answer.status_code == 422 and sentence in page and 'aria-invalid="true"' in page
    assert f'value="{sent["ends"]}"' in page and f'value="{sent["networks"]}"' in page
    assert lookups.everything() == before


def test_decide_is_not_offered_to_a_service(admin):
    page = admin.get(f"{PAGE}/tokens/new", htmx=True)
    assert 'value="apps:admin"' in page.text and 'value="decide"' not in page.text


def test_a_token_is_replaced_by_one_with_its_name_and_scopes_and_works_on(admin):
    old = factories.token(None, "apps:read", "people:read", name="Terraform", days=5)
    assert "Replace Terraform" in admin.get(PAGE).text
    dialog = pages.flat(admin.get(f"{PAGE}/tokens/new?of={old.public_id}"))
    assert "works until you end it" in dialog and 'value="Terraform"' in dialog
    assert len(re.findall(r'name="scopes" value="[\w:]+" checked', dialog)) == 2
    answer = admin.post(f"{PAGE}/tokens", form(of=old.public_id))
    assert answer.status_code == 200 and "End it once the program uses the new token" in pages.flat(answer)
    assert stored(old).revoked_at is None
    again = admin.post(f"{PAGE}/tokens", form(of=old.public_id))
    assert again.status_code == 422 and "is in use already" in again.text


def test_the_token_of_a_person_is_not_replaced(admin, rita):
    theirs = factories.token(rita)
    assert "New service token" in admin.get(f"{PAGE}/tokens/new?of={theirs.public_id}", htmx=True).text


@pytest.mark.parametrize("htmx", [False, True])
def test_a_service_token_is_ended_and_stays_in_the_list_for_a_month(admin, htmx):
    made = factories.token(None, "apps:read", name="Old intranet")
    address = f"{PAGE}/tokens/{made.public_id}/ending"
    assert "End Old intranet?" in admin.get(address, htmx=htmx).text
    assert admin.post(address, htmx=htmx).status_code == (200 if htmx else 303)
    page = pages.words(admin.get(PAGE))
    assert "Ended just now" in page and "by Adam Weiss" in page
    again = admin.post(address, htmx=htmx)
    assert again.status_code == 409 and "had ended already" in again.text
    changes.shift("api_tokens", "revoked_at", timedelta(days=-31))
    assert "Old intranet" not in admin.get(PAGE).text


# ---------- Tokens of people ----------


@pytest.mark.parametrize("htmx", [False, True])
def test_people_are_told_how_many_tokens_stop(admin, rita, ana, htmx):
    for person, scope in ((rita, "requests:read"), (ana, "requests:read"), (ana, "decide")):
        factories.token(person, scope, name=scope)
    page = pages.words(admin.get(PAGE))
    assert "3 tokens of 2 people stop working at once" in page and "3 tokens of 2 people. 1 can decide." in page
    answer = admin.post(f"{PAGE}/people/allowed", {"was": "on"}, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303) and not ours().tokens_allowed
    assert "3 tokens of 2 people do not work now." in pages.words(answer if htmx else admin.get(PAGE))
    assert admin.post(f"{PAGE}/people/allowed", {"was": "off", "on": "1"}).status_code == 303
    assert ours().tokens_allowed
    assert "changed the organisation settings" in pages.words(admin.get("/admin/audit"))


@pytest.mark.parametrize("htmx", [False, True])
def test_each_setting_is_saved_by_itself(admin, htmx):
    admin.post(f"{PAGE}/people/days", {"was": "90", "days": "30"}, htmx=htmx)
    admin.post(f"{PAGE}/people/signed-in", {"was": "off", "on": "1"}, htmx=htmx)
    found = ours()
    assert (found.tokens_allowed, found.token_days, found.tokens_decide_signed_in) == (True, 30, True)
    assert len(lookups.facts("organisation.changed")) == 2


@pytest.mark.parametrize("days", ["0", "31", "-1", "3650", "many", ""])
def test_other_numbers_of_days_are_refused(admin, days):
    answer = admin.post(f"{PAGE}/people/days", {"was": "90", "days": days})
    assert answer.status_code == 422 and "Choose 30, 90 or 365 days." in pages.markup(answer)
    assert ours().token_days == 90


@pytest.mark.parametrize("htmx", [False, True])
def test_of_two_who_change_a_setting_the_second_sees_it(admin, htmx):
    admin.post(f"{PAGE}/people/days", {"was": "90", "days": "30"})
    answer = admin.post(f"{PAGE}/people/days", {"was": "90", "days": "365"}, htmx=htmx)
    assert answer.status_code == 409 and "Someone else changed this." in answer.text and ours().token_days == 30
    assert admin.post(f"{PAGE}/people/nothing", {"was": ""}).status_code == 404


def test_the_page_of_a_person_lists_their_tokens_and_leads_to_their_end(admin, rita, ana):
    address = f"/admin/people/{rita.public_id}"
    assert "No tokens in use." in pages.words(admin.get(address))
    mine, ended = factories.token(rita, name="Laptop"), factories.token(rita, name="Old one")
    factories.token(ana, name="Of Ana")
    admin.post(f"{PAGE}/tokens/{ended.public_id}/ending")
    admin.get(PAGE)  # it shows what was done
    page = admin.get(address)
    assert f'href="{PAGE}/tokens/{mine.public_id}"' in page.text
    assert f'href="{PAGE}/tokens/{mine.public_id}/ending"' in page.text
    words = pages.words(page)
    assert "Laptop" in words and "Never used" in words and "Old one" not in words and "Of Ana" not in words
    with counting() as few:
        admin.get(address)
    for number in range(9):
        factories.token(rita, name=f"Token {number}")
    with counting() as many:
        page = admin.get(address)
    assert_constant([len(few), len(many)], at_most=20)
    assert "5 more" in pages.words(page)


def test_the_tokens_of_people_are_listed_and_ended(admin, rita, company):
    made = factories.token(rita)
    page = pages.words(admin.get(f"{PAGE}/tokens"))
    assert "Rita" in page and made.beginning in page
    before = lookups.count_mails()
    assert "We will tell Rita" in admin.get(f"{PAGE}/tokens/{made.public_id}/ending", htmx=True).text
    assert admin.post(f"{PAGE}/tokens/{made.public_id}/ending").status_code == 303
    assert stored(made).revoked_at is not None and lookups.count_mails() == before + 1
    after = admin.get(f"{PAGE}/tokens")
    assert "We have told Rita" in after.text and "No tokens in use" in after.text


@pytest.mark.both_engines
def test_the_list_is_paged_by_key(admin, rita, otto, ana):
    for person in (rita, otto, ana):
        for number in range(20):
            factories.token(person, name=f"{person.first_name} {number}")
    first = admin.get(f"{PAGE}/tokens")
    assert "50 of 60, newest first" in pages.words(first) and "Newer" not in first.text
    older = re.search(r'href="(/admin/api/tokens\?after=\w+)"', first.text)[1]
    second = admin.get(older)
    assert "10 of 60" in pages.words(second) and "Rita 0" in second.text and "Rita 19" not in second.text
    newer = re.search(r'href="(/admin/api/tokens\?before=\w+)"', second.text)[1]
    assert pages.words(admin.get(newer)) == pages.words(first)


# ---------- A token leaked ----------


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("part", ["whole", "line of a log", "first characters", "more than its first characters"])
def test_a_leaked_token_is_ended_and_its_owner_told(admin, rita, htmx, part):
    made, secret = with_secret(rita)
    factories.token(rita, name="other")
    given = {
        "whole": secret,
        "line of a log": f'  "Authorization: Bearer {secret}", 200',
        "first characters": made.beginning,
        "more than its first characters": secret[:20],
    }[part]
    before = lookups.count_mails()
    answer = admin.post(f"{PAGE}/leak", {"leaked": given}, htmx=htmx)
    at = f"{PAGE}/tokens/{made.public_id}"
    assert answer.headers["HX-Redirect" if htmx else "Location"] == at
    assert stored(made).revoked_at is not None and lookups.count_mails() == before + 1
    assert queries.find_caller(tokens.digest(secret), now=clock.now()) is None
    page = pages.words(admin.get(at))
    assert "laptop ended. We have told Rita" in page and "nothing was changed with this token" in page
    (line,) = lookups.facts("token.revoked")
    assert line["leaked"] is True
    again = admin.post(f"{PAGE}/leak", {"leaked": given})
    assert again.headers["Location"] == at and "had ended already" in admin.get(at).text
    assert lookups.count_mails() == before + 1


def test_the_page_shows_what_was_done_with_it_in_the_last_month(admin, rita, ana):
    made, _ = with_secret(rita)
    for name in ("Figma", "Miro"):
        submit_by(made, rita, ana, name)
    factories.request(rita, factories.app("Concur", ana))
    page = pages.words(admin.get(f"{PAGE}/tokens/{made.public_id}"))
    assert "(token laptop) requested Figma" in page and "requested Miro" in page and "Concur" not in page
    assert "2 of 2, newest first" in page


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("", "Enter a token or its first characters."),
        ("hello", "Enter a token or its first characters."),
        ("csn_", "Enter at least 3 characters after csn_."),
        ("csn_svc_0", "Enter at least 3 characters after csn_svc_."),
        ("csn_00000", "No token begins with csn_00000."),
    ],
)
def test_what_fits_no_token_is_refused(admin, rita, given, sentence, htmx):
    factories.token(rita)
    before = lookups.everything()
    answer = admin.post(f"{PAGE}/leak", {"leaked": given}, htmx=htmx)
    assert answer.status_code == 422 and sentence in pages.markup(answer) and pages.is_fragment(answer) is htmx
    assert lookups.everything() == before


def test_if_several_begin_so_none_ends_and_more_is_asked_for(admin, rita, otto):
    rows = [factories.token(person) for person in (rita, otto)]
    for number, row in enumerate(rows):
        db.session.get_one(ApiToken, row.id).beginning = f"csn_abcd{number}"
    db.session.commit()
    answer = admin.post(f"{PAGE}/leak", {"leaked": "csn_abcd"})
    assert answer.status_code == 422 and "2 tokens begin with csn_abcd. Enter more characters" in pages.markup(answer)
    assert all(stored(row).revoked_at is None for row in rows)
    assert admin.post(f"{PAGE}/leak", {"leaked": "csn_ABCD"}).status_code == 422, "upper and lower case are others"
    assert admin.post(f"{PAGE}/leak", {"leaked": "csn_abcd1"}).status_code == 303
    assert [stored(row).revoked_at is None for row in rows] == [True, False]


def test_a_whole_token_that_is_unknown_does_not_come_back_on_the_page(admin):
    secret = tokens.make()
    answer = admin.post(f"{PAGE}/leak", {"leaked": secret})
    assert answer.status_code == 422 and secret not in answer.text and tokens.beginning(secret) in answer.text


def test_the_own_token_of_an_admin_ends_without_a_mail(admin, adam):
    made, secret = with_secret(adam)
    before = lookups.count_mails()
    admin.post(f"{PAGE}/leak", {"leaked": secret})
    page = admin.get(f"{PAGE}/tokens/{made.public_id}")
    assert "laptop ended. Below" in pages.flat(page) and lookups.count_mails() == before


# ---------- For all of it ----------


def test_ending_needs_no_recent_password_and_making_does(admin):
    made = factories.token(None, "apps:read")
    changes.shift("sessions", "proved_at", -16 * timedelta(minutes=1))
    asked = admin.post(f"{PAGE}/tokens", form())
    assert asked.status_code == 401 and "Confirm your password" in asked.text
    assert admin.post(f"{PAGE}/people/days", {"was": "90", "days": "30"}).status_code == 401
    assert admin.post(f"{PAGE}/leak", {"leaked": made.beginning}).status_code == 303


def test_others_find_nothing(login_as, rita):
    made = factories.token(rita)
    hers = login_as(rita)
    for path in ("", "/tokens", "/tokens/new", f"/tokens/{made.public_id}", f"/tokens/{made.public_id}/ending"):
        assert hers.get(PAGE + path).status_code == 404
    for path in ("/tokens", "/leak", "/people/days", f"/tokens/{made.public_id}/ending"):
        assert hers.post(PAGE + path).status_code == 404
    assert stored(made).revoked_at is None


def test_get_is_refused(admin):
    for path in ("/leak", "/people/days"):
        pages.assert_refuses_get(admin, PAGE + path)
    for path in ("/tokens/nothing", "/tokens/nothing/ending"):
        assert admin.get(PAGE + path).status_code == 404


def submit_by(token, rita, ana, name):
    app = factories.app(name, ana)
    choose("write")
    by = Actor.of(rita, channel=Channel.API, token=token.id)
    requests.submit(app, factories.revision_of(app), actor=by, message="", given={}, now=clock.now())
    outbox.commit()


def test_pages_take_the_same_statements_with_few_and_many_tokens(admin, rita, ana):
    made, _ = with_secret(rita)
    factories.token(None, name="Sync")
    submit_by(made, rita, ana, "Figma")
    numbers: dict[str, list[int]] = {"": [], "/tokens": [], f"/tokens/{made.public_id}": []}
    for more in (range(30), ()):
        for path, counts in numbers.items():
            with counting() as count:
                admin.get(PAGE + path)
            counts.append(len(count))
        for number in more:
            factories.token(ana, name=f"laptop {number}")
            factories.token(None, name=f"Sync {number}")
            submit_by(made, rita, ana, f"App {number}")
    for counts in numbers.values():
        assert_constant(counts, at_most=8)
