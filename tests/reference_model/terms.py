"""The words of the model: who, states and refusals."""

from __future__ import annotations

Who = tuple[str, str]
FINAL = ("approved", "denied", "expired", "cancelled")
ASKED = "approval-asked"


class Refused(Exception):
    """What was tried is not allowed; `reasons` are all that hold: own, settled, not yours, incomplete, nobody or
    conflict."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(", ".join(sorted(reasons)))
        self.reasons = frozenset(reasons)
