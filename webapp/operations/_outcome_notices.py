"""The emails that a rule sets for the end of a request."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from webapp.notices import NoticeKind, notice
from webapp.workflow.policy import OutcomeRule
from webapp.workflow.states import RequestState


def outcome_notices(
    state: RequestState,
    rule: OutcomeRule,
    request_id: int,
    *,
    requesters: Iterable[int],
    approvers: Iterable[int],
    outside: Collection[str],
    now: datetime,
) -> list[dict[str, Any]]:
    """The emails that the frozen rule sets for this outcome, one for each recipient. Nothing is sent to `outside`:
    addresses that were saved before they were checked, or whose domain is no longer allowed."""
    roles: dict[int, str] = dict.fromkeys(approvers, "approver") if rule.approvers else {}
    if rule.requester:
        roles |= dict.fromkeys(requesters, "requester")
    kind = NoticeKind(f"request-{state.value}")
    return [notice(kind, role, now=now, person_id=person, request_id=request_id) for person, role in roles.items()] + [
        notice(kind, "other", now=now, address=address, request_id=request_id)
        for address in dict.fromkeys(rule.others)
        if address not in outside
    ]
