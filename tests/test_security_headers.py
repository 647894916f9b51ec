"""What every answer carries and every unsafe request goes through: headers, cookies, other sites, changed keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from tests.conftest import SECRET
from tests.helpers import factories
from tests.helpers.factories import PASSWORD
from webapp import create_app
from webapp.extensions import db

HERE = "https://apps.example.com"
CSP = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


@pytest.fixture
def again(app: Flask) -> Iterator[Any]:
    """`again(base_url=…)`: another app with other settings on the same database and broker."""
    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        other = create_app(replace(app.extensions["settings"], **changes))
        other.config["TESTING"] = True
        made.append(other)
        return other

    yield make
    for other in made:
        with other.app_context():
            db.session.remove()
            db.engine.dispose()
        other.extensions["broker"].close()


@pytest.fixture
def https(again: Any, rita: Any) -> Any:
    """A browser on an installation behind a TLS proxy."""
    factories.with_password(rita)
    secure = again(base_url=HERE, trusted_hosts=("apps.example.com",), mailbox=False, demo=False)
    return secure.test_client()


def token(page: str) -> str:
    return re.search(r'name="csrf_token"\s+value="([^"]+)"', page)[1]


def sign_in(client: Any, base_url: str, **more: Any) -> Any:
    page = client.get("/sign-in", base_url=base_url)
    data = {"csrf_token": token(page.text), "email": "rita@example.com", "password": PASSWORD}
    return client.post("/sign-in", base_url=base_url, data=data, **more)


# ---------- Headers ----------


@pytest.mark.parametrize("path", ["/sign-in", "/account", "/password/forgot", "/nothing/here", "/sign-out", "/healthz"])
def test_every_answer_carries_the_headers(login_as, rita, path):
    for browser in (login_as(rita), login_as(None)):
        headers = browser.get(path).headers
        said = dict(one.split(" ", 1) for one in headers["Content-Security-Policy"].split("; "))
        assert said == CSP
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] in ("same-origin", "no-referrer")
        assert headers["Cache-Control"] == "no-store"
        assert "HX-Request" in headers["Vary"]
        assert "Strict-Transport-Security" not in headers


def test_pages_hold_nothing_inline(login_as, rita):
    for path in ("/sign-in", "/account", "/password/forgot", "/nothing/here"):
        for browser in (login_as(rita), login_as(None)):
            page = browser.get(path).text
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
            assert not re.search(r"<script(?![^>]*\ssrc=)", page)


@pytest.mark.parametrize("path", ["/sign-in", "/account", "/password/forgot", "/password/x"])
def test_a_head_is_a_get_without_its_body(login_as, rita, path):
    client = login_as(rita).client
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.data) == (get.status_code, b"")


def test_an_address_with_a_nul_is_not_there(login_as, rita):
    assert login_as(rita).get("/account/%00").status_code == 404


def test_a_poisoned_host_is_refused(login_as, company):
    answer = login_as(None).client.get("/sign-in", headers={"Host": "evil.example"})
    assert answer.status_code == 400


# ---------- Cookies ----------


def test_over_https_the_cookie_is_secure_and_the_browser_told_to_stay(https):
    answer = sign_in(https, HERE)
    assert answer.status_code == 303
    cookie = answer.headers["Set-Cookie"]
    for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert flag in cookie
    assert "Domain" not in cookie
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_over_https_a_form_without_a_referer_passes(https):
    # Link pages send none, and Flask-WTF would refuse them; Sec-Fetch-Site is checked in its place.
    sign_in(https, HERE)
    page = https.get("/account", base_url=HERE)
    data = {"csrf_token": token(page.text), "time_zone": "Europe/Berlin"}
    answer = https.post(
        "/account/time-zone", base_url=HERE, data=data, headers={"Sec-Fetch-Site": "same-origin", "Origin": "null"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")


def test_on_this_machine_the_cookie_works_without_https(login_as, rita):
    factories.with_password(rita)
    cookie = sign_in(login_as(None).client, "http://localhost").headers["Set-Cookie"]
    assert "Secure" not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


# ---------- Other sites ----------


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_a_form_from_another_site_is_refused_whatever_it_carries(login_as, rita, site):
    browser = login_as(rita)
    answer = browser.client.post("/sign-out", data={"csrf_token": browser.token()}, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403
    assert "This request came from another website, so it was blocked." in answer.text
    assert browser.get("/account").status_code == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_ones_own_form_passes(login_as, rita, site):
    browser = login_as(rita)
    answer = browser.client.post("/sign-out", data={"csrf_token": browser.token()}, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 303


def test_a_link_from_another_site_opens(login_as, rita):
    answer = login_as(rita).client.get("/account", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200


def test_a_form_with_somebody_elses_token_is_refused_with_a_way_on(login_as, rita, otto):
    browser = login_as(rita)
    answer = browser.client.post("/sign-out", data={"csrf_token": login_as(otto).token()})
    assert answer.status_code == 400
    assert "reload the page and try again" in " ".join(answer.text.split())
    fragment = browser.client.post("/sign-out", headers={"HX-Request": "true"})
    assert fragment.status_code == 400
    assert fragment.headers["HX-Retarget"] == "#toasts"
    assert "Go back, reload the page and try again" in answer.text
    assert "Copy your text, then reload the page and try again" in fragment.text


# ---------- A new secret key ----------


def test_a_session_and_an_open_form_survive_a_new_key(again, login_as, rita):
    browser = login_as(rita)
    old_form = browser.token()
    cookie = browser.client.get_cookie("countersign").value
    client = again(secret_key="the new secret key of today", secret_key_fallbacks=("older still", SECRET)).test_client()
    client.set_cookie("countersign", cookie)
    assert client.get("/account").status_code == 200
    answer = client.post("/account/theme", data={"csrf_token": old_form, "theme": "dark"})
    assert answer.status_code == 303
    new_form = token(client.get("/account").text)
    assert client.post("/account/theme", data={"csrf_token": new_form, "theme": ""}).status_code == 303


def test_a_key_that_was_removed_opens_nothing(again, login_as, rita):
    browser = login_as(rita)
    cookie = browser.client.get_cookie("countersign").value
    client = again(secret_key="the new secret key of today").test_client()
    client.set_cookie("countersign", cookie)
    assert client.get("/account").status_code == 303


def test_a_forms_token_of_a_removed_key_is_refused(again, login_as, rita):
    browser = login_as(rita)
    old_form = browser.token()
    client = again(secret_key="the new secret key of today").test_client()
    with browser.client.session_transaction() as before, client.session_transaction() as session:
        session.update(before)
    assert client.get("/account").status_code == 200
    assert client.post("/account/theme", data={"csrf_token": old_form, "theme": "dark"}).status_code == 400
