"""Hostile words through every field: nothing runs, nothing breaks, nothing is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.ledger import Ledger
from tests.conftest import Browser
from tests.helpers import factories, lookups, rules
from tests.helpers.smtp_server import Accepted
from webapp import links
from webapp.workflow.states import Visibility

from . import __main__ as command
from . import payloads
from .robots import Sight


def test_the_corpus_is_large_enough() -> None:
    assert len(payloads.corpus()) > 500


# What databases, encodings and comparisons of names stumble over.
HARD = ["\0", "a\0b", "\U0001fffe", "\ud800", "Z" + "\u0301" * 30, "İstanbul"]
# Kinds of fields that somebody can type into.
TYPED = ("text", "search", "email", "url", "tel", "number", "date", "password", "textarea")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_sample_of_each_family_in_pages_mails_tables_and_logs(
    app: Any, company: Any, smtp: Any, address: str, chromium: Any
) -> None:
    """Every eighty-seventh of the corpus; all of it by `python -m tests.attack input`."""
    found = payloads.throw(app, company, payloads.corpus()[::87], smtp, chromium, address)
    assert found.wrong == [], "\n".join(found.wrong)
    assert found.pages > 15 and found.mails > 20 and found.cells > 300 and found.lines > 150


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite"])
def test_every_field_of_every_form_gets_what_is_hard_to_read(app: Any, company: Any, smtp: Any, address: str) -> None:
    """Whoever adds a field is asked here to throw the corpus into it. The fields are those of the pages themselves."""
    # The fields of an app are one field: which page of two apps is read is up to the order of the links.
    fields = {(rule, "field-f" if name.startswith("field-") else name) for rule, name in typed_into(app, company)}
    assert len(fields) > 60
    found = payloads.throw(app, company, [*HARD, *payloads.ADDRESSES[::6]], smtp, None, address)
    assert found.wrong == [], "\n".join(found.wrong)
    assert sorted(fields - found.fields) == [], sorted(fields - found.fields)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgresql"])
def test_what_is_hard_to_read_breaks_no_field_on_postgresql(app: Any, company: Any, smtp: Any, address: str) -> None:
    found = payloads.throw(app, company, HARD, smtp, None, address)
    assert found.wrong == [], "\n".join(found.wrong)


def typed_into(app: Any, company: Any) -> set[tuple[str, str]]:
    """(route, field) of every form that somebody can type into, on the pages of an installation with one of each."""
    see = {"f": Visibility.WRITE}
    rule = rules.rule(company.ana, see=(see,), entitlements=(rules.text_field("f", requester=Visibility.WRITE),))
    plain, free = factories.app("Plain", policy=rule, owner=company.ben), factories.app("Free")
    made, _ = factories.request(company.rita, plain), factories.grant(company.rita, free)
    with_fields, fields = f"/admin/apps/{factories.app('Fields', company.ana).public_id}", set()
    for kind in ("text", "choice"):
        form = {"name": kind, "kind": kind, "options": "A" if kind == "choice" else ""}
        assert Browser(app, company.adam).post(f"{with_fields}/fields", form).status_code == 303
    for person in (company.adam, company.ana, company.rita):
        fields |= fields_of(app, Browser(app, person), "/", "/account", "/admin", f"/approvals/{made.public_id}",
                            f"/admin/people/{company.rita.public_id}", f"/admin/apps/{plain.public_id}", with_fields,
                            f"/admin/apps/{free.public_id}/people",
                            f"/admin/apps/{plain.public_id}/grants/new?person=person:{company.chloe.public_id}",
                            f"/catalog/{plain.public_id}/request")  # fmt: skip
    factories.provider(company.adam, name="Another login", issuer="https://another.example.com")
    fields |= fields_of(app, Browser(app, company.adam), "/admin/sign-in")
    token = links.password_token(company.otto.public_id, company.otto.password_round)
    return fields | fields_of(app, Browser(app), "/sign-in", lookups.link(made, company.ana), f"/password/{token}")


def fields_of(app: Any, browser: Browser, *starts: str) -> set[tuple[str, str]]:
    """(route, field) of every form on every page that is reached from these, two pages of a route at most."""
    seen: Counter[str] = Counter()
    todo, found = list(starts), set()
    while todo:
        path = todo.pop(0)
        rule = payloads.rule_of(app, path, "GET")
        if not path.startswith("/") or not rule or rule.startswith("/static") or seen[rule] >= 2:
            continue
        seen[rule] += 1
        answer = browser.get(path, buffered=True)
        if answer.mimetype == "text/html":
            sight = Sight(answer.text)
            todo += sorted(sight.addresses)
            for form in sight.forms:
                found |= {(payloads.rule_of(app, form.action or path, form.method), name)
                          for name, kind, _ in form.fields if name and kind in TYPED}  # fmt: skip
    return found


@pytest.mark.parametrize("engine", ["sqlite"])
def test_what_would_run_is_seen(app: Any, smtp: Any, chromium: Any) -> None:
    """The look itself: words that were not escaped are found by it."""
    for words in ("<img src=x onerror=\"window.pwned=1\">", "<script>alert(1)</script>",
                  "<img src=//evil.example/pixel.gif>"):  # fmt: skip
        mail = f"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>{words}</p>".encode()
        smtp.mails[:] = [Accepted("a@example.com", ["b@example.com"], mail, ("", 0), 0.0)]
        found = payloads.Findings()
        payloads.look_at_mails_in_a_browser(chromium, smtp, found)
        assert found.wrong, words


def test_the_command_goes_on_with_the_legs_that_have_not_held(tmp_path: Path) -> None:
    corpus = payloads.corpus()
    ledger, every = Ledger(tmp_path), list(range(0, len(corpus), command.LEG))
    assert list(command.left(ledger, "sqlite", corpus)) == every
    for first in every[1:]:
        ledger.add(command.named(corpus), "sqlite", first, payloads=len(corpus[first : first + command.LEG]))
    again = Ledger(tmp_path)
    assert list(command.left(again, "sqlite", corpus)) == [0]
    assert list(command.left(again, "postgresql", corpus)) == every
    assert list(command.left(again, "sqlite", [*corpus, "one more"])) == every  # another corpus begins from nothing
