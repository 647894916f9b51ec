"""A new code, the same email again, apps that need a sign-in, and trusted browsers."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.helpers import changes, factories, lookups, pages, rules
from tests.helpers.pages import words
from tests.helpers.rules import rule, signed_in_only, text_field
from webapp import links
from webapp.database.transactions import choose
from webapp.delivery.outbox import commit
from webapp.extensions import db
from webapp.operations import people

from .code_helpers import focused


@pytest.fixture
def made(company):
    return factories.request(company.rita, factories.app("Benevity", company.ana), message="For the drive.")


@pytest.fixture
def nobody(login_as):
    return login_as(None)


# ---------- A new code ----------


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("verdict", ["approval", "denial"])
def test_a_press_before_the_code_leads_to_the_code_without_an_error(nobody, rita, ana, htmx, verdict):
    made = factories.request(rita, factories.app("Salesforce", ana))
    form = {"comment": "Fine.", "reason": "Too dear.", "code": "  "}
    answer = nobody.post(f"{lookups.link(made, ana)}/{verdict}", form, htmx=htmx)
    source = pages.source(answer).partition("<template")[0]
    assert answer.status_code == 422 and lookups.state(made) == "pending"
    assert "Enter the code to confirm your decision." in words(answer)
    assert "aria-invalid" not in source and "invalid-feedback" not in source
    field = re.search(r'<input[^>]* id="code"[^>]*>', source)[0]
    assert field.endswith(" autofocus>") and "maxlength" not in field and "one-time-code" in field
    assert pages.typed(answer, "Fine.") and pages.typed(answer, "Too dear.")
    assert htmx or "One more step: enter the code from the email." in words(answer)
    assert lookups.invitation(made, ana).wrong_codes == 0


def test_a_new_code_is_a_new_round_and_the_old_link_only_shows(nobody, login_as, ana, made):
    old, old_code = lookups.link(made, ana), lookups.code(made, ana)
    for _ in range(5):
        nobody.post(f"{old}/approval", {"code": lookups.wrong_code(made, ana)})
    answer = nobody.post(f"{old}/code", {"comment": "Typed"})
    assert (answer.status_code, answer.headers["Location"]) == (303, old)
    assert lookups.mailed()[-2:] == [("code-closed", "Ana"), ("approval-asked", "Ana")]
    told = words(nobody.get(old))
    assert "There is a newer email" in told
    assert "We have sent Ana Moreau a new link and code." in told
    before = lookups.everything()
    for code in (old_code, lookups.code(made, ana)):
        for verdict in ("approval", "denial"):
            refused = nobody.post(f"{old}/{verdict}", {"code": code, "reason": "No."})
            assert refused.status_code == 409
            assert "There is a newer email" in words(refused)
    assert lookups.everything() == before
    new = lookups.link(made, ana)
    assert new != old
    assert "Code from the email" in words(nobody.get(new))
    assert nobody.post(f"{new}/approval", {"code": old_code}).status_code == 422
    assert nobody.post(f"{new}/approval", {"code": lookups.code(made, ana)}).status_code == 303


def test_a_signed_in_approver_decides_from_an_earlier_link(nobody, login_as, ana, made):
    old = lookups.link(made, ana)
    changes.new_round(nobody, made, ana)
    browser = login_as(ana)
    assert "Your decision" in words(browser.get(old))
    assert browser.post(f"{old}/approval").status_code == 303
    assert lookups.decisions(made) == [("Ana", "approved", "browser")]


def test_pressing_twice_makes_one_new_code(nobody, ana, made):
    old = lookups.link(made, ana)
    changes.new_round(nobody, made, ana)
    before = lookups.everything()
    answer = nobody.post(f"{old}/code")
    assert answer.status_code == 409
    assert "Check the latest email." in words(answer)
    assert nobody.post(f"{old}/code", htmx=True).headers["HX-Redirect"] == old
    assert lookups.everything() == before


def test_three_new_codes_a_day(nobody, ana, made):
    for _ in range(3):
        changes.new_round(nobody, made, ana)
    changes.close_code(made, ana)
    before = lookups.everything()
    answer = nobody.post(f"{lookups.link(made, ana)}/code", {"comment": "Typed"})
    assert answer.status_code == 409
    assert "You have reached the limit of 3 new codes a day." in words(answer)
    assert "Typed</textarea>" in pages.source(answer)
    assert lookups.everything() == before


# ---------- The same mail once more ----------


def test_while_the_code_works_the_same_mail_comes_once_more_and_the_link_goes_on_working(nobody, ana, made):
    address, code = lookups.link(made, ana), lookups.code(made, ana)
    assert "Send the email again" in words(nobody.get(address))
    changes.shift("notices", "created_at", timedelta(minutes=-11))
    answer = nobody.post(f"{address}/code")
    assert answer.status_code == 200
    assert lookups.mailed() == [("approval-asked", "Ana"), ("approval-asked", "Ana")]
    told = words(answer)
    assert "Email sent again to Ana Moreau. The link and code are the same." in told
    assert "Code from the email" in told
    assert (lookups.link(made, ana), lookups.code(made, ana)) == (address, code)
    assert nobody.post(f"{address}/approval", {"code": code}).status_code == 303


@pytest.mark.parametrize("htmx", [False, True])
def test_what_was_typed_stays_while_the_mail_comes_once_more(nobody, rita, ana, htmx):
    policy = rule(ana, see=({"role": rules.WRITE},), entitlements=(text_field("role", default="Reader"),))
    made = factories.request(rita, factories.app("Salesforce", policy=policy))
    address = lookups.link(made, ana)
    changes.shift("notices", "created_at", timedelta(minutes=-11))
    form = {"field-role": "Writer", "comment": "For “one” <year>", "reason": "Or not", "remember": "1"}
    answer = nobody.post(f"{address}/code", form, htmx=htmx)
    assert answer.status_code == 200
    assert ("<html" in pages.source(answer)) is not htmx
    assert "Email sent again to Ana Moreau." in words(answer)
    assert 'value="Writer"' in pages.source(answer)
    for typed in ("For “one” <year>", "Or not"):
        assert pages.typed(answer, typed)
    assert re.search(r'name="remember"[^>]*checked', pages.source(answer))
    assert focused(answer) == ["said"]


@pytest.mark.parametrize("told", ["a wrong code", "no new mail yet"])
def test_without_javascript_the_top_of_the_page_leads_to_the_answer(nobody, ana, made, told):
    address = lookups.link(made, ana)
    if told == "a wrong code":
        answer = nobody.post(f"{address}/approval", {"code": lookups.wrong_code(made, ana)})
    else:
        answer = nobody.post(f"{address}/code")
    (place,) = focused(answer)
    assert place == ("code" if told == "a wrong code" else "said")
    assert f'Your decision was not saved. <a class="cs-u" href="#{place}">' in pages.flat(answer)
    assert "Nothing is decided yet" not in words(nobody.get(address))
    assert focused(nobody.get(address)) == []


def test_it_does_not_come_at_once_nor_more_than_three_times_a_day(nobody, ana, made):
    address = lookups.link(made, ana)
    for _ in range(3):
        before = lookups.everything()
        answer = nobody.post(f"{address}/code", {"comment": "Typed"})
        assert answer.status_code == 409
        assert "less than 10 minutes ago" in words(answer)
        assert "Typed</textarea>" in pages.source(answer)
        assert lookups.everything() == before
        changes.shift("notices", "created_at", timedelta(minutes=-11))
        assert nobody.post(f"{address}/code").status_code == 200
    changes.shift("notices", "created_at", timedelta(minutes=-11))
    answer = nobody.post(f"{address}/code")
    assert answer.status_code == 409
    assert "We have sent this email 3 more times today" in words(answer)
    changes.shift("notices", "created_at", timedelta(days=-1))
    assert nobody.post(f"{address}/code").status_code == 200


def test_the_approver_is_told_when_wrong_codes_close_the_code(nobody, ana, made):
    address, wrong = lookups.link(made, ana), lookups.wrong_code(made, ana)
    for _ in range(4):
        nobody.post(f"{address}/approval", {"code": wrong})
    assert lookups.mailed() == [("approval-asked", "Ana")]
    for _ in range(3):
        nobody.post(f"{address}/approval", {"code": wrong})
    assert lookups.mailed() == [("approval-asked", "Ana"), ("code-closed", "Ana")]
    assert factories.rows("events", "kind = 'code.closed'") == 1


def test_no_new_code_for_what_is_over(nobody, rita, ana, made):
    address = lookups.link(made, ana)
    factories.overdue(made)
    for _ in range(2):
        before = lookups.everything()
        answer = nobody.post(f"{address}/code")
        assert answer.status_code == 409
        assert lookups.everything() == before
        if lookups.state(made) == "pending":
            assert "Expired " in words(answer)
            changes.sweep()


def test_the_new_code_by_htmx_loads_the_page_anew(nobody, ana, made):
    address = lookups.link(made, ana)
    changes.close_code(made, ana)
    answer = nobody.post(f"{address}/code", htmx=True)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, address)


# ---------- Apps that want a sign-in ----------


@pytest.fixture
def strict(company):
    return factories.request(company.rita, factories.app("Payroll", policy=signed_in_only(company.ana)))


def test_an_app_may_want_a_sign_in_and_one_comes_back_to_exactly_this_request(nobody, login_as, ana, strict):
    address, code = lookups.link(strict, ana), lookups.code(strict, ana)
    token = address.removeprefix("/decide/")
    page = nobody.get(address)
    assert page.status_code == 200
    assert "Sign in to decide" in words(page)
    assert "Code from the email" not in words(page)
    assert "only the code and a button do" not in words(page)
    assert "works without a password" not in words(nobody.get(f"/sign-in?next=/approvals/{strict.public_id}"))
    assert "For most apps you do not need a password." in words(nobody.get("/sign-in"))
    before = lookups.everything()
    for verdict in ("approval", "denial"):
        for htmx in (False, True):
            answer = nobody.post(f"{address}/{verdict}", {"code": code, "reason": "No."}, htmx=htmx)
            assert answer.status_code == 403
            assert "Sign in to decide" in words(answer)
            ways = re.findall(r'href="(/sign-in\?next=[^"]*)"', pages.source(answer))
            assert f"/sign-in?next=/approvals/{strict.public_id}" in ways
            assert not any(token in way for way in ways)
    assert lookups.everything() == before
    factories.with_password(ana)
    answer = nobody.post(
        "/sign-in",
        {"email": ana.email, "password": factories.PASSWORD, "next": f"/approvals/{strict.public_id}"},
    )
    assert answer.headers["Location"] == f"/approvals/{strict.public_id}"
    assert nobody.post(f"/requests/{strict.public_id}/approval").status_code == 303
    assert lookups.decisions(strict) == [("Ana", "approved", "browser")]


# ---------- The remembered browser ----------


def remembered(nobody, made, ana):
    answer = nobody.post(f"{lookups.link(made, ana)}/approval", {"code": lookups.code(made, ana), "remember": "1"})
    assert answer.status_code == 303
    cookie = next(one for one in answer.headers.getlist("Set-Cookie") if one.startswith("countersign_decisions="))
    return cookie


def test_a_remembered_browser_is_spared_the_code_on_links_of_the_same_person(nobody, rita, otto, ana, made, company):
    cookie = remembered(nobody, made, ana)
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/decide" in cookie
    second = factories.request(otto, db.session.get(factories.App, made.app_id))
    told = words(nobody.get(lookups.link(second, ana)))
    assert "Code from the email" not in told
    assert nobody.post(f"{lookups.link(second, ana)}/approval").status_code == 303
    assert lookups.decisions(second) == [("Ana", "approved", "code")]


def test_it_opens_nothing_else(nobody, rita, otto, ben, ana, made, strict, company):
    remembered(nobody, made, ana)
    for path in ("/", "/approvals", "/account", f"/requests/{made.public_id}", f"/approvals/{strict.public_id}"):
        assert nobody.get(path).status_code == 303, path
    third = factories.request(otto, factories.app("Other", ben))
    assert "Code from the email" in words(nobody.get(lookups.link(third, ben)))
    assert nobody.post(f"{lookups.link(third, ben)}/approval").status_code == 422
    assert nobody.post(f"{lookups.link(strict, ana)}/approval").status_code == 403, "an app that wants a sign-in"
    second = factories.request(otto, db.session.get(factories.App, made.app_id))
    assert nobody.get(f"/decide/{lookups.link(second, ana).removeprefix('/decide/')}x").status_code == 404
    old = lookups.link(second, ana)
    changes.new_round(nobody, second, ana)
    assert nobody.post(f"{old}/approval").status_code == 409, "nor an earlier round"
    assert lookups.decisions(second) == lookups.decisions(third) == lookups.decisions(strict) == []


def test_it_is_listed_and_can_be_revoked(nobody, login_as, otto, ana, made):
    remembered(nobody, made, ana)
    second = factories.request(otto, db.session.get(factories.App, made.app_id))
    at_home = login_as(ana)
    account = pages.source(at_home.get("/account/sessions"))
    row = db.session.query(factories.people.PersonSession).filter_by(kind="decisions").one().public_id
    assert f"/account/sessions/{row}/ending" in account
    assert at_home.post(f"/account/sessions/{row}/ending").status_code == 303
    assert "Code from the email" in words(nobody.get(lookups.link(second, ana)))
    assert nobody.post(f"{lookups.link(second, ana)}/approval").status_code == 422


def test_it_ends_by_itself_and_with_sign_out_everywhere_and_a_forged_one_is_none(nobody, login_as, otto, ana, made):
    remembered(nobody, made, ana)
    second = factories.request(otto, db.session.get(factories.App, made.app_id))
    address = lookups.link(second, ana)
    assert "Code from the email" not in words(nobody.get(address))
    changes.shift("sessions", "expires_at", timedelta(days=-91), "kind = 'decisions'")
    assert "Code from the email" in words(nobody.get(address))
    changes.shift("sessions", "expires_at", timedelta(days=91), "kind = 'decisions'")
    assert "Code from the email" not in words(nobody.get(address))
    assert login_as(ana).post("/account/sessions/ending").status_code == 303
    assert "Code from the email" in words(nobody.get(address))
    sign_in = factories.session_of(ana)
    for value in ("x", "", links.browser_token(sign_in), links.browser_token("x"), "é" * 500):
        nobody.client.set_cookie("countersign_decisions", value, path="/decide")
        assert "Code from the email" in words(nobody.get(address)), "a session for signing in is not one for decisions"


def test_a_decisions_session_signs_nobody_in(app, login_as, nobody, ana, made):
    remembered(nobody, made, ana)
    row = db.session.query(factories.people.PersonSession).filter_by(kind="decisions").one().public_id
    other = login_as(None)
    with other.client.session_transaction() as session:
        session["_user_id"] = row
    assert other.get("/").status_code == 303


def test_wrong_codes_do_not_remember(nobody, ana, made):
    answer = nobody.post(
        f"{lookups.link(made, ana)}/approval", {"code": lookups.wrong_code(made, ana), "remember": "1"}
    )
    assert "countersign_decisions" not in str(answer.headers)
    assert factories.rows("sessions", "kind = 'decisions'") == 0


def test_deactivation_ends_it_too(nobody, otto, ana, adam, made):
    remembered(nobody, made, ana)
    second = factories.request(otto, db.session.get(factories.App, made.app_id))
    address = lookups.link(second, ana)
    changes.deactivate(ana, adam)
    choose("write")
    people.reactivate(db.session.merge(ana), actor=adam, now=factories.clock.now())
    commit()
    assert nobody.post(f"{address}/approval").status_code in (409, 422)
    assert lookups.decisions(second) == []
