"""Ways in and states of a person: each pair in one table; groups, name and address; and who keeps a password."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.helpers import changes, factories
from tests.helpers.factories import Company
from webapp import clock
from webapp.claims import Claims
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Group, Identity, Membership, Notice, Person, PersonSession, Provider
from webapp.operations import groups, identities, people, providers
from webapp.operations.identities import NoEntry, PasswordNeeded
from webapp.queries import directory
from webapp.record import audit

from .conftest import Visitor, claims_of
from .strict import StrictProvider

pytestmark = pytest.mark.both_engines
Visit = Callable[..., Visitor]


def write() -> None:
    db.session.rollback()
    choose("write")
    directory.lock(exclusive=True)


# ----- The table -----

# What the provider says, by name: how the claims differ from those of a person with a verified address.
VERIFIED, UNVERIFIED, TEXT, SILENT = "verified", "not verified", "the text “true”", "says nothing of it"
WAYS: dict[str, dict[str, Any]] = {
    VERIFIED: {},
    UNVERIFIED: {"email_verified": False},
    TEXT: {"email_verified": "true"},
    SILENT: {"email_verified": None},
}
ADDED, LINKED, IN, PASSWORD = "added", "linked", "in", "asked for the password"
UNPROVEN, GONE, ELSEWHERE = "is verified", "is deactivated", "linked to another account at"
# State of the person → what each of WAYS brings, in their order.
TABLE: dict[str, tuple[str, str, str, str]] = {
    "unknown": (ADDED, UNPROVEN, UNPROVEN, UNPROVEN),
    "active": (LINKED, UNPROVEN, UNPROVEN, UNPROVEN),
    "deactivated": (GONE, UNPROVEN, UNPROVEN, UNPROVEN),
    "admin": (PASSWORD, UNPROVEN, UNPROVEN, UNPROVEN),
    "linked": (IN, IN, IN, IN),
    "linked admin": (IN, IN, IN, IN),
    "linked, deactivated since": (GONE, GONE, GONE, GONE),
    "linked to another subject": (ELSEWHERE, UNPROVEN, UNPROVEN, UNPROVEN),
    "admin, linked to another subject": (ELSEWHERE, UNPROVEN, UNPROVEN, UNPROVEN),
}


def in_state(state: str, company: Company, provider: Provider) -> Person | None:
    if state == "unknown":
        return None
    person = company.adam if "admin" in state else company.otto
    if "linked" in state:
        subject = "another" if "another" in state else "sub"
        identities.link(provider, person, Claims(subject), how="account", now=clock.now())
    if "deactivated" in state:
        people.deactivate(person, actor=company.ana, now=clock.now())
    db.session.flush()
    db.session.expire_all()
    return person


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", TABLE)
def test_each_way_in_for_each_state_of_a_person(state: str, way: str, company: Company, provider: Provider) -> None:
    write()
    provider = db.session.get_one(Provider, provider.id)
    person = in_state(state, company, provider)
    raw = {"sub": "sub", "email": person.email if person else "nils@example.com", "email_verified": True, "name": "N"}
    raw |= WAYS[way]
    expected = TABLE[state][list(WAYS).index(way)]
    before = db.session.scalar(select(func.count(Identity.id)))
    try:
        found = identities.sign_in(provider, Claims.of(raw), now=clock.now())
    except PasswordNeeded as asked:
        assert expected == PASSWORD and asked.person == person
    except NoEntry as refusal:
        assert expected in str(refusal), str(refusal)
    else:
        assert expected in (ADDED, LINKED, IN)
        assert (person is None) == (expected == ADDED) and (person is None or found.id == person.id)
    db.session.flush()
    made = (db.session.scalar(select(func.count(Identity.id))) or 0) - (before or 0)
    assert made == (1 if expected in (ADDED, LINKED) else 0)
    outbox.commit()
    assert audit.verify()[1] is None


def test_the_words_do_not_tell_whether_an_address_is_known_here(company: Company, provider: Provider) -> None:
    write()
    said = []
    for email in (company.rita.email, company.adam.email, "nobody@example.com"):
        with pytest.raises(NoEntry) as refusal:
            identities.sign_in(provider, Claims("x", email=email), now=clock.now())
        said.append(str(refusal.value))
    assert len(set(said)) == 1


def test_people_are_not_added_where_that_is_off(company: Company, provider: Provider) -> None:
    write()
    provider = db.session.get_one(Provider, provider.id)
    providers.change(provider, creates_people=False, actor=company.adam, now=clock.now())
    with pytest.raises(NoEntry, match="no account for you here yet"):
        identities.sign_in(provider, Claims("x", verified_email="nils@example.com"), now=clock.now())


def test_linking_by_address_can_be_off(company: Company, provider: Provider) -> None:
    write()
    provider = db.session.get_one(Provider, provider.id)
    providers.change(provider, links_by_email=False, actor=company.adam, now=clock.now())
    with pytest.raises(NoEntry, match="not linked to Strict yet"):
        identities.sign_in(provider, Claims("x", verified_email=company.rita.email), now=clock.now())


def test_only_addresses_of_the_domains_come_in(company: Company, provider: Provider) -> None:
    write()
    provider = db.session.get_one(Provider, provider.id)
    providers.change(provider, domains="Firma.example, @bücher.example", actor=company.adam, now=clock.now())
    assert provider.domains == "firma.example bücher.example"
    for email in (company.rita.email, "nils@example.com", "x@firma.example.evil.example"):
        with pytest.raises(NoEntry, match="only addresses of firma"):
            identities.sign_in(provider, Claims("x", verified_email=email), now=clock.now())
    made = identities.sign_in(provider, Claims("y", verified_email="nils@xn--bcher-kva.example"), now=clock.now())
    assert made.email == "nils@bücher.example" and made.name == "nils"


def test_an_address_in_another_spelling_is_the_same_person(company: Company, provider: Provider) -> None:
    write()
    found = identities.sign_in(provider, Claims("x", verified_email="RITA@Example.COM"), now=clock.now())
    assert found.id == company.rita.id and found.email == "rita@example.com"


# ----- Groups -----


def members(group: Group) -> set[int]:
    return set(db.session.scalars(select(Membership.person_id).where(Membership.group_id == group.id)))


def test_groups_follow_the_claim_and_the_table(company: Company, provider: Provider) -> None:
    write()
    provider = db.session.get_one(Provider, provider.id)
    everyone = groups.create(name="Everyone", actor=company.adam, now=clock.now())
    other = groups.create(name="Other", actor=company.adam, now=clock.now())
    providers.change(provider, default_group=everyone, groups_claim="groups", actor=company.adam, now=clock.now())
    for value in ("fin", "money"):
        providers.add_group(provider, company.finance, value=value, actor=company.adam, now=clock.now())
    groups.add_member(other, company.otto, actor=company.adam, now=clock.now())

    def come(subject: str, email: str, found: Any) -> Person:
        raw = {"sub": subject, "email": email, "email_verified": True, "groups": found}
        person = identities.sign_in(provider, Claims.of(raw, groups_claim="groups"), now=clock.now())
        db.session.flush()
        return person

    nils = come("nils", "nils@example.com", ["fin", "unknown"])
    assert nils.id in members(company.finance) and nils.id in members(everyone)
    come("nils", "nils@example.com", ["money"])  # two rows for one group
    assert nils.id in members(company.finance)
    for silent in (None, "x" * 10, 7, {"fin": 1}, ["fin"] * 2001):  # a text is one group
        come("nils", "nils@example.com", silent if silent != "x" * 10 else "fin")
        assert nils.id in members(company.finance)
    come("nils", "nils@example.com", [])
    assert nils.id not in members(company.finance) and nils.id in members(everyone)
    otto = come("otto", company.otto.email, ["fin"])
    assert otto.id in members(other), "a group without a row is not touched"
    too_large = {"sub": "otto", "_claim_names": {"groups": "src1"}, "groups": []}
    identities.sign_in(provider, Claims.of(too_large, groups_claim="groups"), now=clock.now())
    assert otto.id in members(company.finance), "Microsoft did not say them all"


def test_a_group_that_takes_nobody_keeps_nobody_out(company: Company, provider: Provider, monkeypatch: Any) -> None:
    write()
    provider = db.session.get_one(Provider, provider.id)
    providers.change(provider, groups_claim="groups", actor=company.adam, now=clock.now())
    providers.add_group(provider, company.finance, value="fin", actor=company.adam, now=clock.now())
    # Finance decides for an app, so it has a limit.
    factories.app("Payroll", company.finance)
    monkeypatch.setattr(groups, "MEMBERS_LIMIT", 2)
    write()
    claims = Claims("x", verified_email=company.rita.email, groups=frozenset({"fin"}))
    assert identities.sign_in(provider, claims, now=clock.now()).id == company.rita.id
    outbox.commit()
    assert company.rita.id not in members(company.finance)
    assert audit.verify()[1] is None


def test_nobody_with_a_link_is_mailed_to_set_a_password(company: Company, provider: Provider) -> None:
    write()
    nils = identities.sign_in(provider, Claims("n", verified_email="nils@example.com"), now=clock.now())
    identities.sign_in(provider, Claims("n", verified_email="nils.holm@example.com"), now=clock.now())
    outbox.commit()
    assert nils.email == "nils.holm@example.com"
    assert db.session.scalars(select(Notice.kind).where(Notice.person_id == nils.id)).all() == []


# ----- An admin's password -----


def test_an_admin_is_linked_with_the_password_once(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    factories.with_password(company.adam)
    db.session.commit()
    strict.claims = claims_of(company.adam)
    browser = visitor()
    page = browser.come(provider, "/approvals")
    assert page.status_code == 200 and "Link your account" in page.text and browser.who() is None
    state = page.text.partition('name="state" value="')[2].partition('"')[0]
    path = f"/sso/{provider.public_id}/password"
    wrong = browser.post(path, {"state": state, "password": "wrong"})
    assert wrong.status_code == 422 and "incorrect" in wrong.text and browser.who() is None
    other = visitor()
    assert other.post(path, {"state": state, "password": factories.PASSWORD}).status_code == 400
    answer = browser.post(path, {"state": state, "password": factories.PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/approvals")
    assert browser.who() == company.adam.name
    assert browser.post(path, {"state": state, "password": factories.PASSWORD}).status_code == 400
    again = visitor()
    again.come(provider)
    assert again.who() == company.adam.name


def test_the_password_cannot_be_guessed_there(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    factories.with_password(company.adam)
    db.session.commit()
    strict.claims = claims_of(company.adam)
    browser = visitor()
    state = browser.come(provider).text.partition('name="state" value="')[2].partition('"')[0]
    path = f"/sso/{provider.public_id}/password"
    answers = [browser.post(path, {"state": state, "password": f"wrong {n}"}) for n in range(11)]
    assert [answer.status_code for answer in answers[9:]] == [422, 429] and "Retry-After" in answers[10].headers


# ----- Connect, disconnect, and sign in again -----


def test_somebody_who_is_signed_in_connects_without_a_verified_address(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    """As with Microsoft, which does not say whether an address is verified."""
    strict.claims = {"sub": "entra-1", "email": "somebody@example.org"}
    browser = visitor(company.rita)
    back = browser.leave(f"/sso/{provider.public_id}/connect")
    assert browser.get(back).location == "/account/security#connections-head"
    fresh = visitor()
    fresh.come(provider)
    assert fresh.who() == company.rita.name
    assert "Disconnect Strict" in browser.get("/account/security").text


def test_an_account_there_belongs_to_one_person_here(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = {"sub": "entra-1"}
    for person, status in ((company.rita, 303), (company.otto, 403)):
        browser = visitor(person)
        answer = browser.get(browser.leave(f"/sso/{provider.public_id}/connect"))
        assert answer.status_code == status
    assert "linked to somebody else here" in answer.text


def test_connecting_is_for_who_began_it(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = {"sub": "entra-1"}
    browser = visitor(company.rita)
    back = browser.leave(f"/sso/{provider.public_id}/connect")
    browser.sign_in(company.otto)  # meanwhile
    assert browser.get(back).status_code == 403
    assert db.session.scalar(select(Identity.id)) is None


def test_who_disconnects_needs_another_way_in(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    browser = visitor()
    browser.come(provider)
    path = f"/sso/{provider.public_id}/disconnection"
    refused = browser.post(path)
    assert refused.status_code == 409 and "no other way to sign in" in refused.text
    factories.with_password(company.rita)
    db.session.commit()
    assert browser.post(path).status_code == 303
    assert browser.who() is None, "the session came from there"
    assert db.session.scalar(select(Identity.id)) is None


def stale(person: Person) -> None:
    """The person's sign-in is from an hour ago."""
    choose("write")
    for row in db.session.scalars(select(PersonSession).where(PersonSession.person_id == person.id)):
        row.reauthenticated_at = clock.now() - timedelta(hours=1)
        row.authenticated_at = clock.now() - timedelta(hours=1)
    db.session.commit()


