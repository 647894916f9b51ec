"""The words that pages, emails and the audit log share."""

import pytest

from webapp import wording
from webapp.workflow.states import Tier


@pytest.mark.parametrize(
    ("tier", "holder", "waiting"),
    [
        (Tier.APPROVER, "Ana Moreau", "Waiting for Ana Moreau"),
        (Tier.OWNER, "the app owner", "Waiting for the app owner"),
        (Tier.ADMINS, "the admins", "Waiting for the admins"),
        (Tier.NOBODY, "no one", "No approver available"),
    ],
)
def test_who_has_a_step_and_whom_it_waits_for(tier: Tier, holder: str, waiting: str) -> None:
    assert wording.holder(tier.value, "Ana Moreau") == holder
    assert wording.waiting_for(tier.value, "Ana Moreau") == waiting
    assert tier in wording.TIERS


def test_names_in_a_row() -> None:
    assert wording.either(["Ana"]) == "Ana"
    assert wording.either(["Ana", "Ben"]) == "Ana or Ben"
    assert wording.either(["Ana", "Ben", "Chloe"]) == "Ana, Ben or Chloe"
    assert wording.first_few(["Ana", "Ben"], 2) == "Ana, Ben"
    assert wording.first_few(["Ana", "Ben", "Chloe"], 2) == "Ana, Ben and 1 more"


def test_a_number_has_its_unit() -> None:
    assert [wording.count(number, "reply", "replies") for number in (1, 2, 1000)] == [
        "1 reply",
        "2 replies",
        "1,000 replies",
    ]
