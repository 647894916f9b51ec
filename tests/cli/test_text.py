"""Tables, and text that a terminal may show."""

from __future__ import annotations

import pytest

from countersign_cli.session import fields_of
from countersign_cli.text import clean, table, width


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Rita Lindqvist", "Rita Lindqvist"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x9b31mred", "31mred"),
        ("\u202eevil\u2066", "evil"),
        ("Ælfgifu 日本 \u0915\u094d\u200d\u0937", "Ælfgifu 日本 \u0915\u094d\u200d\u0937"),
        ("a\x00b\x7fc\ufeffd", "abcd"),
        (3, "3"),
    ],
)
def test_only_what_can_be_read_is_shown(given, shown):
    assert clean(given) == shown


def test_a_table_fits_and_is_straight():
    rows = [["R-7K3F9Q", "Salesforce", "x" * 200], ["R-1", "日本語", "short"]]
    drawn = table(["Request", "App", "Message"], rows, 60)
    assert [width(line) <= 60 for line in drawn] == [True] * 3
    assert drawn[0].startswith("Request   App         Message")
    assert drawn[1].endswith("x…") and drawn[2].split() == ["R-1", "日本語", "short"]
    assert width(drawn[2].partition("short")[0]) == width(drawn[1].partition("xx")[0])


def test_a_table_without_rows_has_its_head():
    assert table(["A", "B"], [], 80) == ["A  B"]


def test_a_field_that_is_given_twice_is_a_list():
    assert fields_of(["Role=Editor", "Region=EMEA", "Region=APAC", "Region=US", "Note=a=b"]) == {
        "Role": "Editor",
        "Region": ["EMEA", "APAC", "US"],
        "Note": "a=b",
    }
