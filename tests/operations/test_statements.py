"""How many statements the two most frequent writes take. BEGIN and COMMIT are not counted."""

import pytest

from tests import factories
from tests.factories import Company
from tests.operations.helpers import ROLE, SEAT, WRITE, policy, statements
from webapp import clock, outbox
from webapp.models import AccessRequest, App, Person
from webapp.operations import requests
from webapp.queries import cases, directory
from webapp.transactions import choose
from webapp.workflow.states import Channel, Verdict

# A view adds its session's load, so these keep a margin below 16 and 18.
SUBMIT, DECIDE = 12, 16


@pytest.fixture
def large(company: Company) -> list[Person]:
    return [factories.person(f"Person{number} Large") for number in range(12)]


@pytest.fixture
def apps(company: Company, large: list[Person]) -> list[App]:
    """The same app with two approvers, and with a group of twelve, ten steps and fields."""
    crowd = factories.group("Crowd", *large)
    many = policy(
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
    with statements() as counted:
        requests.submit(app, revision, person=person, message="Why.", given={"seat": ["1"]}, now=clock.now())
        outbox.commit()
    return counted.total()


def decide(made: AccessRequest, person: Person, verdict: Verdict) -> int:
    choose("write")
    with statements() as counted:
        directory.lock()
        case = cases.load(public_id=made.public_id)
        assert case is not None
        requests.decide(
            case, actor=person, verdict=verdict, comment="So.", given={"role": ["Reader"], "seat": ["2"]},
            channel=Channel.BROWSER, now=clock.now(),
        )  # fmt: skip
        outbox.commit()
    return counted.total()


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
