"""What changes rules or people, or takes data along, asks for the password again after 15 minutes, in place."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from markupsafe import escape

from tests.helpers import changes, factories, lookups
from tests.helpers.lookups import app_called, facts, now
from tests.helpers.pages import flat, is_fragment, markup
from webapp.database import transactions
from webapp.extensions import db
from webapp.models import PersonSession
from webapp.web import reauth

MINUTE = timedelta(minutes=1)
AGAIN = "Confirm your password"
WRONG = "Incorrect password."
NOTE = 'Ask "first" & say <why>.\nThen wait.'


@pytest.fixture
def admin(login_as, adam):
    factories.with_password(adam)
    return login_as(adam)


@pytest.fixture
def stale(admin):
    """Adam's browser, 16 minutes later."""
    changes.shift("sessions", "proved_at", -16 * MINUTE)
    return admin


@pytest.fixture
def wanted(ana):
    return factories.app("Benevity", ana)


def note_of(app):
    return {"was": '{"note": ""}', "note": NOTE}, f"/admin/apps/{app.public_id}/note"


def proved(admin):
    db.session.rollback()
    return db.session.query(PersonSession.reauthenticated_at).order_by(PersonSession.id.desc()).first()[0]


def carried(answer):
    """The hidden fields of the form that asks, without its token."""
    found = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', answer.get_data(as_text=True))
    return [(name, value) for name, value in found if name != "csrf_token"]


@pytest.mark.parametrize("htmx", [False, True])
def test_it_asks_with_all_that_was_sent_and_changes_nothing(stale, wanted, htmx):
    form, address = note_of(wanted)
    before = lookups.everything()
    answer = stale.post(address, form, htmx=htmx)
    assert answer.status_code == 401 and AGAIN in markup(answer)
    assert carried(answer) == [(name, str(escape(value))) for name, value in form.items()]
    assert (f'action="{address}"' in flat(answer) and "data-again" in markup(answer)) or not htmx
    assert is_fragment(answer) is htmx
    assert answer.headers.get("HX-Retarget") == ("#dialog" if htmx else None)
    assert lookups.everything() == before


