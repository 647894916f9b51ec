"""Each kind of mail of an app can be read before anybody gets it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.helpers import factories
from tests.helpers.pages import flat, markup
from tests.helpers.statements import counting
from webapp.workflow.policy import OutcomeRule, Policy, StepRule
from webapp.workflow.states import Assurance

TABLES = ("notices", "requests", "events", "steps", "invitations", "grants")
OUTCOMES = ("approved", "denied", "expired")
ALL = [
    *((kind, f"to={to}") for kind in OUTCOMES for to in ("requester", "approver", "other")),
    ("asked", "step=1"), ("asked", "step=2"), ("cancelled", "step=1"), ("settled", "step=1"), ("added", ""),
]  # fmt: skip


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.fixture
def app_(ana, company):
    steps = (StepRule(factories.approver(company.finance)), StepRule(factories.approver(ana)))
    outcomes = {state: OutcomeRule(message=f"Words when {state}.") for state in Policy().outcomes}
    return factories.app("Salesforce", policy=replace(Policy(steps=steps), outcomes=outcomes))


def mail(app, kind, query=""):
    return f"/admin/apps/{app.public_id}/mails/{kind}?{query}"


@pytest.mark.parametrize(("kind", "query"), ALL)
def test_each_mail_is_shown_with_real_names_and_nothing_is_written(admin, app_, kind, query):
    before = [factories.rows(table) for table in TABLES]
    answer = admin.get(mail(app_, kind, query))
    page = flat(answer)
    assert answer.status_code == 200 and "Salesforce" in page
    if kind in OUTCOMES:
        assert f"Words when {kind}." in page
    if kind != "added":
        assert "Ana Moreau" in page
    assert [factories.rows(table) for table in TABLES] == before


def test_who_is_asked_gets_the_question_with_a_link_and_a_code_that_are_none(admin, app_, rita, login_as):
    page = flat(admin.get(mail(app_, "asked", f"person=person:{rita.public_id}")))
    assert "Rita Lindqvist requests Salesforce" in page and "as if Rita Lindqvist requested it now" in page
    assert "000000" in page and "The link and the code are examples" in page
    link = re.search(r"http\S+(/decide/\S+)", page)[1]
    assert link == "/decide/example"
    shown = login_as(None).get(link)
    assert shown.status_code == login_as(None).get("/decide/nothing-of-ours").status_code
    refused = login_as(None).post(f"{link}/approval", {"code": "000000"})
    assert refused.status_code >= 400 and factories.rows("decisions") == 0


def test_an_app_that_wants_a_sign_in_shows_no_code(admin, ana):
    app = factories.app(
        "Workday", policy=Policy(steps=(StepRule(factories.approver(ana)),), assurance=Assurance.SIGN_IN)
    )
    assert "approval code" not in flat(admin.get(mail(app, "asked")))


def test_the_approver_is_who_would_really_decide(admin, app_, ben, company):
    """Ben is in Finance, and nobody decides on their own request."""
    page = flat(admin.get(mail(app_, "asked", f"person=person:{ben.public_id}")))
    assert "Ben Okafor requests Salesforce" in page and "you or" not in page
    second = flat(admin.get(mail(app_, "asked", "step=2")))
    assert "Ben" in second, "who decided before is in the chain"


def test_where_nobody_could_decide_there_is_no_mail_to_show(admin):
    app = factories.app("Zoom", factories.group("Legal"))
    page = flat(admin.get(mail(app, "asked")))
    assert "No one can decide this request, so this email would not be sent." in page and "Check the steps" in page
    for kind, query in [*ALL[:9], ("settled", ""), ("cancelled", "")]:
        assert admin.get(mail(app, kind, query)).status_code == 200, kind


def test_there_is_no_such_mail_without_steps_or_for_anything_else(admin, app_):
    none = factories.app("Benevity")
    assert "Choose an approver" in markup(admin.get(mail(none, "denied")))
    assert "You now have access to Benevity." in markup(admin.get(mail(none, "added")))
    for kind, query in (
        ("gone", ""),
        ("denied", "to=everybody"),
        ("asked", "step=3"),
        ("asked", "step=0"),
        ("asked", "to=other"),
    ):
        assert admin.get(mail(app_, kind, query)).status_code == 404, (kind, query)
    assert admin.get(mail(app_, "denied", "person=person:000000000000")).status_code == 200


def test_the_page_takes_the_same_statements_with_few_and_many_people(admin, app_):
    counts = []
    for more in (0, 30):
        for index in range(more):
            factories.person(f"Person {index}", email=f"p{index}@example.com")
        with counting() as seen:
            assert admin.get(mail(app_, "asked")).status_code == 200
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 11


def test_the_email_is_shown_as_it_looks_in_a_frame_that_reaches_nothing(admin, app_, otto, login_as):
    answer = admin.get(mail(app_, "denied", "to=approver"))
    frame = re.search(r'<iframe src="([^"]+)"', markup(answer))[1]
    assert "frame-src 'self'" in answer.headers["Content-Security-Policy"] and "to=approver" in frame
    body = admin.get(frame)
    assert "Words when denied." in markup(body) and "sandbox" in body.headers["Content-Security-Policy"]
    assert login_as(otto).get(frame).status_code == 404
    assert admin.get(mail(factories.app("Zoom", factories.group("Legal")), "asked/body")).status_code == 404
