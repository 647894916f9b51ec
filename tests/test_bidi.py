"""Words that are read from right to left, or that turn the reading direction, turn none of ours."""

from __future__ import annotations

import html
import re
import timeit
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import DictLoader

from tests.conftest import SQLITE, Browser
from tests.helpers import factories
from tests.helpers.rules import WRITE, rule
from tests.helpers.smtp_server import SmtpServer
from tests.mail.conftest import drain, smtp  # noqa: F401
from webapp.bidi import FSI, PDI, Name, isolated, listed, named
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import App, Group, Person
from webapp.web.isolation import finalize
from webapp.workflow.entitlements import Entitlement

SARA = "שרה לוי"
TURNING = "Max\u202egnp.exe"


@pytest.mark.parametrize("text", ["", "Ana", "Zoë Ünïcödé", "李小龙", "Ω≈ç√", "👩\u200d👩\u200d👧", "Ana\nBen"])
def test_other_words_stay_as_they_are(text: str) -> None:
    assert isolated(text) is text and named(text) is text and finalize(text) is text


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        (SARA, f"{FSI}{SARA}{PDI}"), (f"Ana\n{SARA}\nBen", f"Ana\n{FSI}{SARA}{PDI}\nBen"),
        (TURNING, f"{FSI}{TURNING}{PDI}"), ("a\u2069b\u202e", f"{FSI}ab\u202e{PDI}"),
        ("a\u2067b", f"{FSI}a\u2067b{PDI}{PDI}"), ("\u2066a\u2069\u2069", f"{FSI}\u2066a\u2069{PDI}"),
    ],
)  # fmt: skip
def test_what_turns_stands_apart_and_ends_where_it_stands(text: str, apart: str) -> None:
    assert isolated(text) == apart


@given(st.text(st.sampled_from("aש\u202e\u202b\u2066\u2067\u2069\u200f\n ")))
def test_nothing_reaches_beyond_its_own_isolate(text: str) -> None:
    for line in isolated(text).splitlines():
        depth = 0
        for place, sign in enumerate(line):
            depth += (sign in "\u2066\u2067\u2068") - (sign == PDI)
            assert depth > 0 or sign == PDI or sign not in "\u202e\u202bש", line
            assert depth > 0 or place == len(line) - 1 or line[0] != FSI
        assert depth == 0


def test_a_name_stands_apart_in_every_sentence_and_is_a_text_elsewhere() -> None:
    name = named(SARA)
    assert isinstance(name, Name) and name == SARA and hash(name) == hash(SARA) and str(name) == SARA
    assert f"{name} is deactivated." == f"{FSI}{SARA}{PDI} is deactivated."
    assert "{} lost {}.".format(name, "Figma") == f"{FSI}{SARA}{PDI} lost Figma."
    assert f"{name.split()[0]} wrote" == f"{FSI}שרה{PDI} wrote"
    assert listed([name, "Ana"]) == f"{FSI}{SARA}{PDI}, Ana"


@pytest.mark.parametrize("engine", [SQLITE])
def test_templates_set_words_apart_and_give_fields_back_as_they_are(app: Flask) -> None:
    source = (
        """<p title="{{ n }}" data-x="{{ n }}" aria-label='{{ n }}'>"""
        """{{ n }} and {{ "to " ~ s }}</p>"""
        """<input name="a" {% if n %}value="{{ n }}"{% endif %} placeholder="{{ n }}">"""
        """<textarea name="b" rows="2">\n{{ n }}</textarea>"""
        """<option value="{{ n ~ "x" }}">{{ n }}</option><a href="/x?q={{ n }}{{ n }}">{{ n }}</a>"""
    )
    for value in (SARA, Name(SARA), "<b>" + SARA):
        apart, plain = html.escape(f"{FSI}{value!s}{PDI}"), html.escape(str(value))
        with app.test_request_context():
            env = app.jinja_env.overlay(loader=DictLoader({"x.html": source}))
            made = env.get_template("x.html").render(n=value, s=value)
        assert f'title="{apart}" data-x="{plain}" aria-label=\'{apart}\'>{apart} and ' in made
        assert f'value="{plain}" placeholder="{apart}"' in made
        assert f"\n{plain}</textarea>" in made
        assert f'<option value="{plain}x">{apart}</option>' in made
        assert f'href="/x?q={plain}{plain}">{apart}</a>' in made


def test_pages_mails_and_stored_sentences_keep_their_direction(
    app: Flask, company: Any, smtp: SmtpServer, drain: Any,  # noqa: F811
) -> None:  # fmt: skip
    """Names from before invisible characters were taken out of them, and such that nobody would refuse."""
    figma = factories.app("Figma", policy=rule(company.ana, company.finance, entitlements=(
        Entitlement("team", f"צוות {SARA}", "text", requester=WRITE),
    )), owner=company.ben)  # fmt: skip
    choose("write")
    db.session.query(Person).filter_by(id=company.rita.id).update({"name": SARA, "about": SARA})
    db.session.query(Person).filter_by(id=company.ana.id).update({"name": TURNING})
    db.session.query(App).filter_by(id=figma.id).update({"name": f"פיגמה {TURNING}", "description": SARA})
    db.session.query(Group).update({"name": SARA})
    db.session.commit()
    rita, ana, adam = (Browser(app, one) for one in (company.rita, company.ana, company.adam))
    words = f"{SARA}\nthen \u202eturned"
    at = rita.post(f"/catalog/{figma.public_id}/request", {"message": words, "field-team": SARA}).headers["Location"]
    id = at.rpartition("/")[2]
    drain()
    assert ana.post(f"/requests/{id}/denial", {"reason": f"{SARA}!"}).status_code == 303
    drain()
    paths = ("/", "/requests", "/catalog", at)
    pages = [rita.get(path).text for path in paths] + [ana.get(path).text for path in ("/approvals/decided", at)]
    admin = ("/admin/people", "/admin/requests", "/admin/groups", "/admin/audit", "/admin/mail", "/admin/overview",
             "/admin/apps", f"/admin/apps/{figma.public_id}", f"/admin/people/{company.rita.public_id}")  # fmt: skip
    pages += [adam.get(path).text for path in admin]
    for page in pages:
        text = re.sub(r"<textarea.*?</textarea>|<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>", "\n", page, flags=re.S)
        assert_apart(text)
    # A field has the name as it is.
    assert f'value="פיגמה {TURNING}"' in adam.get(f"/admin/apps/{figma.public_id}").text
    assert len(smtp.mails) == 2
    for mail in smtp.mails:
        assert_apart(str(mail.message["Subject"]))
        for part in mail.message.walk():
            if part.get_content_type() == "text/plain":
                assert_apart(part.get_content())


def assert_apart(text: str) -> None:
    """Outside of isolates nothing is read from right to left or turned; each line ends what it begins."""
    for line in html.unescape(text).splitlines():
        depth = 0
        for sign in line:
            depth += (sign in "\u2066\u2067\u2068") - (sign == PDI)
            assert depth >= 0, line
            # The two letters of a face stand alone in their element.
            assert depth or not re.match("[\u0590-\u05ff\u202e]", sign) or len(line.strip()) <= 2, line
        assert depth == 0, line


def test_it_costs_next_to_nothing() -> None:
    for text in ("Salesforce", "Zoë Ünïcödé", 17):
        assert min(timeit.repeat(lambda text=text: finalize(text), number=1000, repeat=5)) < 0.002  # microseconds each
