"""One app's page: each setting is saved by itself, keeps what was typed, and overwrites nobody unseen."""

from __future__ import annotations

import html
import re

import pytest
from sqlalchemy import select

from webapp import clock, outbox
from webapp.extensions import db
from webapp.models import Audience
from webapp.operations import groups, people
from webapp.transactions import choose
from webapp.workflow.policy import Approver, Policy, StepRule
from webapp.workflow.states import Assurance

from .. import factories
from .admin_helpers import events, flat, is_fragment, now, policy_of, statements, words


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.fixture
def app_(ana):
    return factories.app("Benevity", ana, category="People", description="Giving and volunteering.")


class Page:
    """An app's page as a browser holds it: each form with the values it was drawn with."""

    def __init__(self, browser, app):
        self.browser, self.url = browser, f"/admin/apps/{app.public_id}"
        self.text = browser.get(self.url).get_data(as_text=True)

    def was(self, section):
        form = self.text[self.text.index(f"{self.url}/{section}") :]
        return html.unescape(re.search(r'name="was" value="([^"]*)"', form)[1])

    def save(self, section, htmx=False, **values):
        data = {"was": self.was(section)} | values
        return self.browser.post(f"{self.url}/{section}", data, htmx=htmx)


DETAILS = {"name": "Benevity", "description": "Giving.", "category": "Good",
           "launch_url": "https://benevity.example/start"}  # fmt: skip


def test_the_page_shows_all_that_is_set(admin, rita, company, ana):
    app = factories.app("Salesforce", ana, owner=company.finance, note="Only for people who work with accounts.")
    factories.request(rita, app)
    page = flat(admin.get(f"/admin/apps/{app.public_id}"))
    assert "owned by Finance" in page
    assert "1 request is pending." in page and "They keep the rule they started under" in page
    for link in ("/requests?state=pending", "#part-app"):
        assert f'href="/admin/apps/{app.public_id}{link}"' in page
    assert 'href="/catalog?q=Salesforce"' in page
    assert "Only for people who work with accounts." in page
    assert f'<option value="person:{ana.public_id}" selected' in page
    assert f'<option value="group:{company.finance.public_id}" selected' in page


def short(page):
    return re.sub(r"<[^>]+>", "", re.search(r'<p class="cs-short"[^>]*>(.*?)</p>', page)[1]).strip()


def test_a_sentence_on_top_says_what_the_rules_come_to(admin, app_, ana, company):
    where = f"/admin/apps/{app_.public_id}"
    assert short(flat(admin.get(where))) == (
        "In short: everyone may ask. Ana Moreau decides, within 3 days. The requester always hears the result."
    )
    answer = admin.post(f"{where}/steps/new", {"step": f"group:{company.finance.public_id}"}, htmx=True)
    assert 'id="short" hx-swap-oob="true"' in flat(answer)
    assert "Ana Moreau decides first, then Finance, each within 3 days." in short(flat(answer))
    answer = Page(admin, app_).save("requestable", htmx=True)
    assert short(flat(answer)).startswith("In short: it is not in the catalog, so nobody can ask for it.")
    none = factories.app("Zoom")
    assert "may add it and gets it at once" in short(flat(admin.get(f"/admin/apps/{none.public_id}")))


def test_the_page_takes_the_same_statements_with_few_and_many_people(admin, app_):
    counts = []
    for more in (0, 30, 300):
        choose("write")
        for index in range(more):
            people.create(email=f"p{more}-{index}@example.com", name=f"P {index}", actor=None, now=clock.now())
            if index < 40:
                groups.create(name=f"G {more}-{index}", actor=None, now=clock.now())
        outbox.commit()
        with statements() as seen:
            assert admin.get(f"/admin/apps/{app_.public_id}").status_code == 200
        counts.append(len(seen))
    assert counts == [9, 9, 9]


