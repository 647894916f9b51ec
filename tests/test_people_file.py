"""A CSV file of people is read whatever wrote it: encodings, separators, names of columns, and what cannot be read."""

from __future__ import annotations

import pytest

from webapp.people_file import BYTES, LINES, BadFile, Row, read

HEAD = b"email,name\n"


def test_excel_in_europe_writes_semicolons_and_windows_1252() -> None:
    body = "sep=;\r\nE-Mail;Vorname;Nachname;Abteilung;Aktiv\r\na@example.com;Zoë;Müller;Größe;ja\r\n".encode("cp1252")
    assert read(body).rows == [Row(3, "a@example.com", "Zoë Müller", None, "Größe", None, (), True)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_is_read_with_and_without_a_mark(encoding: str) -> None:
    (row,) = read("Name\tUserPrincipalName\n陈美\tchen@example.com\n".encode(encoding)).rows
    assert (row.name, row.email) == ("陈美", "chen@example.com")


def test_columns_come_in_any_order_and_others_are_named() -> None:
    found = read(b"Groups,Cost centre,Manager_Email,Display Name,e-mail\nA; B|A,7,b@example.com,Kim,k@example.com\n")
    assert found.rows == [Row(2, "k@example.com", "Kim", None, None, "b@example.com", ("A", "B"))]
    assert found.ignored == ["Cost centre"]


def test_a_line_has_the_number_of_its_first_line_and_empty_ones_are_left_out() -> None:
    found = read(b'email,name\na@example.com,"Ann\nBerg"\n,,\nb@example.com,Ben\n')
    assert [(row.number, row.name) for row in found.rows] == [(2, "Ann Berg"), (5, "Ben")]


def test_a_formula_is_text_and_the_apostrophe_of_an_export_goes() -> None:
    names = [row.name for row in read(HEAD + b"a@example.com,'=1+1\nb@example.com,=1+1\nc@example.com,'t Hooft\n").rows]
    assert names == ["=1+1", "=1+1", "'t Hooft"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b" ", "The file is empty"),
        (b"mail,department\na@example.com,IT\n", "names no column “name”"),
        (b"name\nAnn\n", "names no column “email”"),
        (b"email,mail,name\n", "“email” and “mail” mean the same"),
        (HEAD, "no lines below"),
        (HEAD + b'a@example.com,"Ann\n', "Line 2 cannot be read"),
        (HEAD + b"a@example.com,\x81\x00\n", "not a text file"),
        (HEAD + b"a,b\n" * (LINES + 1), "up to 5,000 lines. This one has 5,001"),
        (HEAD + b"a" * BYTES, "up to 900 kB"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(body: bytes, sentence: str) -> None:
    with pytest.raises(BadFile) as refused:
        read(body)
    assert sentence in str(refused.value)


def test_one_bad_line_is_refused_and_not_the_file() -> None:
    body = (
        b"email,name,active\na@example.com,Ann,perhaps\nb@example.com," + b"x" * 3000 + b",yes\nc@example.com,Kim,no\n"
    )
    rows = read(body).rows
    assert "does not say whether the person is active" in rows[0].fault
    assert "A value has 3,000 characters" in rows[1].fault
    assert (rows[2].fault, rows[2].active) == ("", False)
