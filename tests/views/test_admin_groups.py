"""Admins make groups and say who is in them; whoever is in decides for the group from then on."""

from __future__ import annotations

import pytest

from tests.helpers import changes, factories, pages
from tests.helpers.lookups import facts, group_called, now, person_called
from tests.helpers.pages import flat, is_fragment, markup
from tests.helpers.statements import assert_constant, counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Group, Person
from webapp.operations import apps, groups, people
from webapp.text import sha256
from webapp.workflow.actor import SYSTEM
from webapp.workflow.policy import StepRule


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.fixture
def finance(company):
    return company.finance


def url(group):
    return f"/admin/groups/{group.public_id}"


def many_groups(number, first=0):
    choose("write")
    for index in range(first, first + number):
        groups.create(name=f"Team {index:04d}", actor=SYSTEM, now=clock.now())
    outbox.commit()


def fill(group, number):
    choose("write")
    for index in range(number):
        someone = people.create(
            email=f"m{index}@example.com", name=f"Member {index:03d}", actor=SYSTEM, now=clock.now()
        )
        groups.add_member(db.session.get(Group, group.id), someone, actor=SYSTEM, now=clock.now())
    outbox.commit()


def members(group):
    return factories.rows("memberships", f"group_id = {group.id}")


# Who may


def test_an_outsider_finds_and_changes_nothing(login_as, otto, finance, ben):
    outsider, nobody = login_as(otto), login_as(None)
    removal = f"{url(finance)}/members/{ben.public_id}/removal"
    assert outsider.get(url(finance)).status_code == 404
    assert nobody.get(url(finance)).headers["Location"].startswith("/sign-in?next=/admin/groups/")
    for path, data in (
        ("/admin/groups", {"name": "Mine"}),
        (f"{url(finance)}/members", {"person": otto.public_id}),
        (removal, {}),
    ):
        assert outsider.post(path, data).status_code == 404
        assert nobody.post(path, data).headers["Location"] == "/sign-in"
    assert group_called("Mine") is None and members(finance) == 2


def test_nothing_is_changed_by_looking(admin, finance, ben):
    assert admin.get(f"{url(finance)}/members").status_code == 405
    assert admin.get(f"{url(finance)}/members/{ben.public_id}/removal").status_code == 405
    assert members(finance) == 2


def test_what_is_not_there_is_not_found(admin, finance):
    assert admin.get("/admin/groups/000000000000").status_code == 404
    assert admin.post("/admin/groups/000000000000/members", {"person": "x"}).status_code == 404
    assert admin.post(f"{url(finance)}/members", {"person": "000000000000"}).status_code == 404
    assert admin.post(f"{url(finance)}/members/000000000000/removal").status_code == 404


# The list


def test_the_list_shows_members_and_what_the_group_does(admin, finance, rita, ana):
    factories.app("Apptio", ana, owner=finance)
    factories.request(rita, factories.app("Concur", finance))
    page = markup(admin.get("/admin/groups"))
    assert "2 people · 1 pending request · owns 1 app" in page
    assert "Remove Ben Okafor from Finance" in page and "Add a person to Finance" in page


def test_a_large_group_shows_some_members_and_leads_to_all(admin, finance):
    fill(finance, 30)
    page = markup(admin.get("/admin/groups"))
    assert "32 people" in page and "and 20 more" in page and "Member 029" not in page
    assert "Member 029" in markup(admin.get(url(finance)))


def test_an_empty_list_says_what_to_do(app, login_as):
    browser = login_as(factories.person("Adam Weiss", admin=True))
    assert "No groups yet" in markup(browser.get("/admin/groups"))


def test_an_empty_group_says_who_decides_instead(admin, company):
    factories.group("Travel desk")
    assert "This group has no members. Its requests go to the app owner" in " ".join(
        markup(admin.get("/admin/groups")).split()
    )


def test_groups_are_found_by_name_and_by_member(admin, finance, rita):
    factories.group("Marketing", rita)
    for typed, found, other in (("fin", "Finance", "Marketing"), ("lindqvist", "Marketing", "Take Ben")):
        answer = admin.get(f"/admin/groups?q={typed}", htmx=True)
        assert is_fragment(answer)
        assert found in markup(answer) and other not in markup(answer)
    assert "No groups match “zzz”" in markup(admin.get("/admin/groups?q=zzz"))


