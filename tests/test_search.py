"""Search finds what is written with accents by the same letters without them, everywhere in the same way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Browser
from tests.helpers import factories
from tests.helpers.rules import rule
from webapp.database.transactions import choose
from webapp.embedded import mailstore
from webapp.extensions import db
from webapp.models import App
from webapp.queries import catalog, picker
from webapp.text import fold, like, like_exactly, like_name, search_text, words


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("İstanbul", "istanbul"), ("ISPARTA", "ısparta"), ("Ünïcödé", "unicode"), ("Straße", "strasse"),
        ("STRAẞE", "straße"),
        ("Søren Ødegård", "soren odegard"), ("Łódź", "lodz"), ("Đorđe", "dorde"), ("Æsir œuvre", "aesir oeuvre"),
        ("Þór", "thor"), ("Nguyễn Thị", "nguyen thi"), ("e\u0301te\u0301", "été"),
        ("ＦＩＧＭＡ", "figma"), ("ﬁnance", "finance"),
        ("שָׁלוֹם", "שלום"), ("مُحَمَّد", "محمد"), ("أحمد", "احمد"), ("Fi\u200bg\u00adma", "figma"), ("Ёлка", "елка"),
    ],
)  # fmt: skip
def test_it_is_found_without_its_accents_and_with_them(written: str, typed: str) -> None:
    assert fold(written) == fold(typed)
    assert like(typed) == like(written)


def test_marks_that_make_another_letter_stay() -> None:
    assert (
        fold("が") != fold("か") and fold("हिन्दी") != fold("हनद") and fold("한국") == "한국" and fold("कि") != fold("क")
    )


@given(st.text())
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert search_text(text, text).count("\n") == 1


def test_a_pattern_for_names_looks_at_the_first_line_only() -> None:
    assert search_text("Élan", "Über", "", "R&D") == "elan\nuber r&d"
    assert like_name("Élan_") == "%elan!_%\n%"
    assert like_name("É") == "e%\n%"
    assert like_exactly("Élan%") == "%élan!%%"
    assert words("Für Łukasz, für É.") == ["fur", "lukasz", "e"]


def test_every_list_finds_people_apps_and_groups_without_accents(app: Any, company: Any) -> None:
    ipek = factories.person("İpek Şahin", email="ipek@example.com")
    factories.group("Söhne", ipek)
    made = factories.app("Étude", company.ana, policy=rule(company.ana), owner=ipek)
    asked = factories.request(ipek, made, message="Für Łódź, bitte").public_id
    adam, rita = Browser(app, company.adam), Browser(app, company.rita)
    for at, name in (
        ("/admin/people?q=ipek", "İpek"), ("/admin/people?q=SAHIN", "İpek"), ("/admin/people?q=İPEK", "İpek"),
        ("/admin/groups?q=sohne", "Söhne"), ("/admin/groups?q=ipek", "Söhne"), ("/admin/apps?q=etude", "Étude"),
        ("/admin/requests?q=lodz", asked), ("/admin/requests?q=ÉTUDE", asked), ("/admin/requests?q=sahin", asked),
        ("/admin/requests?q=fur", asked), ("/admin/audit?person=ipek", "İpek"), ("/admin/mail?q=ipek", "Mail"),
    ):  # fmt: skip
        assert name in adam.get(at).text, at
    assert asked not in adam.get("/admin/requests?q=example").text  # the address is no part of a name
    assert "Étude" in rita.get("/catalog?q=etude").text
    assert [one.name for one in picker.found(["sahin"])] == ["İpek Şahin"]
    assert [one.name for one in picker.found(["sohne"])] == ["Söhne"]


def test_names_as_they_were_typed_come_first(app: Any, company: Any) -> None:
    for name in ("Muller Tools", "Müller Werk", "Ärzte für Müller", "Muller Zwei"):
        choose("write")
        db.session.merge(factories.app(name)).requestable = True
        db.session.commit()
    choose("write")
    db.session.merge(factories.app("About")).describe(name="About", description="Not by Müller", category="")
    db.session.commit()
    for typed, first in (("müller", ["Ärzte für Müller", "Müller Werk"]), ("muller", ["Muller Tools", "Muller Zwei"])):
        found: list[str] = []
        after = None
        while cards := catalog.cards(company.rita.id, words=[typed], after=after, limit=2)[:2]:
            found += [card.app.name for card in cards]
            after = cards[-1].key
        assert sorted(found[:2]) == sorted(first) and len(found) == 5 == len(set(found)), typed
        db.session.rollback()
    rita = Browser(app, company.rita)
    page = rita.get("/catalog?q=müller").text
    assert page.index("Müller Werk") < page.index("Muller Tools")
    for number, name in enumerate(("Anders Berg", "Ånders Berg", "Ander Süd")):
        factories.person(name, email=f"a{number}@example.com")
    assert [one.name for one in picker.found(["ånders"])] == ["Ånders Berg", "Anders Berg"]
    assert [one.name for one in picker.found(["anders"])] == ["Anders Berg", "Ånders Berg"]
    assert db.session.query(App).count() == 5


def test_the_mailbox_finds_without_accents(tmp_path: Any) -> None:
    mailstore.store(
        tmp_path, sender="c@example.com", recipients=["a@example.com"],
        content=b"Subject: =?utf-8?q?Stra=C3=9Fe?=\r\n\r\nx",
    )  # fmt: skip
    assert len(mailstore.page(tmp_path, words="strasse").mails) == 1
