"""The refusals of the operations, in the words of the model."""

from __future__ import annotations

from webapp.operations.errors import Conflict, Invalid
from webapp.workflow.errors import (
    BadValues,
    NobodyCanDecide,
    NotYourTurn,
    ReasonMissing,
    SelfApproval,
    Settled,
)

WORDS: dict[type[Exception], str] = {
    SelfApproval: "own",
    Settled: "settled",
    NotYourTurn: "not yours",
    NobodyCanDecide: "nobody",
    ReasonMissing: "incomplete",
    BadValues: "incomplete",
    Invalid: "incomplete",
    Conflict: "conflict",
}
