"""How many statements the two most frequent writes take. BEGIN and COMMIT are not counted."""

import pytest

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.rules import ROLE, SEAT, WRITE, rule
from tests.helpers.statements import counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, App, Person
from webapp.operations import decisions, pending, people, requests
from webapp.operations.proofs import SIGNED_IN
from webapp.queries import cases
from webapp.workflow.states import Verdict

# A view adds its session's load, so these keep a margin below 16 and 18.
SUBMIT, DECIDE = 12, 16
# Of all pending requests of an app; one more request is as many more to approve, and none more to cancel.
SETTLE, APPROVE_ONE = 16, 11


@pytest.fixture
def large(company: Company) -> list[Person]:
    return [factories.person(f"Person{number} Large") for number in range(12)]


@pytest.fixture
def apps(company: Company, large: list[Person]) -> list[App]:
    """The same app with two approvers, and with a group of twelve, ten steps and fields."""
    crowd = factories.group("Crowd", *large)
    many = rule(
        crowd, company.ana, company.finance, *large[:7],
        entitlements=(ROLE, SEAT), see={0: {"role": WRITE, "seat": WRITE}},
    )  # fmt: skip
    return [
        factories.app("Small", company.ana, company.ben, owner=company.otto),
        factories.app("Large", policy=many, owner=company.finance),
    ]


def submit(app: App, person: Person) -> int:
    revision = factories.revision_of(app)
    choose("write")
    with counting() as counted:
        requests.submit(app, revision, actor=person, message="Why.", given={"seat": ["1"]}, now=clock.now())
        outbox.commit()
    return len(counted)


def decide(made: AccessRequest, person: Person, verdict: Verdict) -> int:
    choose("write")
    with counting() as counted:
        case = cases.load(public_id=made.public_id)
        assert case is not None
        decisions.decide(
            case, actor=person, verdict=verdict, comment="So.", given={"role": ["Reader"], "seat": ["2"]},
            proof=SIGNED_IN, now=clock.now(),
        )  # fmt: skip
        outbox.commit()
    return len(counted)


def test_submitting_takes_as_many_statements_for_one_approver_as_for_a_crowd(company: Company, apps: list[App]) -> None:
    small, large = (submit(app, company.rita) for app in apps)
    assert small == large
    assert small <= SUBMIT


@pytest.mark.parametrize("verdict", list(Verdict))
def test_deciding_takes_as_many_statements_for_one_approver_as_for_a_crowd(
    company: Company, apps: list[App], large: list[Person], verdict: Verdict
) -> None:
    made = [factories.request(company.rita, app) for app in apps]
    counts = [decide(made[0], company.ana, verdict), decide(made[1], large[3], verdict)]
    # In a group there are others to be told.
    assert counts[1] - counts[0] <= 1
    assert max(counts) <= DECIDE


def test_the_last_yes_stays_in_the_budget(company: Company) -> None:
    app = factories.app("Salesforce", company.finance)
    made = factories.request(company.rita, app)
    assert decide(made, company.ben, Verdict.APPROVED) <= DECIDE


def settle(company: Company, app: App, way: str) -> int:
    choose("write")
    actor, wanted = db.session.merge(company.adam), db.session.merge(app)
    with counting() as counted:
        pending.resolve_pending(wanted, way, reason="So.", actor=actor, now=clock.now())
        outbox.commit()
    return len(counted)


def of_app(company: Company, name: str, askers: list[Person]) -> App:
    app = factories.app(name, company.finance, company.ana)
    for person in askers:
        factories.request(person, app)
    return app


def test_cancelling_all_takes_as_many_statements_for_ten_as_for_one(company: Company, large: list[Person]) -> None:
    few, many = of_app(company, "Few", large[:1]), of_app(company, "Many", large[:10])
    assert settle(company, few, "cancel") == settle(company, many, "cancel") <= SETTLE
    assert rows("requests", "state = 'cancelled'") == 11
    assert rows("steps", "state = 'skipped'") == 22 and rows("invitations", "live") == 0
    # The requester and two of Finance for each; those who were told of one are told of the others, too.
    assert rows("notices", "kind = 'request-cancelled'") == 33


def test_approving_all_takes_the_same_for_each(company: Company, large: list[Person]) -> None:
    counts = [
        settle(company, of_app(company, str(number), large[:number]), "approve") for number in (1, 2, 10)
    ]  # fmt: skip
    assert counts[1] - counts[0] == APPROVE_ONE and counts[2] - counts[1] == 8 * APPROVE_ONE


def test_a_deactivation_cancels_all_that_the_person_had_asked_for(company: Company, large: list[Person]) -> None:
    counts = []
    for person, number in ((large[0], 1), (large[1], 6)):
        for index in range(number):
            factories.request(person, factories.app(f"{person.name} {index}", company.ana))
        choose("write")
        actor, leaver = db.session.merge(company.adam), db.session.merge(person)
        with counting() as counted:
            people.deactivate(leaver, actor=actor, now=clock.now())
            outbox.commit()
        counts.append(len(counted))
    assert counts[0] == counts[1]
    assert rows("requests", "state = 'cancelled'") == 7
