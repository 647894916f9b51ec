"""Admins find people, invite them, make other admins, and deactivate them."""

from __future__ import annotations

import re

import pytest

from tests.helpers import changes, factories, pages
from tests.helpers.lookups import facts, now, person_called
from tests.helpers.pages import is_fragment, markup
from tests.helpers.statements import assert_constant, counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person
from webapp.operations import people, tokens
from webapp.workflow.actor import SYSTEM

from .people_helpers import notices, url


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def many_people(number, first=0):
    choose("write")
    for index in range(first, first + number):
        people.create(email=f"p{index}@example.com", name=f"Person {index:04d}", actor=SYSTEM, now=clock.now())
    outbox.commit()


KIM = {"name": "Kim Park", "email": "Kim@Example.com", "about": "Head of Sales"}


# Who may


def test_an_outsider_finds_and_changes_nothing(login_as, otto, rita):
    outsider, nobody = login_as(otto), login_as(None)
    for path in ("", "/deactivation"):
        assert outsider.get(url(rita) + path).status_code == 404
        assert nobody.get(url(rita) + path).headers["Location"].startswith("/sign-in?next=/admin/people/")
    for path in ("/deactivation", "/reactivation", "/invitation", "/admin"):
        assert outsider.post(url(rita) + path, {"on": "1", "was": "off"}).status_code == 404
        assert nobody.post(url(rita) + path).headers["Location"] == "/sign-in"
    assert outsider.post("/admin/people", KIM).status_code == 404
    assert person_called("Kim Park") is None
    assert now(rita).active and not now(rita).is_admin


@pytest.mark.parametrize("path", ["/reactivation", "/invitation", "/admin"])
def test_nothing_is_changed_by_looking(admin, rita, path):
    assert admin.get(url(rita) + path).status_code == 405


def test_somebody_who_is_not_there_is_not_found(admin):
    assert admin.get("/admin/people/000000000000").status_code == 404
    for path in ("deactivation", "reactivation", "invitation", "admin"):
        assert admin.post(f"/admin/people/000000000000/{path}").status_code == 404


# The list


def test_the_list_shows_name_address_about_state_and_admins(admin, company, adam):
    factories.with_password(company.ana)
    admin.post("/admin/people", KIM)
    choose("write")
    people.deactivate(db.session.merge(company.otto), actor=adam, now=clock.now())
    outbox.commit()
    page = markup(admin.get("/admin/people"))
    for shown in ("Ana Moreau", "ana@example.com", "Head of Sales", "Active", "Invited", "Deactivated", "Admin"):
        assert shown in page
    assert "7 of 7, by name" in page


def test_the_search_looks_at_names_and_addresses(admin, company):
    answer = admin.get("/admin/people?q=MOREAU", htmx=True)
    assert is_fragment(answer)
    assert "Ana Moreau" in markup(answer) and "Ben Okafor" not in markup(answer)
    assert "Ben Okafor" in markup(admin.get("/admin/people?q=ben%40example"))
    assert "No people match “zzz”" in markup(admin.get("/admin/people?q=zzz"))


def test_pages_follow_each_other_by_name(admin):
    many_people(60)
    first = markup(admin.get("/admin/people"))
    assert "50 of 66" in first and "Person 0059" not in first
    more = markup(admin.get(f"/admin/people?after={person_called('Person 0040').public_id}"))
    assert "Person 0041" in more and "Person 0040" not in more and "Rita Lindqvist" in more
    back = markup(admin.get(f"/admin/people?before={person_called('Person 0010').public_id}"))
    assert "Adam Weiss" in back and "Person 0009" in back and "Person 0010" not in back


def test_beyond_a_thousand_the_count_is_round(admin):
    many_people(1001)
    assert "50 of 1,000+, by name" in markup(admin.get("/admin/people"))


def test_the_first_admin_alone_is_told_what_to_do(app, login_as):
    alone = login_as(factories.person("Adam Weiss", admin=True))
    assert "You are the only person so far." in markup(alone.get("/admin/people"))


