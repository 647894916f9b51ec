"""One app's page: each setting is saved by itself, keeps what was typed, and overwrites nobody unseen."""

from __future__ import annotations

import html
import re

import pytest
from sqlalchemy import select

from tests.helpers import factories
from tests.helpers.lookups import facts, now, policy_of
from tests.helpers.pages import flat, is_fragment, markup
from tests.helpers.statements import assert_constant, counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Audience
from webapp.operations import groups, people
from webapp.workflow.actor import SYSTEM
from webapp.workflow.policy import Approver
from webapp.workflow.states import Assurance


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


def test_the_page_shows_all_that_is_set(admin, rita, company, ana):
    app = factories.app("Salesforce", ana, owner=company.finance, note="Only for people who work with accounts.")
    factories.request(rita, app)
    page = flat(admin.get(f"/admin/apps/{app.public_id}"))
    assert "owned by Finance" in page
    assert "1 pending request keeps the current rules." in page
    assert f'href="/admin/apps/{app.public_id}/requests?state=pending"' in page
    for part in ("approval", "fields", "steps", "approved", "denied", "expired", "app"):
        assert f'href="#part-{part}"' in page and f'id="part-{part}"' in page
    # Fields come before the table that needs them.
    assert page.index('id="part-fields"') < page.index('id="part-steps"') < page.index('id="set-matrix"')
    assert "<b>Steps</b><small>Ana Moreau</small>" in page and "<small>Owner: Finance</small>" in page
    assert 'href="/catalog?q=Salesforce"' in page
    assert "Only for people who work with accounts." in page
    for one in ("Ana Moreau", "Finance"):
        assert re.search(
            rf'<div class="cs-chips"> <span><span class="cs-face[^>]*>(?:(?!</span>).)*</span>{one}', page
        ), one


def short(page):
    return re.sub(r"<[^>]+>", "", re.search(r'<p class="cs-short"[^>]*>(.*?)</p>', page)[1]).strip()


def test_a_sentence_on_top_says_what_the_rules_come_to(admin, app_, ana, company):
    where = f"/admin/apps/{app_.public_id}"
    assert short(flat(admin.get(where))) == (
        "Everyone can request this app. Ana Moreau approves, within 3 days."
        " The requester always gets an email with the result. Every change is saved straight away."
    )
    answer = admin.post(f"{where}/steps/new", {"step": f"group:{company.finance.public_id}"}, htmx=True)
    assert 'id="short" hx-swap-oob="true"' in flat(answer)
    assert "Ana Moreau approves first, then Finance, each within 3 days." in short(flat(answer))
    answer = Page(admin, app_).save("requestable", htmx=True)
    assert short(flat(answer)).startswith("This app is hidden from the catalog.")
    none = factories.app("Zoom")
    assert "Everyone can add this app without approval." in short(flat(admin.get(f"/admin/apps/{none.public_id}")))


def test_the_page_takes_the_same_statements_with_few_and_many_people(admin, app_):
    counts = []
    for more in (0, 30, 300):
        choose("write")
        for index in range(more):
            people.create(email=f"p{more}-{index}@example.com", name=f"P {index}", actor=SYSTEM, now=clock.now())
            if index < 40:
                groups.create(name=f"G {more}-{index}", actor=SYSTEM, now=clock.now())
        outbox.commit()
        with counting() as seen:
            assert admin.get(f"/admin/apps/{app_.public_id}").status_code == 200
        counts.append(len(seen))
    assert_constant(counts, at_most=9)


def test_name_description_category_and_link_are_saved_one_by_one(admin, app_, adam):
    page = Page(admin, app_)
    texts = {"name": "Benevity One", "description": "Giving\r\nand more.", "category": "Good",
             "launch_url": "https://benevity.example/start"}  # fmt: skip
    for part, text in texts.items():
        answer = page.save(f"details/{part}", **{part: text})
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{page.url}#set-{part}")
        last = facts("app.changed")[-1]
        assert (last["actor"], set(last["after"])) == (adam.id, {part})
        assert text not in str(last)
    saved = now(app_)
    assert (saved.name, saved.category, saved.description) == ("Benevity One", "Good", "Giving\nand more.")
    assert saved.launch_url == "https://benevity.example/start"
    assert saved.sort_key == "benevity one" and "good" in saved.search_text
    assert admin.post(f"{page.url}/details/icon_hash", {"icon_hash": "x"}).status_code == 404


