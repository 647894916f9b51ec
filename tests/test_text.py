"""Text as it is stored: the same on both engines, and found again."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.text import (
    CROCKFORD,
    clean,
    hue,
    initials,
    like,
    one_line,
    public_id,
    reference,
    search_text,
    sha256,
    sort_key,
)

ANY = st.text(st.characters())  # lone surrogates, too


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("  x \n", "x"),
        ("a\0b", "ab"),
        ("e\u0301", "é"),
        ("e\0\u0301", "é"),  # what a NUL kept apart comes together
        ("\ud800", "?"),
        ("", ""),
    ],
)
def test_text_is_stored_in_one_form(given: str, stored: str) -> None:
    assert clean(given) == stored


@given(ANY)
def test_stored_text_can_be_stored_anywhere_and_stays_as_it_is(text: str) -> None:
    stored = clean(text)
    stored.encode()
    assert "\0" not in stored
    assert "\r" not in stored
    assert unicodedata.is_normalized("NFC", stored)
    assert clean(stored) == stored


@given(ANY)
def test_a_line_is_fit_for_a_mail_header(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(unicodedata.category(sign) == "Cc" for sign in line)
    assert one_line(line) == line


@given(ANY)
def test_a_key_does_not_care_for_case_width_or_composition(text: str) -> None:
    key = sort_key(text)
    assert sort_key(key) == key
    assert sort_key(unicodedata.normalize("NFD", text)) == sort_key(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    ("one", "other"),
    [("ÄRGER", "ärger"), ("Straße", "STRASSE"), ("Ｓａｌｅｓ", "sales"), ("ﬁle", "FILE"), ("É", "e\u0301")],
)
def test_the_same_name_has_the_same_key(one: str, other: str) -> None:
    assert sort_key(one) == sort_key(other)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Fi\u200bna\u00adnce\ufeff", "Finance"), ("\u202eecnaniF\u202c", "ecnaniF"), ("a\u2066b\u2069\u061c", "ab"),
        ("a\u200db", "ab"), ("x\u200c", "x"), ("\ufe0fx", "x"), ("a\u034fb", "ab"), ("a\u00a0\u3000 b", "a b"),
        # They make a difference to see.
        ("می\u200cخواهم", "می\u200cخواهم"), ("ന്\u200d", "ന്"), ("क्\u200dष", "क्\u200dष"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("🏳\ufe0f\u200d🌈", "🏳\ufe0f\u200d🌈"), ("👩🏽\u200d⚕\ufe0f", "👩🏽\u200d⚕\ufe0f"), ("❤\ufe0f", "❤\ufe0f"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e007f", "\U0001f3f4\U000e0067\U000e0062\U000e007f"), ("x\U000e0067", "x"),
        # Nothing to see.
        *((blank, "") for blank in ("\u3164", "\u115f\u1160", "\uffa0 \u200b", "\u2800\u2800", "\u0301\u0316", "\ufe0f",
                                    "\xad", "\u200d\u200c", "\u2003\u00a0", "\U000e0067", "\u202e\u202c")),
    ],
)  # fmt: skip
def test_a_line_has_only_what_can_be_seen(given: str, stored: str) -> None:
    assert one_line(given) == stored == one_line(stored)
    if not stored:
        assert clean(given) == ""  # as a reason that has to be given


@pytest.mark.parametrize(
    ("one", "other"),
    [("Finance", "Fi\u200bna\u00adnce"), ("Sales leads", "Sales\u00a0leads"), ("Sales leads", "Sales\u2800leads"),
     ("میخواهم", "می\u200cخواهم"), ("❤", "❤\ufe0f"), ("a", "a\u3164"), ("①", "1"), ("Ⅳ", "iv"), ("İ", "i\u0307")],
)  # fmt: skip
def test_names_that_look_the_same_are_the_same(one: str, other: str) -> None:
    assert sort_key(one) == sort_key(other)


def test_a_search_looks_through_all_parts_and_takes_wildcards_as_they_are() -> None:
    assert search_text("Sales", "", "Élan") == "sales\nelan"
    assert like("50%_Off!") == "%50!%!_off!!%"


def test_public_ids_are_twelve_random_characters_of_crockford() -> None:
    drawn = {public_id() for _ in range(2000)}
    assert len(drawn) == 2000
    assert all(len(one) == 12 and set(one) <= set(CROCKFORD) for one in drawn)
    # Every character turns up about as often as any other (750 times each).
    letters = "".join(drawn)
    assert all(550 < letters.count(sign) < 950 for sign in CROCKFORD)
    assert not set("ILOU") & set(CROCKFORD)


def test_a_reference_can_be_said() -> None:
    assert reference("7K3F9QABCDEF") == "R-7K3F9Q"


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Rita Lindqvist", "RL"), ("Ana Maria Moreau", "AM"), ("Eve", "EV"), ("X", "X"), ("", "?"), ("— !", "?"),
     ("élan", "ÉL"), ("ß", "SS"), ("(Bot) Ana", "AN")],
)  # fmt: skip
def test_initials(name: str, letters: str) -> None:
    assert initials(name) == letters


@given(st.text())
def test_a_face_has_one_or_two_signs_and_one_of_twelve_colours(text: str) -> None:
    assert 1 <= len(initials(text)) <= 6
    assert 1 <= hue(text.encode("utf-8", "replace").decode()) <= 12


def test_a_fingerprint_is_sha_256() -> None:
    assert sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