def test_name_description_category_and_link_are_saved_together(admin, app_, adam):
    answer = Page(admin, app_).save("details", **DETAILS | {"name": "Benevity One"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/apps/{app_.public_id}#set-details")
    saved = now(app_)
    assert (saved.name, saved.category) == ("Benevity One", "Good")
    assert saved.launch_url == "https://benevity.example/start"
    assert saved.sort_key == "benevity one" and "good" in saved.search_text
    last = events("app.changed")[-1]
    assert last["actor"] == adam.id
    assert set(last["after"]) == {"name", "description", "category", "launch_url"}
    assert "Benevity" not in str(last)


def test_htmx_gets_the_section_the_heading_and_saved(admin, app_):
    answer = Page(admin, app_).save("details", htmx=True, **DETAILS | {"name": "Benevity One"})
    assert is_fragment(answer) and "Saved" in words(answer)
    assert words(answer).lstrip().startswith('<form id="set-details"')
    assert '<div class="cs-head" id="head" hx-swap-oob="true">' in flat(answer) and "Benevity One" in words(answer)


@pytest.mark.parametrize("htmx", [False, True])
def test_details_that_cannot_be_taken_are_shown_again_with_a_sentence_each(admin, app_, htmx):
    factories.app("Zoom")
    typed = {
        "name": " ",
        "description": "d" * 501,
        "category": "c" * 61,
        "launch_url": "javascript:alert(1)",
    }
    answer = Page(admin, app_).save("details", htmx=htmx, **typed)
    assert answer.status_code == 422 and is_fragment(answer) is htmx
    text = words(answer)
    assert "Please give the app a name." in text
    assert "Please keep it to 500 characters; this has 501." in text
    assert "A category can have up to 60 characters." in text
    assert "The link has to begin with https:// or http://" in text
    assert 'value="javascript:alert(1)"' in text and "d" * 501 in text
    taken = Page(admin, app_).save("details", htmx=htmx, **DETAILS | {"name": "zoom"})
    assert taken.status_code == 422 and "There is an app called zoom already." in words(taken)
    assert now(app_).name == "Benevity"


def test_what_somebody_else_changed_meanwhile_is_not_overwritten_unseen(admin, app_):
    mine, theirs = Page(admin, app_), Page(admin, app_)
    assert theirs.save("note", note="Theirs").status_code == 303
    refused = mine.save("note", htmx=True, note="Mine")
    assert refused.status_code == 409
    assert "Somebody else changed this meanwhile." in words(refused) and ">\nMine</textarea>" in words(refused)
    assert now(app_).note == "Theirs"
    # The refused form carries the new state, so that saving again is meant.
    again = html.unescape(re.search(r'name="was" value="([^"]*)"', refused.get_data(as_text=True))[1])
    assert admin.post(f"{mine.url}/note", {"was": again, "note": "Mine"}).status_code == 303
    assert now(app_).note == "Mine"


def test_saving_the_same_twice_changes_nothing_and_is_no_conflict(admin, app_):
    page = Page(admin, app_)
    assert page.save("note", note="Hello").status_code == 303
    before = factories.rows("events")
    assert page.save("note", note="Hello").status_code == 303
    assert factories.rows("events") == before


def test_a_change_elsewhere_on_the_page_is_no_conflict(admin, app_):
    page = Page(admin, app_)
    Page(admin, app_).save("time-limit", days="9")
    assert page.save("note", note="Hello").status_code == 303
    assert page.save("assurance", assurance="sign_in").status_code == 303
    assert (policy_of(app_).days, policy_of(app_).assurance) == (9, Assurance.SIGN_IN)


def test_the_note_is_saved_and_its_length_bounded(admin, app_):
    long = Page(admin, app_).save("note", note="n" * 501)
    assert long.status_code == 422 and "this has 501" in words(long) and "n" * 501 in words(long)
    Page(admin, app_).save("note", note="Ask\r\nme")
    assert now(app_).note == "Ask\nme"
    assert "Ask" not in str(events("app.changed")[-1])


def test_the_approver_is_a_person_or_a_group(admin, app_, ana, ben, company):
    finance = company.finance
    assert Page(admin, app_).save("steps", approver=f"group:{finance.public_id}").status_code == 303
    assert policy_of(app_).steps == (StepRule(Approver(group=finance.id)),)
    answer = Page(admin, app_).save("steps", htmx=True, approver=f"person:{ben.public_id}")
    assert is_fragment(answer) and "Saved" in words(answer)
    assert policy_of(app_).steps == (StepRule(Approver(person=ben.id)),)
    assert events("policy.saved")[-1]["steps"] == [{"person": ben.id, "group": None}]


def test_a_new_approver_keeps_the_steps_own_time_limit(admin, ana, ben):
    app = factories.app("Jira", policy=Policy(steps=(StepRule(Approver(person=ana.id), days=7),)))
    Page(admin, app).save("steps", approver=f"person:{ben.public_id}")
    assert policy_of(app).steps == (StepRule(Approver(person=ben.id), days=7),)


@pytest.mark.parametrize("value", ["person:000000000000", "nobody", "group:", "person:{otto}"])
def test_an_approver_who_cannot_be_chosen_is_refused(admin, app_, otto, adam, value):
    choose("write")
    people.deactivate(db.session.merge(otto), actor=adam, now=clock.now())
    outbox.commit()
    answer = Page(admin, app_).save("steps", approver=value.format(otto=otto.public_id))
    assert answer.status_code == 422
    assert "Choose somebody from the list: they are not there any more." in words(answer)


def test_the_only_approver_of_a_requestable_app_stays(admin, app_, ana):
    answer = Page(admin, app_).save("steps", approver="")
    assert answer.status_code == 409
    assert "Benevity is requestable and needs an approver. Turn off Requestable first." in words(answer)
    assert policy_of(app_).steps == (StepRule(Approver(person=ana.id)),)


def test_several_steps_are_shown_in_order_and_survive_every_other_change(admin, ana, ben, company):
    app = factories.app("Salesforce", ana, company.finance, ben)
    page = Page(admin, app)
    text = page.text
    shown = text[text.index('id="set-steps"') :]
    assert shown.index("Ana Moreau") < shown.index("Finance") < shown.index("Ben Okafor")
    assert f'action="{page.url}/steps"' not in text
    steps = policy_of(app).steps
    page.save("time-limit", days="5")
    page.save("assurance", assurance="sign_in")
    page.save("comment-required", on="1")
    page.save("details", **DETAILS | {"name": "Salesforce"})
    page.save("owner", owner="")
    page.save("approval-required")
    assert policy_of(app).steps == steps
    refused = admin.post(f"{page.url}/steps", {"was": "", "approver": f"person:{ana.public_id}"})
    assert refused.status_code == 409
    assert policy_of(app).steps == steps


@pytest.mark.parametrize("days", ["0", "91", "120", "-1", "two", "", "1.5", "٣"])
def test_a_time_limit_outside_1_to_90_days_is_refused_and_kept_in_the_field(admin, app_, days):
    for htmx in (False, True):
        answer = Page(admin, app_).save("time-limit", htmx=htmx, days=days)
        assert answer.status_code == 422
        assert "Choose 1 to 90 days." in words(answer) and "the limit is still 3 days." in words(answer)
        assert f'value="{days}"' in words(answer)
    assert policy_of(app_).days == 3


def test_time_limit_comment_and_assurance_are_saved(admin, app_):
    page = Page(admin, app_)
    assert page.save("time-limit", days="90").status_code == 303
    assert page.save("comment-required", on="1").status_code == 303
    assert page.save("assurance", assurance="sign_in").status_code == 303
    policy = policy_of(app_)
    assert (policy.days, policy.comment_required, policy.assurance) == (90, True, Assurance.SIGN_IN)
    assert Page(admin, app_).save("assurance", assurance="none").status_code == 422


def test_the_owner_is_a_person_a_group_or_nobody(admin, app_, ben, company):
    Page(admin, app_).save("owner", owner=f"person:{ben.public_id}")
    assert now(app_).owner == Approver(person=ben.id)
    answer = Page(admin, app_).save("owner", htmx=True, owner=f"group:{company.finance.public_id}")
    assert "owned by Finance" in words(answer)
    assert now(app_).owner == Approver(group=company.finance.id)
    Page(admin, app_).save("owner", owner="")
    assert now(app_).owner is None
    assert events("app.changed")[-1]["before"] == {"owner": {"person": None, "group": company.finance.id}}


def test_the_audience_is_everyone_or_some_groups(admin, app_, company):
    finance = company.finance
    assert Page(admin, app_).save("audience", audience="groups", groups=[finance.public_id]).status_code == 303
    assert not now(app_).for_everyone
    assert db.session.scalars(select(Audience.group_id).where(Audience.app_id == app_.id)).all() == [finance.id]
    assert events("app.changed")[-1]["after"] == {"audience": [finance.id]}
    Page(admin, app_).save("audience", audience="everyone", groups=[finance.public_id])
    assert now(app_).for_everyone and factories.rows("audiences") == 0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"audience": "groups"}, "Choose at least one group, or everyone."),
        ({"audience": ""}, "Choose everyone or some groups."),
        ({"audience": "groups", "groups": ["000000000000"]}, "One of these groups is not there any more."),
    ],
)
def test_an_audience_that_makes_no_sense_is_refused(admin, app_, values, sentence):
    answer = Page(admin, app_).save("audience", **values)
    assert answer.status_code == 422 and sentence in words(answer)
    assert now(app_).for_everyone