def test_htmx_gets_the_section_the_heading_and_saved(admin, app_):
    answer = Page(admin, app_).save("details/name", htmx=True, name="Benevity One")
    assert is_fragment(answer) and "Saved" in markup(answer)
    assert markup(answer).lstrip().startswith('<form id="set-name"')
    page = flat(answer)
    assert '<div class="cs-head" id="head" hx-swap-oob="true">' in page and "Benevity One" in page
    assert 'id="jump" aria-label="Parts of the rules" hx-swap-oob="true"' in page


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("part", "typed", "sentence"),
    [
        ("name", " ", "Enter a name."),
        ("name", "zoom", "An app with the name zoom already exists."),
        ("description", "d" * 501, "Use 500 characters or fewer. You entered 501."),
        ("category", "c" * 61, "A category can have up to 60 characters."),
        ("launch_url", "javascript:alert(1)", "Enter a full URL, for example https://app.example.com."),
    ],
)
def test_a_detail_that_cannot_be_taken_is_shown_again_with_a_sentence(admin, app_, htmx, part, typed, sentence):
    factories.app("Zoom")
    answer = Page(admin, app_).save(f"details/{part}", htmx=htmx, **{part: typed})
    assert answer.status_code == 422 and is_fragment(answer) is htmx
    text = markup(answer)
    assert sentence in text and typed.strip() in text and 'aria-invalid="true"' in text
    assert now(app_).name == "Benevity"


def test_what_somebody_else_changed_meanwhile_is_not_overwritten_unseen(admin, app_):
    mine, theirs = Page(admin, app_), Page(admin, app_)
    assert theirs.save("note", note="Theirs").status_code == 303
    refused = mine.save("note", htmx=True, note="Mine")
    assert refused.status_code == 409
    assert "Someone else changed this. Your text is still here." in markup(refused) and ">\nMine</textarea>" in markup(
        refused
    )
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
    assert long.status_code == 422 and "You entered 501" in markup(long) and "n" * 501 in markup(long)
    Page(admin, app_).save("note", note="Ask\r\nme")
    assert now(app_).note == "Ask\nme"
    assert "Ask" not in str(facts("app.changed")[-1])


def test_several_steps_are_shown_in_order_and_survive_every_other_change(admin, ana, ben, company):
    app = factories.app("Salesforce", ana, company.finance, ben)
    page = Page(admin, app)
    shown = page.text[page.text.index('id="set-steps"') :]
    assert shown.index("Ana Moreau") < shown.index("Finance") < shown.index("Ben Okafor")
    steps = policy_of(app).steps
    page.save("time-limit", days="5")
    page.save("assurance", assurance="sign_in")
    page.save("comment-required", on="1")
    page.save("details/name", name="Sales")
    page.save("owner", owner="")
    page.save("outcomes/denied/words", words="No.")
    page.save("approval-required")
    assert policy_of(app).steps == steps


@pytest.mark.parametrize("days", ["0", "91", "120", "-1", "two", "", "1.5", "٣"])
def test_a_time_limit_outside_1_to_90_days_is_refused_and_kept_in_the_field(admin, app_, days):
    for htmx in (False, True):
        answer = Page(admin, app_).save("time-limit", htmx=htmx, days=days)
        assert answer.status_code == 422
        assert "Enter a number from 1 to 90. The limit is still 3 days." in markup(answer)
        assert f'value="{days}"' in markup(answer)
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
    assert "owned by Finance" in markup(answer)
    assert now(app_).owner == Approver(group=company.finance.id)
    Page(admin, app_).save("owner", owner="")
    assert now(app_).owner is None
    assert facts("app.changed")[-1]["before"] == {"owner": {"person": None, "group": company.finance.id}}


