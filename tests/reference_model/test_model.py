"""Some stories of each kind; `python -m tests.reference_model` tells thousands."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import Engines
from tests.reference_model.core import Core
from tests.reference_model.database import Database
from tests.reference_model.story import Decisions, Operations

# The same stories each time: what is new is found by the command, and a red test can be run again.
FEW = settings(
    deadline=None, derandomize=True, database=None, print_blob=False, suppress_health_check=list(HealthCheck)
)


def happened(*events: str) -> None:
    """The stories had these in them: else they would agree about nothing."""
    for event in events:
        assert Decisions.told[f"{event}: done"] > 0, (event, Decisions.told)


def refused(event: str, *reasons: str) -> None:
    """And those who may not tried it."""
    for reason in reasons:
        assert Decisions.told[f"{event}: {reason}"] > 0, (event, reason, Decisions.told)


def test_the_pure_core_does_as_the_book_says() -> None:
    Decisions.told.clear()
    run_state_machine_as_test(
        lambda: Decisions(Core()), settings=settings(FEW, max_examples=60, stateful_step_count=30)
    )
    happened("submit", "approve", "deny", "cancel", "sweep", "save_rule", "deactivate", "reactivate", "add_member")
    refused("approve", "own", "settled", "not yours")
    refused("deny", "own", "incomplete")


# What random stories may leave out: each kind of event that has to be there, and each refusal.
TALE = (
    ("reassign", "adam", 0, ("person", "ben"), "Because."),
    ("deliver_emails",),
    ("approve", 0, "otto", 21, "A"),  # by the very person named: it is not theirs
    ("approve", 0, "rita", 49, "A"),  # by the requester
    ("cancel", 0),
    ("approve", 0, "ben", 0, "A"),  # too late
    ("submit", "chloe", "salesforce", "A", False, 0),
    ("approve", 1, "ana", 1, "A"),
    ("add", "rita", "figma"),
    ("deactivate", "adam", "otto"),
    ("sweep",),
)


def tell(machine: Decisions) -> None:
    """The tale, after which both still say the same."""
    quiet = (False, False, [])
    rule = {"approval": True, "steps": [(("person", "ana"), 3, False)], "requester sets seat": True,
            "mail": {"approved": quiet, "denied": quiet, "expired": quiet}}  # fmt: skip
    machine.a_first_request(rule=rule)
    for event in TALE:
        machine.happens(event=event)
        machine.both_say_the_same()


@pytest.mark.slow
def test_the_operations_do_as_the_book_says(engine: str, engines: Engines) -> None:
    Decisions.told.clear()
    database = Database(lambda: engines.app(engine))
    tell(Operations(database))
    run_state_machine_as_test(
        lambda: Operations(database), settings=settings(FEW, max_examples=8, stateful_step_count=40)
    )
    database.stop()
    happened("submit", "approve", "cancel", "sweep", "save_rule", "deactivate", "add", "reassign", "deliver_emails")
    refused("approve", "own", "settled", "not yours")