def test_the_list_takes_the_same_statements_with_1_30_and_300_people(app, login_as):
    browser = login_as(factories.person("Adam Weiss", admin=True))
    counts = []
    for more in (0, 29, 270):
        many_people(more, first=more)
        with counting() as seen:
            assert browser.get("/admin/people").status_code == 200
        counts.append(len(seen))
    assert_constant(counts, at_most=6)


@pytest.mark.parametrize(
    ("state", "there", "not_there"),
    [
        ("active", "Ana Moreau", "Ben Okafor"),
        ("invited", "Ben Okafor", "Ana Moreau"),
        ("deactivated", "Otto Brandt", "Ben Okafor"),
        ("admins", "Adam Weiss", "Ben Okafor"),
    ],
)
def test_the_list_is_filtered_by_state_and_keeps_it(admin, company, adam, state, there, not_there):
    factories.with_password(company.ana)
    changes.deactivate(company.otto, adam)
    page = pages.words(admin.get(f"/admin/people?state={state}"))
    assert there in page and not_there not in page
    searched = admin.get(f"/admin/people?state={state}&q=zzz")
    assert f'<input type="hidden" name="state" value="{state}">' in markup(searched)
    assert "No people match “zzz”" in markup(searched)
    assert "Ben Okafor" in markup(admin.get("/admin/people?state=nonsense"))


def test_an_empty_filter_says_what_it_means(admin, company):
    assert "No deactivated people" in markup(admin.get("/admin/people?state=deactivated"))
    assert "No active people" in markup(admin.get("/admin/people?state=active"))


def test_pages_of_a_filter_stay_in_it(admin, company):
    many_people(60)
    page = markup(admin.get("/admin/people?state=invited"))
    assert "50 of 66" in page and re.search(r"state=invited&(amp;)?after=", page)


# Inviting


def test_somebody_is_invited_by_mail(admin, adam):
    answer = admin.post("/admin/people", KIM)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/people")
    kim = person_called("Kim Park")
    assert (kim.email, kim.about, kim.is_admin, kim.password_hash) == ("kim@example.com", "Head of Sales", False, None)
    assert notices("invitation", kim) == 1
    assert facts("person.created")[-1]["actor"] == adam.id
    assert "Invitation sent to kim@example.com" in markup(admin.get("/admin/people"))


def test_htmx_gets_the_list_and_a_toast(admin):
    answer = admin.post("/admin/people", KIM | {"is_admin": "1"}, htmx=True)
    assert answer.status_code == 200 and is_fragment(answer)
    assert 'id="results"' in markup(answer) and "<dialog" not in markup(answer)
    assert "Invitation sent to kim@example.com" in markup(answer)
    assert person_called("Kim Park").is_admin


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "Enter a name."),
        ({"name": "n" * 121}, "Use 120 characters or fewer."),
        ({"email": "kim"}, "“kim” is not an email address."),
        ({"email": "ana@example.com"}, "A person with the email ana@example.com already exists."),
        ({"about": "a" * 121}, "Use 120 characters or fewer. You entered 121."),
    ],
)
def test_an_invitation_that_cannot_be_sent_keeps_what_was_typed(admin, changes, sentence, htmx):
    typed = KIM | {"is_admin": "1"} | changes
    answer = admin.post("/admin/people", typed, htmx=htmx)
    assert answer.status_code == 422 and is_fragment(answer) is htmx
    text = markup(answer)
    assert sentence in text and "<dialog" in text
    for field in ("name", "email", "about"):
        assert f'value="{typed[field]}"' in text
    assert "checked" in text[text.index('name="is_admin"') :][:120]
    assert factories.rows("people") == 6


def test_inviting_the_same_person_twice_is_refused(admin):
    admin.post("/admin/people", KIM)
    assert admin.post("/admin/people", KIM).status_code == 422
    assert factories.rows("people", "email = 'kim@example.com'") == 1


def test_the_dialog_is_a_page_without_script_and_a_fragment_with_it(admin):
    assert "aria-modal" in markup(admin.get("/admin/people/new"))
    assert is_fragment(admin.get("/admin/people/new", htmx=True))