def test_pages_follow_each_other_by_name(admin):
    many_groups(60)
    first = markup(admin.get("/admin/groups"))
    assert "50 of 61" in first and "Team 0048" in first and "Team 0049" not in first
    more = markup(admin.get(f"/admin/groups?after={group_called('Team 0048').public_id}"))
    assert "Team 0049" in more and "Team 0048" not in more


def test_the_list_takes_the_same_statements_with_1_30_and_300_groups(admin, finance):
    counts = []
    for more in (0, 29, 270):
        many_groups(more, first=more)
        with counting() as seen:
            assert admin.get("/admin/groups").status_code == 200
        counts.append(len(seen))
    assert_constant(counts, at_most=5)


# A new group


def test_a_group_is_made_by_its_name(admin, adam):
    answer = admin.post("/admin/groups", {"name": " Sales  leads "})
    made = group_called("Sales leads")
    assert (answer.status_code, answer.headers["Location"]) == (303, url(made))
    assert facts("group.created")[-1]["actor"] == adam.id
    htmx = admin.post("/admin/groups", {"name": "Legal"}, htmx=True)
    assert htmx.headers["HX-Redirect"] == url(group_called("Legal"))


@pytest.mark.parametrize("htmx", [False, True])
def test_a_name_that_cannot_be_taken_stays_in_the_dialog(admin, finance, htmx):
    for name, sentence in (
        ("finance", "A group called finance already exists."),
        ("", "Enter a name for the group."),
        ("x" * 81, "Use 80 characters or fewer."),
    ):
        answer = admin.post("/admin/groups", {"name": name}, htmx=htmx)
        assert answer.status_code == 422 and is_fragment(answer) is htmx
        assert sentence in markup(answer) and f'value="{name}"' in markup(answer)
    assert factories.rows("groups") == 1


def test_the_dialog_is_a_page_without_script_and_a_fragment_with_it(admin):
    assert "aria-modal" in markup(admin.get("/admin/groups/new"))
    assert is_fragment(admin.get("/admin/groups/new", htmx=True))


# Members


def test_people_are_found_by_typing(admin, finance, adam, otto):
    choose("write")
    people.deactivate(db.session.get(Person, otto.id), actor=adam, now=clock.now())
    outbox.commit()
    answer = admin.get(f"{url(finance)}?q=an", htmx=True)
    assert is_fragment(answer)
    # Chloe Tan is a member, Otto Brandt is deactivated.
    ana = person_called("Ana Moreau")
    assert f'name="person" value="person:{ana.public_id}" role="option"' in flat(answer)
    assert "ana@example.com" in markup(answer) and "Chloe" not in markup(answer) and "Otto" not in markup(answer)
    assert "No matches for “zzz”." in markup(admin.get(f"{url(finance)}?q=zzz", htmx=True))
    # Without JavaScript: buttons of the form that adds them.
    page = flat(admin.get(f"{url(finance)}?pick=who-{finance.public_id}&q=ana"))
    assert f'<button type="submit" name="person" value="person:{ana.public_id}">' in page and 'value="ana"' in page
    assert admin.post(f"{url(finance)}/members", {"person": f"person:{ana.public_id}"}).status_code == 303
    assert members(finance) == 3
    assert "is-plain" not in markup(admin.get(url(finance)))


def test_somebody_is_added_and_asked_for_what_is_open(admin, finance, rita, ana, adam):
    factories.request(rita, factories.app("Concur", finance))
    answer = admin.post(f"{url(finance)}/members", {"person": ana.public_id})
    assert (answer.status_code, answer.headers["Location"]) == (303, url(finance))
    assert members(finance) == 3
    assert factories.rows("notices", f"kind = 'approval-asked' AND person_id = {ana.id}") == 1
    last = facts("group.member_added")[-1]
    assert (last["actor"], last["person"], last["group"]) == (adam.id, ana.id, finance.id)


