"""Links and codes: rightly signed or nothing."""

import string
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webapp import links
from webapp.extensions import keyring
from webapp.extensions import settings as installation
from webapp.keys import KeyRing

PUBLIC, OTHER = "7K3F9QABCDEF", "000000000000"


@pytest.fixture
def engine() -> str:
    """Links touch no database: once is enough."""
    return "sqlite"


@pytest.fixture
def rotated(app: Flask) -> Iterator[str]:
    """A second key is the current one; answers the old key's id."""
    before = app.extensions["keyring"]
    app.extensions["keyring"] = KeyRing(("a newer secret of this test only", installation().secret_key))
    yield before.current
    app.extensions["keyring"] = before


def key() -> str:
    return keyring().current


def test_a_link_says_whose_it_is_and_of_which_round(app: Flask) -> None:
    token = links.approval_token(PUBLIC, 3, key())
    assert links.verify_approval_link(token) == links.ApprovalLink(PUBLIC, 3)
    assert links.approval_token(PUBLIC, 3, key()) == token  # a retried mail carries the same link
    assert len({links.approval_token(*one, key()) for one in ((PUBLIC, 3), (PUBLIC, 4), (OTHER, 3))}) == 3


def test_a_link_fits_into_an_address(app: Flask) -> None:
    token = links.approval_token(PUBLIC, 3, key())
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(token) < 80


def test_every_changed_sign_makes_a_link_worthless(app: Flask) -> None:
    """Spare bits of base64 and signs that it does not know included: exactly what we signed, or nothing."""
    for token, read in (
        (links.approval_token(PUBLIC, 3, key()), links.verify_approval_link),
        (links.password_token(PUBLIC, 3), links.verify_password_link),
        (links.browser_token(PUBLIC), links.verify_trusted_browser),
    ):
        assert read(token) is not None
        for place in range(len(token) + 1):
            for sign in (*string.ascii_letters, *string.digits, *"-_.=!%é\n "):
                for forged in (token[:place] + sign + token[place + 1 :], token[:place] + sign + token[place:]):
                    assert forged == token or read(forged) is None, (place, sign)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "a.b.c", "\0", "é", "x" * 100_000, "WzEsMl0.", "....."])
def test_rubbish_is_no_link(app: Flask, token: str) -> None:
    assert links.verify_approval_link(token) is None
    assert links.verify_password_link(token) is None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
def test_nothing_that_somebody_makes_up_is_a_link(app: Flask, token: str) -> None:
    assert links.verify_approval_link(token) is None
    assert links.verify_password_link(token) is None
    assert not links.code_matches(token, PUBLIC, 1, key()) or token == links.code(PUBLIC, 1, key())


def test_one_kind_of_link_is_not_the_other(app: Flask) -> None:
    assert links.verify_password_link(links.approval_token(PUBLIC, 3, key())) is None
    assert links.verify_approval_link(links.password_token(PUBLIC, 3)) is None


def test_an_old_key_still_reads_its_links_until_it_is_removed(app: Flask, rotated: str) -> None:
    token = links.approval_token(PUBLIC, 3, rotated)
    password = links.password_token(PUBLIC, 1)
    assert links.verify_approval_link(token) == links.ApprovalLink(PUBLIC, 3)
    assert links.code(PUBLIC, 3, rotated) != links.code(PUBLIC, 3, key())
    app.extensions["keyring"] = KeyRing(("a newer secret of this test only",))
    assert links.verify_approval_link(token) is None
    assert links.verify_password_link(password) == (PUBLIC, 1)
    assert not links.code_matches("000000", PUBLIC, 3, rotated)
    for make in (links.approval_token, links.code):
        with pytest.raises(KeyError):
            make(PUBLIC, 3, rotated)


def test_a_code_is_six_digits_of_its_own_for_each_person_and_round(app: Flask) -> None:
    codes = [links.code(f"{number:012d}", round, key()) for number in range(100) for round in range(1, 6)]
    assert all(len(one) == 6 and one.isdigit() for one in codes)
    assert len(set(codes)) > 490  # 500 of a million: hardly any two alike
    assert links.code_matches(links.code(PUBLIC, 1, key()), PUBLIC, 1, key())
    assert not links.code_matches(links.code(PUBLIC, 1, key()), PUBLIC, 2, key())


@pytest.mark.parametrize("given", ["", "12345", "1234567", "é", "٣٣٣٣٣٣", "      "])
def test_a_code_of_another_form_never_fits(app: Flask, given: str) -> None:
    assert not links.code_matches(given, PUBLIC, 1, key())


@pytest.mark.parametrize(
    ("given", "digits"),
    [
        ("418207", "418207"), ("418 207", "418207"), ("418-207", "418207"), (" 418207 ", "418207"),
        ("418 207", "418207"), ("4 1 8 2 0 7", "418207"),
        ("", None), ("41820", None), ("4182070", None), ("41820a", None), ("+41820", None),
        ("4182.7", None), ("²²²²²²", None),
        (" 821 997", "821997"), ("\t821\n997\r\n", "821997"), ("821\u00a0997", "821997"), ("８２１　９９７", "821997"),
        ("8\u200b2\u200b1 9\u200d97\ufeff", "821997"), ("٨٢١٩٩٧", "821997"), ("८२१ ९९७", "821997"),
        ("Code: 821 997", "821997"),
        ("Your code is 821–997.", "821997"), ("\u2068821 997\u2069", "821997"), ("821.997", "821997"),
        ("‘821 997’", "821997"), ("<b>821 997</b>", "821997"), ("<b>821</b> 997", None), ("821 9970", None),
        ("R-4K7W9Q: 821 997", None), ("821997 821997", None), ("8²1997", None),
        ("9" * 100_000, None), ("x" * 100_000 + "821997", None), ("1 " * 400 + "x", None),
    ],
)  # fmt: skip
def test_what_people_type_for_a_code(given: str, digits: str | None) -> None:
    assert links.well_formed(given) == digits


def test_a_password_link_lives_three_days_from_when_it_was_issued(app: Flask) -> None:
    start = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        token = links.password_token(PUBLIC, 2)
        # Issued now or said to have been issued now: the same link, however often it is mailed.
        clock.shift(3600)
        again = links.password_token(PUBLIC, 2, start)
        assert again == token
        assert links.verify_password_link(token) == (PUBLIC, 2)
        clock.shift(3 * 86400 - 3600 - 1)
        assert links.verify_password_link(token) == (PUBLIC, 2)
        clock.shift(2)
        assert links.verify_password_link(token) is None


def test_only_the_configured_address_is_in_a_mail(app: Flask) -> None:
    with app.test_request_context("/", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"}):
        assert links.url("/decide/x") == "http://localhost/decide/x"
