"""API tokens: what they may have, who they stand for, and how they end."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from tests.helpers import changes, factories
from tests.helpers.factories import Company
from webapp import clock, token_use, tokens
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import broker, db
from webapp.models import ApiToken, Notice, Organisation, Person
from webapp.operations import apps, grants, people
from webapp.operations import tokens as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import tokens as queries
from webapp.queries.tokens import Caller
from webapp.workflow.actor import SYSTEM, AnyActor
from webapp.workflow.errors import NotYourTurn
from webapp.workflow.scopes import Scope


def make(person: Person | None, *scopes: str, actor: AnyActor | None = None, **more: object) -> tuple[ApiToken, str]:
    choose("write")
    given = {"name": "laptop", "days": 30, "now": clock.now()} | more
    made = operations.create(scopes=scopes or ("requests:read",), actor=actor or person or SYSTEM, person=person,
                             **given)  # type: ignore[arg-type]  # fmt: skip
    outbox.commit()
    return made


def caller_of(secret: str) -> Caller | None:
    return queries.find_caller(tokens.digest(secret), now=clock.now())


def test_a_token_stands_for_its_person_with_its_scopes(company: Company) -> None:
    _, secret = make(company.rita, "requests:read", "decide")
    caller = caller_of(secret)
    assert caller is not None and caller.id == company.rita.id and not caller.is_admin
    assert caller.scopes == {Scope.REQUESTS_READ, Scope.DECIDE}


def test_nothing_that_is_stored_is_the_token(company: Company) -> None:
    row, secret = make(company.rita)
    stored = db.session.execute(ApiToken.__table__.select()).mappings().one()
    assert secret not in str(dict(stored)) and secret.startswith(row.beginning) and len(row.beginning) == 9


@pytest.mark.parametrize("bad", ["", "csn_", "csn_" + "a" * 49, "nothing", "csn_svc_" + "0" * 49])
def test_what_is_no_token_is_known_without_the_database(bad: str) -> None:
    assert not tokens.is_well_formed(bad)


def test_one_wrong_letter_is_known_without_the_database() -> None:
    made = tokens.make()
    assert tokens.is_well_formed(made)
    for at in range(4, len(made)):
        other = "b" if made[at] != "b" else "c"
        assert not tokens.is_well_formed(made[:at] + other + made[at + 1 :])


def test_it_ends_when_it_is_revoked_or_over_or_its_person_leaves(company: Company) -> None:
    row, secret = make(company.rita)
    _, second = make(company.rita, name="other")
    changes.shift("api_tokens", "expires_at", timedelta(days=-31))
    assert caller_of(secret) is None
    changes.shift("api_tokens", "expires_at", timedelta(days=31))
    assert caller_of(secret) is not None
    choose("write")
    operations.revoke(row, actor=company.rita, now=clock.now())
    outbox.commit()
    assert caller_of(secret) is None and caller_of(second) is not None
    with pytest.raises(Conflict, match="had ended already"):
        operations.revoke(row, actor=company.rita, now=clock.now())
    db.session.rollback()
    changes.deactivate(company.rita, company.adam)
    assert caller_of(second) is None


def test_where_the_organisation_allows_no_tokens_those_of_people_stop_and_those_of_services_do_not(
    company: Company,
) -> None:
    _, secret = make(company.rita)
    _, service = make(None, actor=company.adam)
    choose("write")
    db.session.get_one(Organisation, 1).tokens_allowed = False
    db.session.commit()
    assert caller_of(secret) is None and caller_of(service) is not None
    choose("write")
    with pytest.raises(NotYourTurn, match="does not allow API tokens"):
        make(company.rita)


@pytest.mark.parametrize(
    ("scopes", "person", "words"),
    [
        (("requests:fly",), "rita", "is not a scope"),
        (("people:admin",), "rita", "you are not an admin"),
        (("decide",), None, "cannot decide"),
    ],
)
def test_scopes_that_one_cannot_have(company: Company, scopes: tuple[str, ...], person: str | None, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        make(getattr(company, person) if person else None, *scopes)


def test_a_token_lasts_no_longer_than_the_organisation_allows(company: Company) -> None:
    with pytest.raises(Invalid, match="1 to 90 days"):
        make(company.rita, days=91)
    db.session.rollback()
    make(None, actor=company.adam, days=365)


def test_networks(company: Company) -> None:
    _, secret = make(company.rita, networks="10.2.0.0/16, 2001:db8::1")
    caller = caller_of(secret)
    assert caller is not None
    assert caller.is_allowed_from("10.2.3.4") and caller.is_allowed_from("2001:db8::1")
    # As a socket for both protocols names a client of IPv4.
    assert caller.is_allowed_from("::ffff:10.2.3.4") and not caller.is_allowed_from("::ffff:10.3.0.1")
    assert not caller.is_allowed_from("10.3.0.1") and not caller.is_allowed_from("")
    with pytest.raises(Invalid, match="is not an address or a network"):
        make(company.rita, networks="10.2.0.0/99")


def test_its_person_is_told_when_it_is_made_and_when_somebody_else_ends_it(company: Company) -> None:
    def told() -> list[str]:
        return [one.data["what"] for one in db.session.query(Notice).filter_by(kind="api-token").order_by(Notice.id)]

    row, _ = make(company.rita)
    other, _ = make(company.rita)
    assert told() == ["created", "created"]
    choose("write")
    operations.revoke(row, actor=company.rita, now=clock.now())
    operations.revoke(other, actor=company.adam, now=clock.now(), leaked=True)
    outbox.commit()
    assert told() == ["created", "created", "leaked"]


def test_a_service_gives_access_but_not_to_the_admin_who_made_it(company: Company) -> None:
    _, secret = make(None, "grants:write", actor=company.adam)
    free = factories.app("Figma")
    service = caller_of(secret)
    assert service is not None

    def give(person: Person) -> None:
        choose("write")
        grants.give(free, factories.revision_of(free), person=person, actor=service, given={}, reason="New here.",
                    now=clock.now())  # fmt: skip
        outbox.commit()

    give(company.rita)
    with pytest.raises(Invalid, match="cannot grant yourself"):
        give(company.adam)


def test_an_admin_does_not_open_an_app_to_themselves_by_a_service(company: Company) -> None:
    factories.person("Bea Admin", admin=True)
    closed = factories.app("Salesforce", company.ana)
    _, secret = make(None, "apps:admin", actor=company.adam)
    service = caller_of(secret)
    assert service is not None
    choose("write")
    changed = db.session.merge(closed)
    policy = factories.revision_of(closed).snapshot()
    apps.save_policy(changed, type(policy)(approval_required=False), actor=service, now=clock.now())
    outbox.commit()
    with pytest.raises(Conflict, match="You turned off approval for Salesforce"):
        factories.grant(company.adam, changed)


def test_the_last_use_is_kept_by_the_worker(company: Company) -> None:
    row, _ = make(company.rita)
    broker().hset(token_use.TOKEN_USE, row.hash, "2026-11-30T08:06:00+00:00 10.2.0.88")
    choose("write")
    operations.note_use(token_use.take())
    db.session.commit()
    kept = db.session.get_one(ApiToken, row.id, populate_existing=True)
    assert kept.last_used_address == "10.2.0.88" and kept.last_used_at is not None
    assert token_use.take() == {}


def test_somebody_answers_for_each_service(company: Company) -> None:
    with pytest.raises(NotYourTurn, match="A person has to answer for this"):
        make(None, actor=SYSTEM)


def test_tokens_end_with_the_account_and_do_not_come_back_with_it(company: Company) -> None:
    _, secret = make(company.rita)
    changes.deactivate(company.rita, company.adam)
    choose("write")
    people.reactivate(db.session.merge(company.rita), actor=company.adam, now=clock.now())
    outbox.commit()
    assert caller_of(secret) is None


def test_the_command_makes_a_token_of_a_person_or_of_a_service(app: Flask, company: Company) -> None:
    def run(*words: str) -> Any:
        return app.test_cli_runner().invoke(args=["create-token", *words])

    made = run("rita@example.com", "--scopes", "requests:read, requests:write")
    caller = caller_of(made.output.strip())
    assert caller is not None and caller.id == company.rita.id
    service = run("adam@example.com", "--service", "HR sync", "--scopes", "people:read")
    found = caller_of(service.output.strip())
    assert found is not None and found.is_service and found.responsible_id == company.adam.id
    for words, sentence in (
        (("nobody@example.com", "--scopes", "requests:read"), "There is no active person"),
        (("rita@example.com", "--scopes", "people:read"), "because you are not an admin"),
        (("rita@example.com", "--service", "HR sync", "--scopes", "people:read"), "is not an admin"),
        (("adam@example.com", "--service", "HR sync", "--scopes", "decide"), "A service token cannot decide"),
    ):
        refused = run(*words)
        assert refused.exit_code == 1 and sentence in refused.output