def test_htmx_gets_the_group_back_and_saved(admin, finance, ana):
    answer = admin.post(f"{url(finance)}/members", {"person": ana.public_id}, htmx=True)
    assert answer.status_code == 200 and is_fragment(answer)
    assert markup(answer).lstrip().startswith(f'<section class="cs-group" id="group-{finance.public_id}"')
    assert "Saved" in markup(answer) and "Remove Ana Moreau from Finance" in markup(answer)


def test_somebody_is_taken_out_and_may_decide_no_longer(admin, finance, rita, ben, adam):
    factories.request(rita, factories.app("Concur", finance))
    path = f"{url(finance)}/members/{ben.public_id}/removal"
    answer = admin.post(path, htmx=True)
    assert answer.status_code == 200 and "Ben Okafor" not in markup(answer)
    assert members(finance) == 1
    assert factories.rows("invitations", f"person_id = {ben.id} AND live") == 0
    assert facts("group.member_removed")[-1]["actor"] == adam.id
    for htmx in (False, True):
        again = admin.post(path, htmx=htmx)
        assert again.status_code == 409 and "Ben Okafor is no longer in Finance." in markup(again)


@pytest.mark.parametrize("htmx", [False, True])
def test_nobody_is_in_a_group_twice(admin, finance, ben, htmx):
    answer = admin.post(f"{url(finance)}/members", {"person": ben.public_id}, htmx=htmx)
    assert answer.status_code == 409 and is_fragment(answer) is htmx
    assert "Ben Okafor is already in Finance." in markup(answer)
    assert members(finance) == 2


def test_a_deactivated_person_is_not_added(admin, finance, ana, adam):
    choose("write")
    people.deactivate(db.session.get(Person, ana.id), actor=adam, now=clock.now())
    outbox.commit()
    answer = admin.post(f"{url(finance)}/members", {"person": ana.public_id})
    assert answer.status_code == 409 and "Ana Moreau is deactivated. Reactivate the account first." in markup(answer)


def test_a_group_that_decides_holds_100_members(admin, finance, ana):
    factories.app("Salesforce", finance)
    fill(finance, 98)
    assert members(finance) == 100
    for htmx in (False, True):
        answer = admin.post(f"{url(finance)}/members", {"person": ana.public_id, "whole": "1"}, htmx=htmx)
        assert answer.status_code == 409
        assert "Finance is full: a group that decides can have up to 100 members." in markup(answer)
    assert members(finance) == 100 and now(finance).name == "Finance"


def test_a_group_that_decides_nothing_may_have_any_number_of_members(admin, finance, ana):
    fill(finance, 120)
    answer = admin.post(f"{url(finance)}/members", {"person": ana.public_id, "whole": "1"}, htmx=True)
    assert answer.status_code == 200 and members(finance) == 123


def test_a_group_of_deactivated_people_says_so(admin, finance, rita, ben, adam, company):
    factories.request(rita, factories.app("Salesforce", finance))
    for one in (ben, company.chloe):
        changes.deactivate(one, adam)
    page = pages.words(admin.get(url(finance)))
    assert "All members are deactivated. Its 1 pending request went to the app owner" in page


# Another name


@pytest.mark.parametrize("htmx", [False, True])
def test_a_group_gets_another_name(admin, finance, adam, htmx):
    asked = admin.get(f"{url(finance)}/name", htmx=htmx)
    assert is_fragment(asked) is htmx and 'value="Finance"' in markup(asked)
    answer = admin.post(f"{url(finance)}/name", {"name": " Money ", "was": "Finance"}, htmx=htmx)
    assert answer.headers["HX-Redirect" if htmx else "Location"] == url(finance)
    assert now(finance).name == "Money" and "Money" in markup(admin.get("/admin/groups?q=money"))
    line = facts("group.changed")[-1]
    assert (line["actor"], line["after"]) == (adam.id, {"name": sha256("Money")}) and "Money" not in str(line)
    assert "renamed the group <b>Money</b>" in markup(admin.get("/admin/audit"))


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [("", "Enter a name for the group."), ("legal", "A group called legal already exists."), ("x" * 81, "80")],
)
def test_a_new_name_that_cannot_be_taken_stays_in_the_dialog(admin, finance, htmx, name, sentence):
    factories.group("Legal")
    answer = admin.post(f"{url(finance)}/name", {"name": name, "was": "Finance"}, htmx=htmx)
    assert answer.status_code == 422 and is_fragment(answer) is htmx
    assert sentence in markup(answer) and f'value="{name}"' in markup(answer)
    assert now(finance).name == "Finance"


