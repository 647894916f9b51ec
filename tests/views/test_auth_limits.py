"""How often one may try: counted in the broker in one step, in memory while it is down, and never a 500."""

from __future__ import annotations

import contextvars
import threading
import time

import pytest

from tests.helpers import factories
from tests.helpers.valkey import start_valkey
from tests.views.test_auth_sign_in import sign_in
from webapp import clock
from webapp.auth import views
from webapp.extensions import broker, db, keyring, network
from webapp.models import Person
from webapp.runtime.broker import connect
from webapp.web import attempts, devices, reauth

SLOWER = "Too many attempts. Try again in"


@pytest.fixture
def door(login_as, rita):
    factories.with_password(rita)
    return login_as(None)


@pytest.fixture
def fast(monkeypatch):
    """For tests with many tries: no argon2."""
    monkeypatch.setattr(views.passwords, "fits", lambda hash, given: hash is not None and given != "wrong")


def wrong(door, times, email="rita@example.com", **more):
    return [sign_in(door, email, "wrong", **more).status_code for _ in range(times)]


def from_address(door, address):
    door.client.environ_base["REMOTE_ADDR"] = address


def device_of(browser):
    cookie = browser.client.get_cookie("countersign_device", path="/sign-in")
    return cookie.value if cookie else ""


def only_the_device(login_as, value):
    """Another browser profile with nothing but this cookie."""
    browser = login_as(None)
    browser.client.set_cookie("countersign_device", value, path="/sign-in")
    return browser


def test_after_ten_wrong_passwords_an_address_has_to_wait_for_this_account(door):
    assert wrong(door, 11) == [422] * 10 + [429]
    answer = sign_in(door)
    assert answer.status_code == 429
    assert f"{SLOWER} 15 minutes. If you do not know your password, reset it with a link by email." in answer.text
    assert 880 <= int(answer.headers["Retry-After"]) <= 900
    assert 'value="rita@example.com"' in answer.text
    assert wrong(door, 1, "Rita@example.com ") == [429], "however it is typed"


def test_wrong_tries_from_elsewhere_lock_nobody_out(door, login_as):
    """Ten wrong ones close the door for who sent them; others, and other accounts, are not held up."""
    wrong(door, 11)
    rita = login_as(None)
    from_address(rita, "198.51.100.1")
    assert sign_in(rita).status_code == 303
    assert wrong(door, 1, "ana@example.com") == [422]


def test_an_account_that_is_tried_from_many_addresses_opens_for_a_known_browser_only(door, login_as, fast):
    hers = login_as(None)
    assert sign_in(hers).status_code == 303
    device = device_of(hers)
    for number in range(50):
        from_address(door, f"192.0.2.{number}")
        assert wrong(door, 1) == [422]
    from_address(door, "198.51.100.1")
    refused = sign_in(door)
    assert refused.status_code == 429 and SLOWER in refused.text and "reset it with a link by email" in refused.text
    known = only_the_device(login_as, device)
    from_address(known, "192.0.2.7")  # even from an address that others have used up
    assert wrong(known, 1) == [422]
    assert sign_in(known).status_code == 303
    # It has a count of its own, and no more.
    assert wrong(known, 11) == [422] * 10 + [429]
    assert sign_in(known).status_code == 429
    # With a new password by a mailed link, the browser that set it is known.
    assert only_the_device(login_as, device_of(known)) is not None


def test_a_refused_try_uses_up_nothing(door, fast):
    """Else one address alone would close the account for everybody, with tries that nobody looks at."""
    wrong(door, 80)
    from_address(door, "198.51.100.1")
    assert sign_in(door).status_code == 303


