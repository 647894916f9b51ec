"""What comes in: bounded before anything is done with it, and fit for both databases."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import SQLITE, Browser
from tests.helpers import factories, pages
from webapp import passwords
from webapp.text import MARKS_LIMIT, clean, has_too_many_marks, one_line, search_text, sort_key, words
from webapp.web import incoming

# Each is quadratic, or is long, where text is normalised as it comes.
SLOW = (
    "a" + "\u0301" * 30_000 + "\u0316" * 30_000,
    "a" + "\u0301\0\u0316" * 20_000,
    "a" + "\u0301\u200b\u0316\xad" * 15_000,
    "a" + "\uff9e\u0316" * 30_000,
    "a" + "\u0345\u0344\u0f73" * 20_000,
    "\ufdfa" * 40_000,
    "\u1f82" * 60_000,
    "\u1100\u1161\u11a8" * 20_000,
    "x-" * 60_000 + "@",
    "9" * 100_000,
    " " * 100_000 + "x",
    "\n" * 100_000,
)
# Seconds of processor; each took from 0.1 to 25 where it was slow.
AT_MOST = 0.05


@pytest.mark.parametrize("text", SLOW, ids=lambda text: ascii(text[:6]))
def test_no_text_takes_long_whatever_looks_at_it(text: str) -> None:
    for look in (clean, sort_key, one_line, words, search_text, has_too_many_marks):
        assert min(taken(look, text) for _ in range(3)) < 4 * AT_MOST, look.__name__


def taken(look: Callable[[str], object], text: str) -> float:
    """Seconds of processor. The best of some counts: beside others on the machine each takes longer."""
    began = time.process_time()
    look(text)
    return time.process_time() - began


def test_a_password_is_bounded_before_it_is_normalised() -> None:
    known = passwords.hash_password("Zo\u0308e rides a bicycle")
    assert passwords.fits(known, "Zöe rides a bicycle")
    began = time.process_time()
    for text in SLOW:
        assert not passwords.fits(known, text)
        assert passwords.too_weak(text)
    assert time.process_time() - began < len(SLOW) * 0.1  # argon2 for each


def test_thirty_marks_are_text_and_one_more_is_not() -> None:
    most = "a" + "\u0316" * MARKS_LIMIT
    assert not has_too_many_marks(most) and clean(most) == most
    for one in ("\u0316", "\u20dd", "\u0903", "\ufe0f", "\uff9e"):
        assert has_too_many_marks("a" + "\u0316" * MARKS_LIMIT + one)
    assert clean(most + "\u0316" * 9) == most
    assert has_too_many_marks(most + "\u200b\xad\u0316")  # taken out later, so nothing between
    assert not has_too_many_marks((most + "b") * 50)


@given(st.text(st.sampled_from("a\u0301\u0316\u0344\ufb1d\uff9e\u200d\xad\0é"), max_size=120))
def test_a_cleaned_text_has_no_long_run_and_stays_as_it_is(text: str) -> None:
    stored = clean(text)
    assert not has_too_many_marks(stored)
    assert clean(stored) == stored


@pytest.mark.parametrize("engine", [SQLITE])
def test_the_forms_that_anybody_can_send_answer_at_once(app: Any, company: Any) -> None:
    """Two of these stopped the service for a minute."""
    browser = Browser(app)
    browser.token()
    passwords.fits(None, "")  # makes the hash that nobody has
    for path in ("/sign-in", "/password/forgot"):  # and these compile the templates
        browser.post(path, {"email": "e" + "\u0301" * 40})
        browser.post(path, {"email": ""})
    for text in SLOW:
        for path, form in (
            ("/sign-in", {"email": text, "password": "x"}),
            ("/sign-in", {"email": "rita@example.com", "password": text}),
            ("/password/forgot", {"email": text}), ("/sign-in", {text[:60_000]: "1"}),
        ):  # fmt: skip
            began = time.process_time()
            answer = browser.post(path, form)
            took = time.process_time() - began
            assert answer.status_code in (413, 422), path
            assert took < 2 * AT_MOST, (path, ascii(text[:6]), took)


@pytest.mark.parametrize("engine", [SQLITE])
def test_what_is_too_much_is_refused_with_a_sentence_and_loses_nothing(app: Any, company: Any) -> None:
    made = factories.request(company.rita, factories.app("Benevity", company.ana))
    rita = Browser(app, company.rita)
    at = f"/requests/{made.public_id}/comments"
    zalgo = "This is <b>important</b> " + "h\u0301\u0316" * 3 + "e" + "\u0301" * 40
    answer = rita.post(at, {"comment": zalgo, "password": "a secret one"})
    assert answer.status_code == 422
    assert "more than 30 accents" in answer.text and "a secret one" not in answer.text
    assert pages.typed(answer, zalgo)
    toast = rita.post(at, {"comment": zalgo}, htmx=True)
    assert toast.status_code == 422 and toast.headers["HX-Retarget"] == "#toasts" and "accents" in toast.text
    long = rita.post(at, {"comment": "x y" * 20_000})
    assert long.status_code == 422 and "You entered 60,000." in long.text and pages.typed(long, "x y" * 20_000)
    assert pages.typed(rita.post(at, {"comment": "x" * 1_500}), "x" * 1_500)  # the field's own limit, in its own form
    assert rita.get("/catalog?q=" + quote("e" + "\u0301" * 40)).status_code == 422
    assert rita.get("/catalog?q=" + "x" * 9_000).status_code == 414


@pytest.mark.parametrize("engine", [SQLITE])
def test_a_body_has_a_limit_of_its_kind_with_and_without_a_length(app: Any, company: Any) -> None:
    rita = Browser(app, company.rita)
    token = {"X-CSRFToken": rita.token()}
    for size, kind, status in (
        (incoming.LARGEST_BODY["application/x-www-form-urlencoded"] + 1, "application/x-www-form-urlencoded", 413),
        (900_000, "application/x-www-form-urlencoded", 413),
        (200_000, "application/x-www-form-urlencoded", 422),
        (incoming.LARGEST_OTHER_BODY + 1, "application/json", 413),
        (1024 * 1024 + 1, "multipart/form-data; boundary=x", 413),
    ):  # fmt: skip
        answer = rita.client.post("/account/theme", data=b"t=" + b"x" * (size - 2), content_type=kind, headers=token)
        assert answer.status_code == status, (size, kind)
        assert "fewer" in answer.text or "Use a smaller file" in answer.text
    chunked = rita.client.post(
        "/account/theme", data=b"x" * 300_000, content_type="application/x-www-form-urlencoded", headers=token,
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )  # fmt: skip
    assert chunked.status_code == 413
    many = urlencode([("a", "1")] * (incoming.FIELDS_LIMIT + 1))
    began = time.process_time()
    answer = rita.client.post("/account/theme", data=many, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 413 and "more than 5,000 fields" in answer.text
    assert time.process_time() - began < AT_MOST


def test_what_no_text_needs_is_taken_out_and_the_rest_arrives(app: Any, company: Any) -> None:
    made = factories.request(company.rita, factories.app("Benevity", company.ana))
    rita = Browser(app, company.rita)
    at = f"/requests/{made.public_id}/comments"
    assert rita.post(at, {"comment": "a\0b\x01\x7f\x9f\tc\r\nd\x0be"}).status_code == 303
    assert "ab\tc\nd\ne" in rita.get(f"/requests/{made.public_id}").text
    for path in ("/%00", "/requests/%01", f"/requests/{made.public_id}%7f", "/catalog/a%C2%80/request"):
        assert rita.get(path).status_code == 404, path