@pytest.mark.parametrize("htmx", [False, True])
def test_a_name_that_somebody_else_changed_meanwhile_is_a_conflict(admin, finance, htmx):
    admin.post(f"{url(finance)}/name", {"name": "Money", "was": "Finance"})
    answer = admin.post(f"{url(finance)}/name", {"name": "Cash", "was": "Finance"}, htmx=htmx)
    assert (
        answer.status_code == 409
        and 'value="Cash"' in markup(answer)
        and "renamed this group to Money." in markup(answer)
    )
    assert now(finance).name == "Money"


# Archiving


@pytest.mark.parametrize("htmx", [False, True])
def test_a_group_that_nothing_uses_is_archived_and_its_name_is_free(admin, finance, adam, ben, company, htmx):
    asked = admin.get(f"{url(finance)}/archive", htmx=htmx)
    assert is_fragment(asked) is htmx and "2 members will be removed." in markup(asked)
    answer = admin.post(f"{url(finance)}/archive", htmx=htmx)
    assert answer.headers["HX-Redirect" if htmx else "Location"] == "/admin/groups"
    assert now(finance).archived_at is not None and members(finance) == 0
    line = facts("group.archived")[-1]
    assert (line["actor"], line["group"], line["members"]) == (adam.id, finance.id, sorted([ben.id, company.chloe.id]))
    assert admin.get(url(finance)).status_code == 404
    assert admin.post(f"{url(finance)}/archive").status_code == 404
    assert admin.post(f"{url(finance)}/members", {"person": ben.public_id}).status_code == 404
    for place in ("/admin/groups", "/admin/choices?field=owner&q=fin"):
        assert finance.public_id not in markup(admin.get(place))
    assert admin.post("/admin/groups", {"name": "Finance"}).status_code == 303
    assert "archived the group" in markup(admin.get("/admin/audit"))


@pytest.mark.parametrize("htmx", [False, True])
def test_a_group_that_is_used_stays_and_the_refusal_names_what_uses_it(admin, finance, rita, ana, adam, htmx):
    factories.app("Salesforce", ana, finance)
    factories.app("Benevity", owner=finance)
    changes.only_for(factories.app("Payroll"), finance)
    answer = admin.post(f"{url(finance)}/archive", htmx=htmx)
    assert answer.status_code == 409 and is_fragment(answer) is htmx
    assert (
        "Finance cannot be archived: it is an approver for Salesforce (step 2), owns Benevity and can see Payroll. "
        "Change this first." in markup(answer)
    )
    assert now(finance).archived_at is None and members(finance) == 2


def test_a_group_that_pending_requests_wait_for_stays(admin, finance, rita, ana):
    app = factories.app("Salesforce", ana, finance)
    factories.request(rita, app)
    choose("write")
    apps.change_policy(db.session.merge(app), steps=(StepRule(factories.approver(ana)),), actor=SYSTEM, now=clock.now())
    outbox.commit()
    answer = admin.post(f"{url(finance)}/archive")
    assert answer.status_code == 409 and "it has 1 pending request. Change this first." in markup(answer)


def test_a_group_with_a_number_that_begins_like_anothers_is_told_apart(admin, company):
    choose("write")
    longer = Group(id=company.finance.id * 10, created_at=clock.now())
    longer.rename("Longer")
    db.session.add(longer)
    db.session.commit()
    factories.app("Salesforce", longer)
    assert admin.post(f"{url(longer)}/archive").status_code == 409
    assert admin.post(f"{url(company.finance)}/archive").status_code == 303


def test_an_outsider_neither_renames_nor_archives(login_as, otto, finance):
    for path in ("name", "archive"):
        assert login_as(otto).get(f"{url(finance)}/{path}").status_code == 404
        assert login_as(otto).post(f"{url(finance)}/{path}", {"name": "Mine", "was": "Finance"}).status_code == 404
    assert now(finance).name == "Finance"