def test_an_admin_without_a_password_signs_in_again_in_another_tab(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.adam)
    write()
    identities.link(provider, company.adam, Claims("sub-Adam"), how="account", now=clock.now())
    outbox.commit()
    browser = visitor()
    browser.come(provider)
    stale(company.adam)
    asked = browser.post("/admin/groups", {"name": "Legal"})
    assert asked.status_code == 401 and f"/sso/{provider.public_id}/again" in asked.text
    assert 'name="name" value="Legal"' in asked.text
    not_yet = browser.post("/admin/groups", {"name": "Legal", "your_password": ""})
    assert not_yet.status_code == 401 and "Sign in again" in not_yet.text
    strict.auth_time = clock.now().timestamp()
    back = browser.leave(f"/sso/{provider.public_id}/again")
    assert browser.get(back).location == "/sso/signed-in-again"
    assert browser.get("/sso/signed-in-again").status_code == 200
    assert browser.post("/admin/groups", {"name": "Legal", "your_password": ""}).status_code == 303


@pytest.mark.parametrize("ago", [None, 3600])
def test_signing_in_again_has_to_be_proven(
    ago: int | None, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    browser = visitor()
    browser.come(provider)
    stale(company.rita)
    strict.auth_time = clock.now().timestamp() - ago if ago else None
    answer = browser.get(browser.leave(f"/sso/{provider.public_id}/again"))
    assert answer.status_code == 400
    assert ("did not say when" if ago is None else "did not ask you to sign in again") in answer.text


def test_somebody_else_cannot_sign_in_again_for_her(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    browser = visitor()
    browser.come(provider)
    stale(company.rita)
    strict.claims, strict.auth_time = claims_of(company.otto), clock.now().timestamp()
    answer = browser.get(browser.leave(f"/sso/{provider.public_id}/again"))
    assert answer.status_code == 403 and "as somebody else" in answer.text
    db.session.rollback()
    assert db.session.scalar(
        select(PersonSession.id).where(PersonSession.reauthenticated_at > clock.now() - timedelta(minutes=5))
    ) is None  # fmt: skip


def test_a_sign_in_there_of_this_morning_is_not_a_recent_one(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims, strict.auth_time = claims_of(company.rita), clock.now().timestamp() - 7200
    visitor().come(provider)
    row = db.session.scalars(select(PersonSession).where(PersonSession.provider_id.is_not(None))).one()
    assert row.reauthenticated_at is not None and clock.now() - row.reauthenticated_at > timedelta(hours=1)


def test_deactivation_ends_what_came_from_a_provider(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    browser = visitor()
    browser.come(provider)
    changes.deactivate(company.rita, company.adam)
    assert browser.get("/").location.startswith("/sign-in")
    answer = visitor().come(provider)
    assert answer.status_code == 403 and "is deactivated" in answer.text
