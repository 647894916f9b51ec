"""Values of every kind, also from forms that nobody of good will would send."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.workflow.entitlements import (
    KINDS,
    TEXT_LIMIT,
    Entitlement,
    Field,
    SetValue,
    Value,
    as_typed,
    fill,
    from_json,
    parse,
    shown,
    to_json,
)
from webapp.workflow.errors import BadValues
from webapp.workflow.states import Visibility

ROLE = Entitlement("role", "Role", "choice", ("Reader", "Writer"))
REGIONS = Entitlement("regions", "Regions", "choices", ("North", "South", "West"))
SEAT = Entitlement("seat", "Seat", "text")
SEATS = Entitlement("seats", "Seats", "number")
GUEST = Entitlement("guest", "Guest", "yes_no")
AT = "2026-11-23T12:00:00+00:00"


@pytest.mark.parametrize(
    ("entitlement", "given", "expected"),
    [
        (ROLE, ["Reader"], "Reader"),
        (ROLE, [" Reader "], "Reader"),
        (ROLE, [], None),
        (ROLE, ["", " "], None),
        (REGIONS, ["West", "North"], ["North", "West"]),
        (REGIONS, ["West", "West"], ["West"]),
        (REGIONS, [], None),
        (SEAT, ["  by the window "], "by the window"),
        (SEAT, ["x" * TEXT_LIMIT], "x" * TEXT_LIMIT),
        (SEAT, ["<script>alert(1)</script>"], "<script>alert(1)</script>"),
        (SEAT, [""], None),
        (SEATS, ["5"], 5),
        (SEATS, ["-5"], -5),
        (SEATS, ["2.5"], 2.5),
        (SEATS, ["2,5"], 2.5),
        (SEATS, ["0"], 0),
        (SEATS, ["007"], 7),
        (SEATS, [], None),
        (GUEST, ["yes"], True),
        (GUEST, ["on"], True),
        (GUEST, ["1"], True),
        (GUEST, ["true"], True),
        (GUEST, ["no"], False),
        (GUEST, ["off"], False),
        (GUEST, ["0"], False),
        (GUEST, ["false"], False),
        (GUEST, [], False),
        # A hidden "no" before a box that is ticked: the box wins.
        (GUEST, ["no", "yes"], True),
    ],
)
def test_a_form_becomes_a_typed_value(entitlement: Entitlement, given: list[str], expected: Value | None) -> None:
    value = parse(entitlement, given)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("entitlement", "given"),
    [
        (ROLE, ["Owner"]),
        (ROLE, ["reader"]),
        (ROLE, ["Reader\0"]),
        (REGIONS, ["North", "East"]),
        (REGIONS, ["North,South"]),
        (SEAT, ["x" * (TEXT_LIMIT + 1)]),
        (GUEST, ["maybe"]),
        *(
            (SEATS, [bad])
            for bad in (
                "nan", "inf", "-inf", "1e400", "1e3", "0x10", "1_000", "1.000.000", "five", "--5", "5.", ".5",
                "٣", "²", "9" * 13, "1." + "0" * 7, "5\n6", "5; DROP TABLE grants",
            )
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_a_sentence(entitlement: Entitlement, given: list[str]) -> None:
    with pytest.raises(ValueError, match=entitlement.name):
        parse(entitlement, given)


@pytest.mark.parametrize("kind", KINDS)
@given(given=st.lists(st.text(max_size=30), max_size=4))
def test_any_input_is_a_value_that_can_be_stored_or_a_sentence(kind: str, given: list[str]) -> None:
    entitlement = Entitlement("it", "It", kind, ("a", "b"))
    try:
        value = parse(entitlement, given)
    except ValueError as error:
        assert str(error).endswith(".")
        return
    if value is not None:
        assert json.loads(json.dumps(value, allow_nan=False)) == value
        assert isinstance(shown(value), str)
        assert parse(entitlement, as_typed(value)) == value


def fields(visibility: Visibility = Visibility.WRITE, **current: SetValue) -> list[Field]:
    return [Field(one, visibility, current.get(one.id)) for one in (ROLE, REGIONS, SEAT, SEATS, GUEST)]


def test_only_fields_that_the_person_may_write_are_taken() -> None:
    given = {"role": ["Writer"], "seat": ["5B"], "unknown": ["x"]}
    for visibility in (Visibility.HIDDEN, Visibility.READ):
        assert fill(fields(visibility), given, by=7, at=AT) == {}
    taken = fill(fields(), given, by=7, at=AT)
    assert taken == {"role": SetValue("Writer", 7, AT), "seat": SetValue("5B", 7, AT), "guest": SetValue(False, 7, AT)}


def test_a_value_left_as_it_was_keeps_its_author() -> None:
    before = {"role": SetValue("Writer", 3, "then"), "seats": SetValue(5, None, ""), "guest": SetValue(True, 3, "then")}
    given = {"role": ["Writer"], "seats": ["5"], "guest": ["no"]}
    assert fill(fields(**before), given, by=7, at=AT) == {
        "role": before["role"],
        "seats": before["seats"],
        "guest": SetValue(False, 7, AT),
    }


def test_every_fault_is_told_at_once() -> None:
    needed = Entitlement("licence", "Licence", "choice", ("A",), required=True)
    with pytest.raises(BadValues) as refusal:
        fill([*fields(), Field(needed, Visibility.WRITE)], {"role": ["Owner"], "seats": ["five"]}, by=7, at=AT)
    assert set(refusal.value.fields) == {"role", "seats", "licence"}
    assert refusal.value.fields["licence"] == "Choose Licence."


def test_a_required_field_that_the_person_may_not_write_is_no_fault_of_theirs() -> None:
    needed = Entitlement("licence", "Licence", "choice", ("A",), required=True)
    assert fill([Field(needed, Visibility.READ)], {}, by=7, at=AT) == {}


@pytest.mark.parametrize(
    ("value", "words"),
    [(True, "Yes"), (False, "No"), (["North", "West"], "North, West"), ("Reader", "Reader"), (5, "5"), (2.5, "2.5")],
)
def test_a_value_in_words(value: Value, words: str) -> None:
    assert shown(value) == words


@pytest.mark.parametrize("typed", ["5", "2.5", "-0,00001", "0.1", "999999999999.123456"])
def test_a_number_comes_back_as_it_is_typed(typed: str) -> None:
    value = parse(SEATS, [typed])
    assert parse(SEATS, as_typed(value)) == value


def test_values_come_back_as_they_were_stored() -> None:
    values = {"role": SetValue("Ä", 7, AT), "regions": SetValue(["a"]), "guest": SetValue(False, 1, AT)}
    assert from_json(json.loads(json.dumps(to_json(values)))) == values
