"""A terminal signs in by a code: it asks and fetches by the API, its person allows it on a page."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.api.conftest import Program
from tests.helpers import changes, factories
from tests.helpers.lookups import everything, facts
from tests.helpers.pages import markup
from webapp import clock, tokens
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import broker, db
from webapp.models import ApiToken, DeviceCode, Notice, Organisation
from webapp.operations import people
from webapp.queries.tokens import find_caller

SCOPES = ["requests:read", "requests:write", "decide", "audit:read"]


class Terminal:
    """What `countersign login` does, call by call."""

    def __init__(self, app, scopes=SCOPES, name="rita-laptop", days=30):
        self.program = Program(app, "")
        answer = self.program.post("/device-codes", {"name": name, "scopes": scopes, "days": days})
        assert answer.status_code == 201, answer.json
        self.made = answer.json
        self.code = self.made["user_code"]

    def fetch(self, secret=None):
        broker().flushdb()  # as if it had waited for the interval
        return self.program.post(
            f"/device-codes/{self.made['id']}/token", {"device_code": secret or self.made["device_code"]}
        )


@pytest.fixture
def terminal(app, company):
    return Terminal(app)


@pytest.fixture
def hers(login_as, rita):
    factories.with_password(rita)
    return login_as(rita)


def allow(browser, terminal, *scopes, htmx=False):
    return browser.post(f"/device/{terminal.code}/approval", {"scope": list(scopes or SCOPES[:3])}, htmx=htmx)


def waiting(terminal):
    return db.session.query(DeviceCode).filter_by(public_id=terminal.made["id"]).one()


def test_rita_allows_her_terminal_and_it_gets_what_she_saw(hers, terminal, rita, app):
    assert terminal.fetch().json["error"] == "authorization_pending"
    page = markup(hers.get(f"/device?code={terminal.code.lower()}"))
    assert "rita-laptop" in page and terminal.code in page and "127.0.0.1" in page and "30 days" in page
    shown = re.findall(r'name="scope"\s+value="([^"]+)"', page)
    assert shown == SCOPES[:3] and "scopes of admins, which you cannot give" in page
    answer = allow(hers, terminal, *shown)
    assert answer.status_code == 303 and answer.headers["Location"] == "/device/done"
    assert "Terminal allowed" in hers.get("/device/done").text
    got = terminal.fetch()
    assert got.status_code == 201 and got.json["scopes"] == sorted(shown) and got.json["name"] == "rita-laptop"
    caller = find_caller(tokens.digest(got.json["token"]), now=clock.now())
    assert caller.id == rita.id and {one.value for one in caller.scopes} == set(shown)
    assert facts("token.created")[-1]["actor"] == rita.id
    assert db.session.query(Notice).filter_by(kind="api-token", person_id=rita.id).count() == 1
    assert Program(app, got.json["token"]).get("/me").json["person"]["email"] == rita.email


def test_the_token_is_fetched_once(hers, terminal):
    allow(hers, terminal)
    assert terminal.fetch().status_code == 201
    again = terminal.fetch()
    assert again.status_code == 400 and again.json["error"] == "expired_token"
    assert db.session.query(ApiToken).count() == 1


def test_nothing_that_is_stored_fetches_the_token(hers, terminal):
    allow(hers, terminal)
    stored = str(everything()["device_codes"])
    assert terminal.made["device_code"] not in stored and "csn_" not in stored
    assert db.session.query(ApiToken).count() == 0


def test_what_was_not_ticked_is_not_given(hers, terminal):
    allow(hers, terminal, "requests:read")
    assert terminal.fetch().json["scopes"] == ["requests:read"]


@pytest.mark.parametrize("scope", ["apps:admin", "audit:read", "nonsense"])
def test_what_was_not_shown_cannot_be_given(hers, terminal, scope):
    answer = allow(hers, terminal, "requests:read", scope)
    assert answer.status_code == 422 and waiting(terminal).state == "waiting"


def test_without_a_scope_it_asks_for_one_and_keeps_the_page(hers, terminal):
    answer = hers.post(f"/device/{terminal.code}/approval", {})
    assert answer.status_code == 422 and "Choose at least one." in markup(answer)
    assert "rita-laptop" in markup(answer)


def test_rita_denies_it(hers, terminal):
    assert hers.post(f"/device/{terminal.code}/denial", {}).headers["Location"] == "/"
    got = terminal.fetch()
    assert got.status_code == 400 and got.json["error"] == "access_denied"
    assert allow(hers, terminal).status_code == 404


def test_a_second_answer_is_refused(hers, terminal, login_as, otto):
    allow(hers, terminal)
    for answer in (allow(hers, terminal), allow(login_as(otto), terminal)):
        assert answer.status_code == 404 and "No terminal is waiting with this code." in markup(answer)
    assert waiting(terminal).state == "approved"


def test_after_ten_minutes_it_has_ended_for_both(hers, terminal):
    changes.shift("device_codes", "expires_at", -timedelta(minutes=10))
    assert hers.get(f"/device?code={terminal.code}").status_code == 404
    assert allow(hers, terminal).status_code == 404
    assert terminal.fetch().json["error"] == "expired_token"


def test_what_was_allowed_but_never_fetched_ends_too(hers, terminal):
    allow(hers, terminal)
    changes.shift("device_codes", "expires_at", -timedelta(minutes=10))
    assert terminal.fetch().json["error"] == "expired_token"
    assert db.session.query(ApiToken).count() == 0


def test_a_terminal_that_asks_too_soon_is_told_to_slow_down(terminal):
    path, body = f"/device-codes/{terminal.made['id']}/token", {"device_code": terminal.made["device_code"]}
    answers = [terminal.program.post(path, body).json["error"] for _ in range(2)]
    assert answers == ["authorization_pending", "slow_down"]


def test_another_secret_fetches_nothing(hers, terminal, app):
    allow(hers, terminal)
    assert terminal.fetch("guessed").json["error"] == "expired_token"
    assert terminal.fetch(Terminal(app).made["device_code"]).json["error"] == "expired_token"
    assert terminal.fetch().status_code == 201


def test_who_was_deactivated_since_gets_no_token(hers, terminal, rita, adam):
    allow(hers, terminal)
    choose("write")
    db.session.merge(rita).active = False  # at the very moment when the terminal fetches it
    db.session.commit()
    assert terminal.fetch().json["error"] == "access_denied"
    assert db.session.query(ApiToken).count() == 0


def test_who_comes_back_has_no_terminal_waiting(hers, terminal, rita, adam):
    allow(hers, terminal)
    changes.deactivate(rita, adam)
    choose("write")
    people.reactivate(db.session.merge(rita), actor=db.session.merge(adam), now=clock.now())
    outbox.commit()
    assert "error" in terminal.fetch().json
    assert db.session.query(ApiToken).count() == 0


def test_an_admin_who_is_one_no_longer_gets_no_token_of_an_admin(login_as, terminal, adam, company):
    factories.with_password(adam)
    assert allow(login_as(adam), terminal, "audit:read").status_code == 303
    choose("write")
    admin, other = db.session.merge(adam), db.session.merge(company.ben)
    people.set_admin(other, is_admin=True, actor=admin, now=clock.now())
    people.set_admin(admin, is_admin=False, actor=other, now=clock.now())
    outbox.commit()
    answer = terminal.fetch()
    assert answer.json["error"] == "access_denied" and "you are not an admin" in answer.json["detail"]


def test_where_tokens_are_not_allowed_the_page_says_so(hers, terminal):
    choose("write")
    db.session.get_one(Organisation, 1).tokens_allowed = False
    db.session.commit()
    answer = allow(hers, terminal)
    assert answer.status_code == 422 and "does not allow API tokens" in markup(answer)


def test_it_lasts_no_longer_than_the_organisation_allows(hers, app, company):
    terminal = Terminal(app, days=365)
    assert "90 days" in hers.get(f"/device?code={terminal.code}").text
    allow(hers, terminal)
    assert terminal.fetch().json["days"] == 90


def test_it_needs_a_recent_password(hers, terminal):
    changes.shift("sessions", "proved_at", -timedelta(minutes=16))
    answer = allow(hers, terminal, "requests:read")
    assert answer.status_code == 401 and "Confirm your password" in markup(answer)
    assert waiting(terminal).state == "waiting"
    form = {"scope": ["requests:read"], "your_password": factories.PASSWORD}
    assert hers.post(f"/device/{terminal.code}/approval", form).status_code == 303


def test_a_code_that_nobody_asked_for_is_refused_with_what_was_typed(hers, company):
    answer = hers.get("/device?code=BBBB-BBBB")
    assert answer.status_code == 404 and "No terminal is waiting" in markup(answer) and "BBBB-BBBB" in answer.text


def test_nobody_tries_all_codes(hers, terminal):
    broker().flushdb()
    tried = [hers.get("/device?code=BBBB-BBBB").status_code for _ in range(11)]
    assert tried == [404] * 10 + [429]
    refused = allow(hers, terminal)
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 60
    assert hers.post(f"/device/{terminal.code}/denial", {}).status_code == 429
    assert waiting(terminal).state == "waiting"


def test_a_get_or_who_is_signed_out_changes_nothing(hers, login_as, terminal):
    assert hers.get(f"/device/{terminal.code}/approval").status_code == 405
    answer = login_as(None).get(f"/device?code={terminal.code}")
    assert answer.headers["Location"].startswith("/sign-in?next=/device")
    assert waiting(terminal).state == "waiting"


def test_another_network_is_pointed_out(hers, terminal):
    assert "not the one of this browser" not in hers.get(f"/device?code={terminal.code}").text
    choose("write")
    waiting(terminal).address = "203.0.113.7"
    db.session.commit()
    page = markup(hers.get(f"/device?code={terminal.code}"))
    assert "203.0.113.7" in page and "not the one of this browser" in page


@pytest.mark.parametrize(
    ("field", "value"), [("scopes", ["nonsense"]), ("scopes", []), ("name", ""), ("name", "x" * 81), ("days", 366)]
)
def test_what_a_terminal_cannot_ask_for(app, company, field, value):
    body = {"name": "laptop", "scopes": ["requests:read"], "days": 30} | {field: value}
    answer = Program(app, "").post("/device-codes", body)
    assert answer.status_code == 422 and [one["field"] for one in answer.json["errors"]] == [field]


def test_one_address_gets_twenty_codes(app, company):
    broker().flushdb()
    program = Program(app, "")
    answers = [program.post("/device-codes", {"name": "x", "scopes": ["decide"]}) for _ in range(21)]
    assert [one.status_code for one in answers] == [201] * 20 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 60 and answers[-1].json["type"].endswith("#slow-down")


def test_old_codes_are_deleted_when_the_next_one_is_asked_for(app, company):
    first = Terminal(app)
    changes.shift("device_codes", "expires_at", -timedelta(hours=2))
    Terminal(app)
    assert db.session.query(DeviceCode).filter_by(public_id=first.made["id"]).count() == 0