def test_the_audience_is_everyone_or_some_groups(admin, app_, company):
    one, two = (f"group:{group.public_id}" for group in (company.finance, factories.group("Legal")))
    assert Page(admin, app_).save("audience", audience=one).status_code == 303
    assert not now(app_).for_everyone
    assert db.session.scalars(select(Audience.group_id).where(Audience.app_id == app_.id)).all() == [company.finance.id]
    assert facts("app.changed")[-1]["after"] == {"audience": [company.finance.id]}
    page = Page(admin, app_)
    assert f'<input type="hidden" name="audience" value="{one}">' in page.text
    answer = page.save("audience", htmx=True, audience=[one, two])
    assert "Members of Finance or Legal can request this app." in short(flat(answer))
    page = Page(admin, app_)
    assert page.save("audience", audience=[one, two], without=one).status_code == 303
    # Who saw the two does not make it visible to everyone by taking the other one out, too.
    stale = page.save("audience", htmx=True, audience=[one, two], without=two)
    assert stale.status_code == 409 and "Someone else changed this. The current value is shown." in markup(stale)
    assert not now(app_).for_everyone
    Page(admin, app_).save("audience", audience=[two], without=two)
    assert now(app_).for_everyone and factories.rows("audiences") == 0


@pytest.mark.parametrize("value", ["group:000000000000", "person:{ana}", "x"])
def test_an_audience_that_makes_no_sense_is_refused(admin, app_, ana, value):
    answer = Page(admin, app_).save("audience", audience=value.format(ana=ana.public_id))
    assert answer.status_code == 422 and "One of these groups is no longer available." in markup(answer)
    assert now(app_).for_everyone


def test_a_picker_finds_by_typing(admin, company, otto, adam):
    choose("write")
    people.deactivate(db.session.merge(otto), actor=adam, now=clock.now())
    outbox.commit()
    answer = admin.get("/admin/choices?field=step&q=an+mor", htmx=True)
    assert is_fragment(answer)
    assert f'<button type="submit" name="step" value="person:{company.ana.public_id}" role="option"' in flat(answer)
    assert "Chloe Tan" not in markup(answer)
    assert "Finance</b> <small>Group of 2</small>" in markup(admin.get("/admin/choices?field=owner&q=fina"))
    assert "Otto" not in markup(admin.get("/admin/choices?field=owner&q=otto"))
    # Each field may be what makes sense for it.
    assert "No matches for “fina”." in markup(admin.get("/admin/choices?field=person&q=fina"))
    assert "No matches for “ana”." in markup(admin.get("/admin/choices?field=audience&q=ana"))
    assert admin.get("/admin/choices?field=password").status_code == 404


def test_a_picker_works_without_script(admin, app_, company):
    """Its input is a search; whom it finds are buttons of the form that takes the choice."""
    url = f"/admin/apps/{app_.public_id}"
    page = flat(admin.get(url))
    assert '<form id="step-search" method="get" action' in page and 'form="step-search"' in page
    assert "is-plain" not in page
    page = flat(admin.get(f"{url}?pick=step&q=fina"))
    form = page[page.index('<form class="cs-addrow') :]
    assert (
        f'<button type="submit" name="step" value="group:{company.finance.public_id}">' in form[: form.index("</form>")]
    )
    # In the line of a step, which is open then.
    step = policy_of(app_).steps[0].id
    page = flat(admin.get(f"{url}?pick=approver-{step}&q=fina"))
    step = re.search(r'<details class="cs-field cs-step"[^>]* open>.*?</details>', page)[0]
    assert f'name="approver" value="group:{company.finance.public_id}">' in step
    assert "Finance" not in flat(admin.get(f"{url}?pick=password&q=fina"))


def test_two_people_of_one_name_are_told_apart(admin):
    factories.person("Kim Park", email="kim@example.com")
    factories.person("Kim Park", email="kim2@example.com")
    found = markup(admin.get("/admin/choices?field=step&q=kim"))
    assert "kim@example.com" in found and "kim2@example.com" in found
    assert "ana@example.com" not in markup(admin.get("/admin/choices?field=step&q=ana"))


@pytest.mark.parametrize(
    "section", ["details/name", "audience", "comment-required", "assurance", "note", "owner", "time-limit"]
)
def test_nothing_is_saved_by_looking(admin, app_, section):
    assert admin.get(f"/admin/apps/{app_.public_id}/{section}").status_code == 405


def test_words_of_an_admin_are_shown_as_words(admin, app_):
    Page(admin, app_).save("note", note="</textarea><script>alert(1)</script>")
    Page(admin, app_).save("details/name", name="<b>Bold</b>")
    assert "<script>alert" not in Page(admin, app_).text and "<b>Bold" not in Page(admin, app_).text
    assert "<b>Bold" not in admin.get("/admin/apps").get_data(as_text=True)
