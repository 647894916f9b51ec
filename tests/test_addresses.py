"""One form of an email address: the right domain, and one person for two spellings."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Browser
from tests.helpers import factories
from webapp.addresses import BadAddress, canonical, in_ascii, same
from webapp.database.transactions import choose
from webapp.delivery.mail.mime import Unmailable, ascii_address
from webapp.extensions import db
from webapp.models import Organisation, Person
from webapp.operations import apps, organisation
from webapp.operations.errors import Invalid
from webapp.queries import accounts
from webapp.workflow.actor import SYSTEM
from webapp.workflow.states import RequestState


@pytest.mark.parametrize(
    ("typed", "stored", "mailed"),
    [
        ("Max@Straße.example", "max@straße.example", "max@xn--strae-oqa.example"),
        ("max@STRAẞE.example", "max@straße.example", "max@xn--strae-oqa.example"),
        ("max@strasse.example", "max@strasse.example", "max@strasse.example"),
        ("max@xn--strae-oqa.example", "max@straße.example", "max@xn--strae-oqa.example"),
        ("max@XN--STRAE-OQA.example", "max@straße.example", "max@xn--strae-oqa.example"),
        ("jo@bu\u0308cher.example", "jo@bücher.example", "jo@xn--bcher-kva.example"),
        ("jo@βόλος.example", "jo@βόλος.example", "jo@xn--nxasmm1c.example"),
        ("jo@例え。テスト", "jo@例え.テスト", "jo@xn--r8jz45g.xn--zckzah"),
        ("ｊｏ＠ｅｘａｍｐｌｅ．ｃｏｍ", "jo@example.com", "jo@example.com"),
        (" jo@exa\u200bmple.com\t", "jo@example.com", "jo@example.com"),
        ("jo\u00ad@example.com", "jo@example.com", "jo@example.com"),
        ("Jo.O'Neil+x@Mail.Example.co.uk", "jo.o'neil+x@mail.example.co.uk", "jo.o'neil+x@mail.example.co.uk"),
        (f"{'a' * 64}@{'b' * 63}.example", f"{'a' * 64}@{'b' * 63}.example", f"{'a' * 64}@{'b' * 63}.example"),
    ],
)
def test_an_address_has_one_form_and_goes_to_its_own_domain(typed: str, stored: str, mailed: str) -> None:
    assert canonical(typed) == stored == canonical(stored) == same(typed)
    assert in_ascii(typed) == mailed == in_ascii(stored) == ascii_address(typed)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "is not an email address"), ("@", "is not an email address"), ("jo", "is not an email address"),
        ("jo@", "is not an email address"), ("a b@example.com", "is not an email address"),
        ("jo@@example.com", "is not an email address"), ("jo@example", "is not an email address"),
        ("jo@example.com,x@evil.example", "is not an email address"), ("\"jo\"@example.com", "is not an email address"),
        ("jo@[127.0.0.1]", "is not"), ("jo@example..com", "is not"), ("jo@-example.com", "is not"),
        ("jo@foo_bar.example", "is not the name of a mail"), ("jo@xn--0.example", "is not the name of a mail"),
        ("jo@☃.example", "is not the name of a mail domain"), ("jo@10.0.0.12", "is not the name of a mail domain"),
        ("jörg@example.com", "has “ö” before the @"), ("аna@example.com", "has “а” before the @"),
        (f"jo@{'b' * 64}.example", "up to 63 characters"), (f"jo@{'ü' * 60}.example", "up to 63 characters"),
        (f"{'a' * 65}@example.com", "up to 64 characters before the @"),
        (f"{'a' * 60}@{'b' * 63}.{'c' * 63}.{'d' * 63}.example", "up to 254"),
        ("a" * 50_000 + "@b.example", "up to 254"),
    ],
)  # fmt: skip
def test_what_no_mail_can_be_sent_to_is_refused_with_the_reason(typed: str, said: str) -> None:
    with pytest.raises(BadAddress, match=said):
        canonical(typed)
    if typed and typed.isascii():
        assert typed.lower().startswith(same(typed))


def test_mail_goes_to_names_without_a_dot_that_an_installation_uses() -> None:
    assert ascii_address("countersign@apps") == "countersign@apps"
    assert ascii_address("root@mail_1.example") == "root@mail_1.example"
    for typed in ("jörg@example.com", "a b@example.com", "jo@☃.example", "jo@a..example", "", "x"):
        with pytest.raises(Unmailable):
            ascii_address(typed)


@given(st.text(st.sampled_from("aB1.-_@ß\u0301\u200d。ü☃\u202e١"), max_size=30))
def test_the_one_form_of_the_one_form_is_itself(text: str) -> None:
    try:
        stored = canonical(text)
    except BadAddress:
        return
    assert canonical(stored) == stored
    assert canonical(in_ascii(text)) == stored


def test_a_long_domain_is_refused_at_once() -> None:
    for domain in ("ü" * 20_000, "ü." * 10_000, "xn--" + "a" * 20_000, "a." * 10_000):
        began = time.process_time()
        with pytest.raises(BadAddress):
            canonical(f"jo@{domain}")
        assert time.process_time() - began < 0.05


def test_two_spellings_are_one_person_everywhere(app: Any, company: Any) -> None:
    factories.person("Max Muster", email="max@straße.example")
    choose("write")
    for spelling in ("MAX@XN--STRAE-OQA.EXAMPLE", "max@stra\u00adße.example"):
        with pytest.raises(Invalid, match="already"):
            factories.people.create(email=spelling, name="Max", actor=SYSTEM, now=factories.clock.now())
        found = accounts.by_email(spelling)
        assert found is not None and found.name == "Max Muster"
    assert accounts.by_email("max@strasse.example") is None
    adam = Browser(app, company.adam)
    for email, said in (("jörg@example.com", "before the @"), (f"jo@{'b' * 64}.example", "63 characters")):
        answer = adam.post("/admin/people", {"name": "Jo", "email": email, "about": ""})
        assert answer.status_code == 422 and said in answer.text and email in answer.text
    own = factories.app("Figma")
    choose("write")
    organisation.change(
        db.session.get_one(Organisation, 1), name=None, time_zone=None, sender=None,
        outcome_domains="XN--STRAE-OQA.example", now=factories.clock.now(),
    )  # fmt: skip
    apps.set_outcome(
        db.session.merge(own), RequestState.DENIED, requester=True, approvers=False, message="", actor=company.adam,
        others=["hr@straße.example", "hr@xn--strae-oqa.example"], now=factories.clock.now(),
    )  # fmt: skip
    db.session.flush()
    assert apps.rule_to_change(db.session.merge(own)).outcomes[RequestState.DENIED].others == ("hr@straße.example",)
    db.session.rollback()


def test_who_shares_an_address_since_before_goes_on_with_their_own_spelling(app: Any, company: Any) -> None:
    """Two people from a time when the spellings were different addresses."""
    first, second = (factories.person(name, email=f"{name}@example.com") for name in ("Max", "Moritz"))
    choose("write")
    db.session.query(Person).filter_by(id=first.id).update({"email": "max@straße.example"})
    db.session.query(Person).filter_by(id=second.id).update({"email": "max@xn--strae-oqa.example"})
    db.session.commit()
    for spelling, name in (("max@straße.example", "Max"), ("Max@xn--strae-oqa.example", "Moritz")):
        found = accounts.by_email(spelling)
        assert found is not None and found.name == name
    choose("write")
    row = db.session.get_one(Person, second.id)
    factories.people.change_details(row, name="Moritz B", email=row.email, about="", actor=company.adam,
                                    now=factories.clock.now())  # fmt: skip
    assert row.name == "Moritz B"
    db.session.rollback()
