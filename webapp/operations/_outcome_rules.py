"""What an app's rule says of the emails when a request ends: checked before it is saved."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from webapp.queries import domains
from webapp.text import clean, one_line
from webapp.workflow.policy import OUTCOME_MESSAGE_LIMIT, OutcomeRule

from .errors import Invalid
from .people import address

ADDRESSES_LIMIT = 10
REASONS_LIMIT = 10
REASON_LIMIT = 200


def changed_outcome(
    before: OutcomeRule, *, requester: bool | None = None, approvers: bool | None = None,
    others: Sequence[str] | None = None, message: str | None = None, reasons: Sequence[str] | None = None,
) -> OutcomeRule:  # fmt: skip
    """The rule with these parts changed; None: as it is. Raises Invalid with all that is wrong."""
    wrong: dict[str, str] = {}
    changes: dict[str, Any] = {}
    if requester is not None:
        changes["requester"] = requester
    if approvers is not None:
        changes["approvers"] = approvers
    if others is not None:
        addresses: list[str] = []
        faults: list[str] = []
        # Of a list of thousands not each one is looked at.
        for one in others[: 10 * ADDRESSES_LIMIT]:
            try:
                addresses.append(address(one))
            except Invalid as error:
                faults.append(str(error))
        addresses = list(dict.fromkeys(addresses))
        changes["others"] = tuple(addresses)
        number = len(addresses) + len(faults) + len(others[10 * ADDRESSES_LIMIT :])
        if number > ADDRESSES_LIMIT:
            wrong["others"] = f"Use {ADDRESSES_LIMIT} addresses or fewer. You entered {number:,}."
        elif faults:
            wrong["others"] = " ".join(faults)
        # What is there already stays, and is not emailed; nothing like it is added.
        elif strange := sorted(domains.outside(one for one in addresses if one not in before.others)):
            wrong["others"] = (
                f"No email may go to {' and '.join(strange)}. Enter an address in the domain of your people, or ask an "
                "admin to allow another domain in the settings of the organisation."
            )
    if message is not None:
        changes["message"] = message = clean(message)
        if len(message) > OUTCOME_MESSAGE_LIMIT:
            # `words` is the field's name in the form and in the API.
            wrong["words"] = f"Use {OUTCOME_MESSAGE_LIMIT:,} characters or fewer. You entered {len(message):,}."
    if reasons is not None:
        changes["reasons"] = ready = tuple(dict.fromkeys(text for text in (one_line(one) for one in reasons) if text))
        if len(ready) > REASONS_LIMIT:
            wrong["reasons"] = f"Use {REASONS_LIMIT} reasons or fewer. You entered {len(ready)}."
        elif any(len(one) > REASON_LIMIT for one in ready):
            wrong["reasons"] = f"A reason can have up to {REASON_LIMIT} characters."
    if wrong:
        raise Invalid(**wrong)
    return replace(before, **changes)