def test_the_cookie_of_a_known_browser_names_nobody_and_ends(door, rita, app, monkeypatch):
    answer = sign_in(door)
    header = next(one for one in answer.headers.getlist("Set-Cookie") if one.startswith("countersign_device="))
    assert "HttpOnly" in header and "SameSite=Lax" in header and "Path=/sign-in" in header
    value = device_of(door)
    assert rita.public_id not in value and "rita" not in value and f".{rita.id}." not in value
    sign_in(door)
    assert device_of(door).split(".")[0] != value.split(".")[0], "another one each time: nobody is followed by it"

    def known(value, email="rita@example.com"):
        with app.test_request_context(headers={"Cookie": f"countersign_device={value}"}):
            return devices.known(email)

    first, expires, seal, proof = value.split(".")
    assert known(value).still_knows(0) and not known(value).still_knows(1)
    assert known(value, "ana@example.com") is None
    later = str(int(expires) + 1)
    arabic, far = "\u0663", "9" * 40
    for nonce, until, mark in ((first + "x", expires, seal), (first, later, seal), (first, expires, ""),
                               (first, arabic, seal), (first, far, seal), ("", "", "")):  # fmt: skip
        assert known(f"{nonce}.{until}.{mark}.{proof}") is None, (nonce, until, mark)
    assert known("") is None and known("a.b") is None
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + devices.LASTS)
    assert known(value) is None
    monkeypatch.setattr(clock, "now", real)
    monkeypatch.setitem(app.extensions, "keyring", type(keyring())(("another key",)))
    assert known(value) is None


def test_a_changed_password_makes_a_browser_a_stranger_again(door, login_as, app, fast):
    sign_in(door)
    old = device_of(door)
    with app.app_context():
        db.session.query(Person).filter_by(email="rita@example.com").update({"password_round": 1})
        db.session.commit()
    for number in range(50):
        attacker = login_as(None)
        from_address(attacker, f"192.0.2.{number}")
        wrong(attacker, 1)
    assert sign_in(only_the_device(login_as, old)).status_code == 429


@pytest.mark.parametrize("way", ["by link", "on the account's page"])
def test_who_sets_a_password_is_known_there(door, login_as, rita, way, fast):
    words = dict.fromkeys(("password", "again"), "three words in a row")
    browser = login_as(None if way == "by link" else rita)
    if way == "by link":
        token = views.links.password_token(rita.public_id, rita.password_round)
        assert browser.post(f"/password/{token}", words).status_code == 303
    else:
        assert browser.post("/account/password", {"current": factories.PASSWORD, **words}).status_code == 303
    for number in range(50):
        from_address(door, f"192.0.2.{number}")
        wrong(door, 1)
    assert sign_in(only_the_device(login_as, device_of(browser)), password=words["password"]).status_code == 303


def test_the_right_password_costs_nothing(door, fast):
    wrong(door, 9)
    door.client.delete_cookie("countersign_device", path="/sign-in")
    for _ in range(12):
        assert sign_in(door).status_code == 303
        door.client.delete_cookie("countersign_device", path="/sign-in")
    assert wrong(door, 2) == [422, 429]


def test_after_twenty_wrong_passwords_an_address_has_to_wait(door, fast):
    answers = [wrong(door, 1, f"person{number}@example.com")[0] for number in range(21)]
    assert answers == [422] * 20 + [429]
    from_address(door, "198.51.100.1")
    assert wrong(door, 1, "another@example.com") == [422]


class Looked:
    """Counts how many passwords are looked at, each for a while."""

    def __init__(self) -> None:
        self.at = 0
        self._lock = threading.Lock()

    def __call__(self, *_):
        with self._lock:
            self.at += 1
        time.sleep(0.1)
        return False


