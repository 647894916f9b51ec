"""The organisation's settings about API tokens."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.factories import Company
from tests.helpers.lookups import events
from webapp import clock
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Organisation
from webapp.operations import organisation
from webapp.operations.errors import Invalid
from webapp.record import entries
from webapp.record.sentences import describe


def change(company: Company, **settings: Any) -> Organisation:
    ours = db.session.get_one(Organisation, 1)
    organisation.change(ours, **settings, actor=company.adam, now=clock.now())
    outbox.commit()
    return ours


def test_the_settings_of_tokens_are_saved_and_recorded(company: Company) -> None:
    ours = change(company, tokens_allowed=False, token_days=365, tokens_decide_signed_in=True)
    assert (ours.tokens_allowed, ours.token_days, ours.tokens_decide_signed_in) == (False, 365, True)
    assert events("organisation.changed")[-1]["facts"] == {
        "before": {"tokens_allowed": True, "token_days": 90, "tokens_decide_signed_in": False},
        "after": {"tokens_allowed": False, "token_days": 365, "tokens_decide_signed_in": True},
    }
    page = entries.page(entries.Filter())
    changes = describe(page.lines[0], page.names).changes
    assert {(one.label, one.before, one.after) for one in changes} == {
        ("API tokens may decide where the rules ask to sign in", "no", "yes"),
        ("Longest time of an API token", "90 days", "365 days"),
        ("People may make API tokens", "yes", "no"),
    }


def test_what_is_left_out_stays(company: Company) -> None:
    ours = change(company, token_days=30)
    assert (ours.tokens_allowed, ours.token_days, ours.tokens_decide_signed_in) == (True, 30, False)
    change(company, token_days=30)
    assert len(events("organisation.changed")) == 1


@pytest.mark.parametrize("days", [0, 31, 366, -1])
def test_other_times_are_refused(company: Company, days: int) -> None:
    with pytest.raises(Invalid, match="Choose 30, 90 or 365 days"):
        change(company, token_days=days)
