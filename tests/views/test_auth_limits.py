"""How often one may try: counted in the broker, in memory while it is down, and never a 500."""

from __future__ import annotations

import time

import pytest
from limits.storage import storage_from_string

from tests import factories
from tests.valkey import start_valkey
from tests.views.test_auth_sign_in import sign_in
from webapp.auth import views
from webapp.broker import connect
from webapp.extensions import broker, db, limiter, network

SLOWER = "Too many tries in a short time. Wait"


@pytest.fixture
def door(login_as, rita):
    factories.with_password(rita)
    return login_as(None)


def wrong(door, times, email="rita@example.com", **more):
    return [sign_in(door, email, "wrong", **more).status_code for _ in range(times)]


def from_address(door, address):
    door.client.environ_base["REMOTE_ADDR"] = address


def test_after_ten_wrong_passwords_an_e_mail_has_to_wait(door):
    assert wrong(door, 11) == [422] * 10 + [429]
    answer = sign_in(door)
    assert answer.status_code == 429
    assert f"{SLOWER} 15 minutes, then try again." in answer.text
    assert answer.headers["Retry-After"] == "900"
    assert 'value="rita@example.com"' in answer.text


def test_from_whatever_address_they_come(door):
    for number in range(10):
        from_address(door, f"192.0.2.{number}")
        wrong(door, 1)
    from_address(door, "198.51.100.1")
    assert wrong(door, 1, "Rita@example.com ") == [429]


def test_the_right_password_costs_nothing(door):
    wrong(door, 9)
    assert [sign_in(door).status_code for _ in range(12)] == [303] * 12
    assert wrong(door, 2) == [422, 429]


def test_after_twenty_wrong_passwords_an_address_has_to_wait(door):
    answers = [wrong(door, 1, f"person{number}@example.com")[0] for number in range(21)]
    assert answers == [422] * 20 + [429]
    from_address(door, "198.51.100.1")
    assert wrong(door, 1, "another@example.com") == [422]


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
    assert b"countersign" in keys
    assert b"rita" not in keys


def test_links_are_mailed_three_times_an_hour_to_one_address(door, monkeypatch):
    monkeypatch.setattr(views, "FORGOT_SECONDS", 0)
    for email in ("rita@example.com", "nobody@example.com"):
        answers = [door.post("/password/forgot", {"email": email}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [303, 303, 303, 429]
        assert f"{SLOWER} 60 minutes" in answers[-1].text or f"{SLOWER} 1 hour" in answers[-1].text


def test_who_found_an_open_browser_cannot_try_passwords_for_long(login_as, rita):
    factories.with_password(rita)
    hers = login_as(rita)
    given = {"current": "wrong", "password": "three words in a row", "again": "three words in a row"}
    answers = [hers.post("/account/password", given) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert SLOWER in answers[-1].text
    assert "Where you are signed in" in answers[-1].text


def test_a_dead_session_over_the_limit_sees_the_door(login_as, rita):
    factories.with_password(rita)
    hers = login_as(rita)
    for _ in range(10):
        hers.post(
            "/account/password", {"current": "wrong"} | dict.fromkeys(("password", "again"), "three words in a row")
        )
    login_as(rita).post("/account/sessions/ending")
    answer = hers.post("/account/password", {"current": "wrong"})
    assert answer.status_code == 429
    assert ">Sign in</button>" in answer.text


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
    url = server.url.replace("unix://", "redis+unix://", 1)
    storage = storage_from_string(url, **app.config["RATELIMIT_STORAGE_OPTIONS"])
    monkeypatch.setattr(limiter, "_storage", storage)
    monkeypatch.setattr(limiter, "_limiter", type(limiter._limiter)(storage))
    monkeypatch.setitem(app.extensions, "broker", connect(server.url, timeout=0.2))
    limiter._fallback_limiter.storage.reset()
    yield server
    server.stop()
    broker().close()
    storage.storage.close()
    limiter._storage_dead = False
    limiter._fallback_limiter.storage.reset()


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
    own_broker.kill()
    wrong(door, 1)
    assert limiter._storage_dead
    own_broker.start()
    deadline = time.monotonic() + 10
    while limiter._storage_dead and time.monotonic() < deadline:
        door.get("/sign-in")
        time.sleep(0.1)
    assert wrong(door, 1) == [422]
    assert not limiter._storage_dead
    assert any(b"countersign" in key for key in broker().keys("*"))


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