def all_at_once(number, ask):
    found = []
    gate = threading.Barrier(number)

    def one(at):
        gate.wait()
        found.append(ask(at))

    threads = [threading.Thread(target=contextvars.Context().run, args=(one, at)) for at in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


@pytest.mark.parametrize("broker_is", ["there", "away"])
def test_of_forty_tries_at_once_ten_are_looked_at(door, app, monkeypatch, broker_is):
    looked, token = Looked(), door.token()
    monkeypatch.setattr(views.passwords, "fits", looked)
    if broker_is == "away":
        monkeypatch.setattr(attempts.Counters, "_ask", lambda *_: None)
    with door.client.session_transaction() as session:
        kept = dict(session)
    form = {"csrf_token": token, "email": "rita@example.com", "password": "wrong"}

    def ask(_):
        client = app.test_client()
        with client.session_transaction() as session:
            session.update(kept)
        return client.post("/sign-in", data=form).status_code

    codes = all_at_once(40, ask)
    assert looked.at == 10 and sorted(codes) == [422] * 10 + [429] * 30


@pytest.mark.parametrize("address", ["/account/proof", "/account/password"])
def test_of_twenty_four_answers_at_once_to_the_password_question_ten_are_looked_at(
    login_as, app, rita, monkeypatch, address
):
    factories.with_password(rita)
    hers, looked = login_as(rita), Looked()
    monkeypatch.setattr(reauth.passwords, "fits", looked)
    words = dict.fromkeys(("password", "again"), "three words in a row")
    form = {"csrf_token": hers.token(), "your_password": "wrong", "current": "wrong", **words}
    cookie = hers.client.get_cookie("countersign").value

    def ask(_):
        client = app.test_client()
        client.set_cookie("countersign", cookie)
        return client.post(address, data=form).status_code

    codes = all_at_once(24, ask)
    assert looked.at == 10 and codes.count(429) == 14


def test_a_refused_try_asks_the_database_nothing_and_hashes_nothing(door, monkeypatch):
    wrong(door, 10)

    def never(*_):
        raise AssertionError("it was asked")

    monkeypatch.setattr(views.accounts, "by_email", never)
    monkeypatch.setattr(views.passwords, "fits", never)
    monkeypatch.setattr(db.engine, "connect", never)
    assert wrong(door, 1) == [429]


def test_no_address_is_kept_in_the_broker(door):
    wrong(door, 1)
    keys = b" ".join(broker().keys("*"))
    assert b"countersign:sign-in-pair" in keys
    assert b"rita" not in keys and b"127.0.0.1" not in keys
    assert all(broker().pttl(key) > 0 for key in broker().keys("countersign:*")), "no count stays for ever"


def test_links_are_mailed_three_times_an_hour_to_one_address(door, monkeypatch):
    monkeypatch.setattr(views, "FORGOT_SECONDS", 0)
    for email in ("rita@example.com", "nobody@example.com"):
        answers = [door.post("/password/forgot", {"email": email}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [303, 303, 303, 429]
        assert f"{SLOWER} 1 hour. If this address belongs to an account, use the link" in answers[-1].text


def test_who_found_an_open_browser_cannot_try_passwords_for_long(login_as, rita):
    factories.with_password(rita)
    hers = login_as(rita)
    given = {"current": "wrong", "password": "three words in a row", "again": "three words in a row"}
    answers = [hers.post("/account/password", given) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert SLOWER in answers[-1].text
    assert 'id="password-head"' in answers[-1].text
    assert login_as(rita).post("/account/password", given).status_code == 422, "her other browser is not held up"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("", "nowhere"),
    ],
)
def test_an_ipv6_network_counts_as_one(app, address, counted):
    with app.test_request_context(environ_base={"REMOTE_ADDR": address}):
        assert network() == counted


# ---------- Without the broker ----------


@pytest.fixture
def own_broker(app, tmp_path, monkeypatch):
    """A broker of this test's own, which may be killed and started again."""
    server = start_valkey(tmp_path)
    monkeypatch.setitem(app.extensions, "broker", connect(server.url, timeout=0.2))
    yield server
    server.stop()
    broker().close()


def test_without_a_broker_people_sign_in_and_tries_are_counted_in_memory(door, own_broker):
    own_broker.kill()
    began = time.monotonic()
    assert sign_in(door).status_code == 303
    assert time.monotonic() - began < 1.5
    assert wrong(door, 11) == [422] * 10 + [429]


def test_without_a_broker_a_link_can_be_asked_for(door, own_broker, monkeypatch):
    monkeypatch.setattr(views, "FORGOT_SECONDS", 0)
    own_broker.kill()
    assert door.post("/password/forgot", {"email": "rita@example.com"}).status_code == 303
    assert factories.rows("notices", "kind = 'password-reset'") == 1


def test_a_broker_that_goes_between_the_look_and_the_count_breaks_nothing(door, own_broker, monkeypatch):
    real = views.passwords.fits

    def fits(*args):
        own_broker.kill()
        return real(*args)

    monkeypatch.setattr(views.passwords, "fits", fits)
    assert wrong(door, 1) == [422]


def test_when_the_broker_is_back_it_counts_again(door, own_broker, monkeypatch):
    monkeypatch.setattr(attempts, "AWAY", 0.5)
    own_broker.kill()
    wrong(door, 1)
    own_broker.start()
    time.sleep(0.6)
    assert wrong(door, 1) == [422]
    assert any(b"countersign:sign-in" in key for key in broker().keys("*"))


def test_a_broker_that_hangs_costs_no_more_than_a_moment(door, own_broker):
    import os
    import signal

    assert wrong(door, 1) == [422]
    os.kill(own_broker.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert sign_in(door).status_code == 303
        assert time.monotonic() - began < 2
    finally:
        os.kill(own_broker.pid, signal.SIGCONT)