@pytest.mark.parametrize("htmx", [False, True])
def test_the_right_password_makes_the_change_in_one_go(stale, wanted, adam, htmx):
    form, address = note_of(wanted)
    answer = stale.post(address, form | {"your_password": factories.PASSWORD}, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    assert now(wanted).note == NOTE
    assert facts("session.proved")[-1]["actor"] == adam.id
    # And the next one is not asked again.
    was = {"was": json.dumps({"note": NOTE}), "note": ""}
    assert stale.post(address, was).status_code == 303
    assert now(wanted).note == ""


@pytest.mark.parametrize("htmx", [False, True])
def test_a_wrong_password_changes_nothing_and_keeps_what_was_sent(stale, wanted, htmx):
    form, address = note_of(wanted)
    before = lookups.everything()
    answer = stale.post(address, form | {"your_password": "wrong"}, htmx=htmx)
    assert answer.status_code == 401 and WRONG in markup(answer) and 'aria-invalid="true"' in markup(answer)
    assert carried(answer) == [(name, str(escape(value))) for name, value in form.items()]
    assert "wrong" not in [value for _, value in carried(answer)] and 'value="wrong"' not in markup(answer)
    assert lookups.everything() == before


def test_an_empty_password_is_asked_for(stale, wanted):
    form, address = note_of(wanted)
    answer = stale.post(address, form | {"your_password": ""})
    assert answer.status_code == 401 and "Enter your password." in markup(answer)


@pytest.mark.parametrize("htmx", [False, True])
def test_after_ten_wrong_passwords_the_session_has_to_wait(stale, wanted, login_as, adam, htmx):
    form, address = note_of(wanted)
    tries = [stale.post(address, form | {"your_password": "wrong"}, htmx=htmx) for _ in range(11)]
    assert [one.status_code for one in tries] == [401] * 10 + [429]
    answer = stale.post(address, form | {"your_password": factories.PASSWORD}, htmx=htmx)
    assert answer.status_code == 429 and "Too many attempts. Try again in 15 minutes." in markup(answer)
    assert 880 <= int(answer.headers["Retry-After"]) <= 900
    assert ("note", str(escape(NOTE))) in carried(answer)
    assert now(wanted).note == ""
    # Here and on the account's page are one count; another session has its own.
    given = {"current": factories.PASSWORD} | dict.fromkeys(("password", "again"), "three words in a row")
    assert stale.post("/account/password", given).status_code == 429
    assert login_as(adam).post(address, form).status_code == 303


def test_a_recent_sign_in_is_not_asked_whatever_was_tried(admin, wanted):
    form, address = note_of(wanted)
    changes.shift("sessions", "proved_at", -14 * MINUTE)
    assert admin.post(address, form | {"your_password": "wrong"}).status_code == 303
    assert now(wanted).note == NOTE


def test_a_session_from_before_is_asked(admin, wanted):
    db.session.query(PersonSession).update({"reauthenticated_at": None})
    db.session.commit()
    assert admin.post(*reversed(note_of(wanted))).status_code == 401


def test_who_refuses_the_change_is_asked_for_no_password_again(stale, wanted):
    """The password is right and the name is not: the proof stays, and only the name has to be mended."""
    factories.app("Zoom")
    answer = stale.post("/admin/apps", {"name": "Zoom", "your_password": factories.PASSWORD}, htmx=True)
    assert answer.status_code == 422 and "An app with the name Zoom already exists." in markup(answer)
    assert stale.post("/admin/apps", {"name": "Zoom two"}).status_code == 303
    assert app_called("Zoom two") is not None


def test_several_values_of_one_name_are_all_kept(stale, wanted, company):
    legal = factories.group("Legal")
    groups = [f"group:{one.public_id}" for one in (company.finance, legal)]
    form = {"audience": groups, "was": '{"audience": []}'}
    answer = stale.post(f"/admin/apps/{wanted.public_id}/audience", form)
    assert [value for name, value in carried(answer) if name == "audience"] == groups
    stale.post(f"/admin/apps/{wanted.public_id}/audience", form | {"your_password": factories.PASSWORD})
    assert now(wanted).for_everyone is False


def test_the_password_is_hashed_outside_of_a_write_transaction(stale, wanted, monkeypatch):
    seen = []
    real = reauth.passwords.fits

    def fits(hash, given):
        seen.append((transactions._mode.get(), db.session().in_transaction()))
        return real(hash, given)

    monkeypatch.setattr(reauth.passwords, "fits", fits)
    form, address = note_of(wanted)
    assert stale.post(address, form | {"your_password": factories.PASSWORD}).status_code == 303
    assert seen == [("read", False)]


def test_a_password_that_was_changed_elsewhere_is_not_the_password_any_more(stale, wanted, adam):
    factories.with_password(adam, "another long password")
    form, address = note_of(wanted)
    assert stale.post(address, form | {"your_password": factories.PASSWORD}).status_code == 401
    assert stale.post(address, form | {"your_password": "another long password"}).status_code == 303


def test_the_carried_form_needs_its_token_and_this_site(stale, wanted):
    form, address = note_of(wanted)
    form["your_password"] = factories.PASSWORD
    assert stale.client.post(address, data=form).status_code == 400
    answer = stale.client.post(
        address, data=form | {"csrf_token": stale.token()}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert now(wanted).note == "" and facts("session.proved") == []


def test_an_export_asks_on_a_page_that_leads_to_the_download(stale):
    answer = stale.get("/admin/audit.csv?what=apps")
    assert answer.status_code == 401 and "The download then starts." in markup(answer)
    assert carried(answer) == [("next", "/admin/audit.csv?what=apps")]
    wrong = stale.post("/account/proof", {"next": "/admin/audit.csv?what=apps", "your_password": "wrong"})
    assert wrong.status_code == 401 and WRONG in markup(wrong)
    assert carried(wrong) == [("next", "/admin/audit.csv?what=apps")]
    right = stale.post("/account/proof", {"next": "/admin/audit.csv?what=apps", "your_password": factories.PASSWORD})
    assert (right.status_code, right.headers["Location"]) == (303, "/admin/audit.csv?what=apps")
    download = stale.get("/admin/audit.csv?what=apps", buffered=True)
    assert download.status_code == 200 and download.content_type == "text/csv; charset=utf-8"


def test_the_page_leads_nowhere_else(stale):
    form = {"next": "https://elsewhere.example/", "your_password": factories.PASSWORD}
    assert stale.post("/account/proof", form).headers["Location"] == "/"


def test_reading_asks_nothing(stale, wanted):
    for address in ("/admin/apps", f"/admin/apps/{wanted.public_id}", "/admin/people", "/admin/audit"):
        assert stale.get(address).status_code == 200


def test_no_password_gets_into_the_log(stale, wanted, caplog):
    form, address = note_of(wanted)
    with caplog.at_level("DEBUG"):
        stale.post(address, form | {"your_password": "wrong horse battery"})
        stale.post(address, form | {"your_password": factories.PASSWORD})
    told = caplog.text + " ".join(str(vars(record)) for record in caplog.records)
    assert "wrong horse battery" not in told and factories.PASSWORD not in told