def test_an_invitation_is_sent_again_to_who_has_no_password(admin, rita, adam):
    answer = admin.post(url(rita) + "/invitation", htmx=True)
    assert is_fragment(answer) and "Invitation sent again to rita@example.com." in markup(answer)
    assert notices("invitation", rita) == 1
    assert facts("person.invited")[-1]["actor"] == adam.id
    factories.with_password(rita)
    refused = admin.post(url(rita) + "/invitation")
    assert refused.status_code == 409 and "Rita Lindqvist already has a password." in markup(refused)
    assert notices("invitation", rita) == 1
    assert "Send again" not in markup(admin.get(url(rita)))


# One person


def test_a_persons_page_shows_their_account_and_groups(admin, ben, company):
    page = markup(admin.get(url(ben)))
    assert "ben@example.com" in page and "Finance" in page and "Invited" in page


def test_somebody_is_made_admin_and_no_admin_again(admin, ana, adam):
    answer = admin.post(url(ana) + "/admin", {"on": "1", "was": "off"})
    assert (answer.status_code, answer.headers["Location"]) == (303, url(ana))
    assert now(ana).is_admin
    last = facts("person.changed")[-1]
    assert (last["actor"], last["person"], last["after"]) == (adam.id, ana.id, {"is_admin": True})
    back = admin.post(url(ana) + "/admin", {"was": "on"}, htmx=True)
    assert is_fragment(back) and "Ana Moreau is no longer an admin." in markup(back)
    assert not now(ana).is_admin


def test_the_last_admin_cannot_be_unmade(admin, adam):
    answer = admin.post(url(adam) + "/admin", {"was": "on"}, htmx=True)
    assert answer.status_code == 409 and is_fragment(answer)
    assert "Adam Weiss is the only admin. Make another person an admin first." in markup(answer)
    assert admin.post(url(adam) + "/admin", {"was": "on"}).status_code == 409
    assert now(adam).is_admin


def test_a_deactivated_admin_does_not_count_as_another_one(admin, adam, ana):
    choose("write")
    people.set_admin(db.session.merge(ana), is_admin=True, actor=adam, now=clock.now())
    people.deactivate(db.session.merge(ana), actor=adam, now=clock.now())
    outbox.commit()
    assert admin.post(url(adam) + "/admin", {"was": "on"}).status_code == 409
    assert now(adam).is_admin


def test_an_admin_who_steps_back_leaves_the_admin_pages(admin, adam, ana):
    admin.post(url(ana) + "/admin", {"on": "1", "was": "off"})
    answer = admin.post(url(adam) + "/admin", {"was": "on"}, htmx=True)
    assert answer.headers["HX-Redirect"] == "/"
    assert admin.get("/admin/people").status_code == 404


def test_a_switch_that_somebody_else_turned_meanwhile_is_a_conflict(admin, ana):
    admin.post(url(ana) + "/admin", {"on": "1", "was": "off"})
    for htmx in (False, True):
        answer = admin.post(url(ana) + "/admin", {"on": "1", "was": "off"}, htmx=htmx)
        assert answer.status_code == 409
        assert "Ana Moreau is now an admin." in markup(answer)


def test_a_deactivated_person_is_not_made_admin(admin, ana):
    admin.post(url(ana) + "/deactivation")
    answer = admin.post(url(ana) + "/admin", {"on": "1", "was": "off"})
    assert answer.status_code == 409 and "Reactivate the account first." in markup(answer)


def test_a_new_admin_is_asked_where_only_admins_are_left(admin, login_as, ana, rita, company):
    """The fallback is worked out anew when admins change."""
    request = factories.request(rita, factories.app("Benevity", ana))
    admin.post(url(ana) + "/deactivation")
    assert notices("approval-asked", company.adam) == 1
    admin.post(url(company.ben) + "/admin", {"on": "1", "was": "off"})
    assert notices("approval-asked", company.ben) == 1
    assert now(request).state == "pending"


# Deactivating