def test_approvers_are_found_by_typing(admin, company, ana, ben, otto, adam):
    choose("write")
    people.deactivate(db.session.merge(otto), actor=adam, now=clock.now())
    outbox.commit()
    answer = admin.get(f"/admin/approvers?field=approver&approver=person:{ben.public_id}&q=ana", htmx=True)
    assert is_fragment(answer)
    assert "Ana Moreau" in words(answer) and "Chloe Tan" not in words(answer)
    # Who is chosen now stays in the list, whatever is typed.
    assert f'<option value="person:{ben.public_id}" selected' in flat(answer)
    assert "Finance" in words(admin.get("/admin/approvers?field=owner&q=fina"))
    assert "Otto" not in words(admin.get("/admin/approvers?field=owner"))
    assert admin.get("/admin/approvers?field=password").status_code == 404


def test_above_200_the_select_gets_a_search_that_works_without_script(admin, app_):
    assert "approver-q" not in Page(admin, app_).text
    choose("write")
    for index in range(200):
        people.create(email=f"p{index}@example.com", name=f"Person {index:03d}", actor=None, now=clock.now())
    outbox.commit()
    page = Page(admin, app_).text
    assert 'id="approver-q"' in page
    found = words(admin.get(f"/admin/apps/{app_.public_id}?q=Person 199"))
    assert "Person 199" in found and "Person 100" not in found
    assert "Ana Moreau" in found


def test_two_people_of_one_name_are_told_apart(admin, app_):
    factories.person("Kim Park", email="kim@example.com")
    factories.person("Kim Park", email="kim2@example.com")
    page = Page(admin, app_).text
    assert "Kim Park, kim@example.com" in page and "Kim Park, kim2@example.com" in page
    assert "Ana Moreau, ana@example.com" not in page


@pytest.mark.parametrize(
    "section", ["details", "audience", "comment-required", "assurance", "note", "owner", "steps", "time-limit"]
)
def test_nothing_is_saved_by_looking(admin, app_, section):
    assert admin.get(f"/admin/apps/{app_.public_id}/{section}").status_code == 405


def test_words_of_an_admin_are_shown_as_words(admin, app_):
    Page(admin, app_).save("note", note="</textarea><script>alert(1)</script>")
    Page(admin, app_).save("details", **DETAILS | {"name": "<b>Bold</b>"})
    assert "<script>alert" not in Page(admin, app_).text and "<b>Bold" not in Page(admin, app_).text
    assert "<b>Bold" not in admin.get("/admin/apps").get_data(as_text=True)
