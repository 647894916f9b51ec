"""Manager and department on a person's page, and the list by them."""

from __future__ import annotations

import pytest

from tests.helpers import factories, pages
from tests.helpers.lookups import now
from tests.helpers.pages import is_fragment
from tests.helpers.statements import assert_constant, counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.operations import people, reporting

from .people_helpers import url


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def set_manager(person, manager, actor):
    choose("write")
    reporting.set_manager(person, manager, actor=actor, now=clock.now())
    outbox.commit()


def test_an_admin_chooses_the_manager_and_removes_it(admin, rita, ana):
    page = admin.post(url(rita) + "/manager", {"manager": f"person:{ana.public_id}", "was": ""}, htmx=True)
    assert is_fragment(page) and "Ana Moreau" in pages.words(page)
    assert now(rita).manager_id == ana.id
    assert "Reports RL Rita Lindqvist" in pages.words(admin.get(url(ana)))
    gone = admin.post(url(rita) + "/manager", {"manager": "", "was": f"person:{ana.public_id}"})
    assert gone.status_code == 303 and now(rita).manager_id is None


def test_a_department_is_saved_and_a_long_one_is_kept_to_be_mended(admin, rita):
    admin.post(url(rita) + "/department", {"department": "Marketing", "was": ""})
    assert now(rita).department == "Marketing"
    long = "a" * 81
    for htmx in (True, False):
        refused = admin.post(url(rita) + "/department", {"department": long, "was": "Marketing"}, htmx=htmx)
        assert refused.status_code == 422 and long in refused.text
        assert "Use 80 characters or fewer. You entered 81." in pages.words(refused)
    assert now(rita).department == "Marketing"


def test_what_someone_else_changed_is_not_overwritten(admin, rita, ana, ben, adam):
    set_manager(rita, ben, adam)
    refused = admin.post(url(rita) + "/manager", {"manager": f"person:{ana.public_id}", "was": ""}, htmx=True)
    assert refused.status_code == 409 and "Someone else changed this." in pages.words(refused)
    assert now(rita).manager_id == ben.id
    assert admin.post(url(rita) + "/department", {"department": "IT", "was": "HR"}).status_code == 409


def test_a_circle_is_refused_with_the_reason(admin, rita, ana, adam):
    set_manager(rita, ana, adam)
    refused = admin.post(url(ana) + "/manager", {"manager": f"person:{rita.public_id}", "was": ""}, htmx=True)
    assert refused.status_code == 422
    assert "Rita Lindqvist reports to Ana Moreau, directly or through others." in pages.words(refused)
    nobody = admin.post(url(ana) + "/manager", {"manager": "person:NOSUCHPERSON", "was": ""})
    assert nobody.status_code == 422 and "Choose someone who is active." in pages.words(nobody)


def test_a_deactivated_manager_is_shown_as_such(admin, login_as, rita, ana, adam):
    set_manager(rita, ana, adam)
    assert "Manager Ana Moreau" in pages.words(login_as(rita).get("/account"))
    choose("write")
    people.deactivate(ana, actor=adam, now=clock.now())
    outbox.commit()
    assert "Ana Moreau is deactivated. Choose who follows." in pages.words(admin.get(url(rita)))
    assert "Manager Ana Moreau (deactivated)" in pages.words(login_as(rita).get("/account"))


def test_without_javascript_the_manager_is_searched_for_and_taken(admin, rita, ana):
    page = admin.get(url(rita) + "/reporting?pick=manager&q=moreau")
    assert f'value="person:{ana.public_id}"' in page.text


def test_the_list_is_filtered_by_department_and_manager(admin, rita, ana, ben, adam):
    set_manager(rita, ana, adam)
    choose("write")
    reporting.set_department(now(ben), "Finance", actor=adam, now=clock.now())
    outbox.commit()
    by_department = pages.words(admin.get("/admin/people?department=Finance", htmx=True))
    assert "Ben Okafor" in by_department and "Rita Lindqvist" not in by_department
    by_manager = pages.words(admin.get(f"/admin/people?manager={ana.public_id}", htmx=True))
    assert "Rita Lindqvist" in by_manager and "Ben Okafor" not in by_manager
    assert "No people match these filters" in pages.words(admin.get("/admin/people?department=Nowhere"))
    assert "Any manager Ana Moreau" in pages.words(admin.get("/admin/people"))
    sorted_list = pages.words(admin.get("/admin/people?sort=-department", htmx=True))
    assert sorted_list.index("Ben Okafor") < sorted_list.index("Adam Weiss")


def test_a_person_with_many_reports_takes_the_same_statements(admin, ana, adam):
    counts = []
    for number in (1, 20):
        for index in range(number):
            set_manager(factories.person(f"P{number}x{index}", email=f"p{number}x{index}@example.com"), ana, adam)
        with counting() as seen:
            assert admin.get(url(ana)).status_code == 200
        counts.append(len(seen))
    assert_constant(counts, at_most=20)
    assert "and 11 more" in pages.words(admin.get(url(ana)))