def test_the_question_says_what_will_happen(admin, ana, ben, rita, company):
    factories.request(ana, factories.app("Figma", ben))
    factories.request(rita, factories.app("Benevity", ana))
    factories.request(company.otto, factories.app("Jira", company.finance))
    page = markup(admin.get(url(ana) + "/deactivation"))
    assert "aria-modal" in page and "Deactivate Ana Moreau?" in page
    assert "They will be signed out of all sessions" in page
    assert "Their 1 pending request will be cancelled." in page
    assert "1 request waiting for their decision will go to the app owner or, if there is none, to the admins." in page
    fragment = admin.get(url(ben) + "/deactivation", htmx=True)
    assert is_fragment(fragment)
    assert "They have no pending requests." in markup(fragment)
    assert "1 request waiting for their groups can be decided by the other members." in markup(fragment)
    assert now(ana).active


def test_the_question_names_the_tokens_of_services_that_the_person_made(admin, ana, adam):
    page = url(ana) + "/deactivation"
    assert "service token" not in markup(admin.get(page))
    for name, maker, person in (("HR sync", ana, None), ("Backup", adam, None), ("laptop", ana, ana)):
        choose("write")
        tokens.create(name=name, scopes=["apps:read"], days=30, actor=maker, now=clock.now(), person=person)
        outbox.commit()
    assert "The 1 service token that they made works on" in markup(admin.get(page))


def test_who_is_deactivated_is_signed_out_and_their_requests_are_cancelled(admin, login_as, ana, ben, rita, adam):
    hers = login_as(rita)
    cancelled = factories.request(rita, factories.app("Figma", ben))
    moved = factories.request(ana, factories.app("Benevity", rita))
    answer = admin.post(url(rita) + "/deactivation")
    assert (answer.status_code, answer.headers["Location"]) == (303, url(rita))
    assert not now(rita).active
    assert hers.get("/").headers["Location"].startswith("/sign-in")
    assert now(cancelled).state == "cancelled" and now(moved).state == "pending"
    assert notices("approval-asked", adam) == 1
    assert facts("person.deactivated")[-1]["actor"] == adam.id


def test_htmx_gets_the_person_back(admin, ana):
    answer = admin.post(url(ana) + "/deactivation", htmx=True)
    assert answer.status_code == 200 and is_fragment(answer)
    assert 'id="person"' in markup(answer) and "Reactivate" in markup(answer) and "<dialog" not in markup(answer)


@pytest.mark.parametrize("htmx", [False, True])
def test_nobody_deactivates_themselves_and_a_second_press_is_told(admin, adam, ana, htmx):
    answer = admin.post(url(adam) + "/deactivation", htmx=htmx)
    assert answer.status_code == 409 and is_fragment(answer) is htmx
    assert "You cannot deactivate yourself. Ask another admin." in markup(answer)
    admin.post(url(ana) + "/deactivation")
    again = admin.post(url(ana) + "/deactivation", htmx=htmx)
    assert again.status_code == 409 and "Ana Moreau is already deactivated." in markup(again)
    assert now(adam).active


def test_who_comes_back_is_reactivated(admin, ana, adam):
    admin.post(url(ana) + "/deactivation")
    answer = admin.post(url(ana) + "/reactivation", htmx=True)
    assert answer.status_code == 200 and "Ana Moreau reactivated." in markup(answer)
    assert now(ana).active
    assert facts("person.reactivated")[-1]["actor"] == adam.id
    again = admin.post(url(ana) + "/reactivation")
    assert again.status_code == 409 and "Ana Moreau is already active." in markup(again)


def test_the_only_other_admin_can_be_deactivated_but_not_the_last(admin, ana, adam):
    admin.post(url(ana) + "/admin", {"on": "1", "was": "off"})
    assert admin.post(url(ana) + "/deactivation").status_code == 303
    assert isinstance(now(adam), Person) and now(adam).active


def test_names_are_shown_as_words(admin):
    admin.post("/admin/people", KIM | {"name": "<img src=x>", "about": "<b>x</b>"})
    page = admin.get("/admin/people").get_data(as_text=True)
    assert "<img src=x>" not in page and "<b>x</b>" not in page
