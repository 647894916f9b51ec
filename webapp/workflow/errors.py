"""What the core refuses, each with a sentence for the person who asked."""


class WorkflowError(Exception):
    """A refusal. `str(error)` is a sentence that can be shown to people."""


class Settled(WorkflowError):
    """The request or the step has already been decided, or its time is over."""


class NotYourTurn(WorkflowError):
    """The person is not one of those who may decide the open step."""


class SelfApproval(WorkflowError):
    """Nobody decides a request that they made or that is for them."""


class NobodyCanDecide(WorkflowError):
    """A step has neither approver nor fallback once the requester is left out."""


class ReasonMissing(WorkflowError):
    """A denial, or an admin's override, needs a reason."""


class BadValues(WorkflowError):
    """Entitlement values that do not fit; `fields` maps an entitlement's id to a sentence."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = fields


class BadPolicy(WorkflowError):
    """A rule that cannot be saved; the sentence says what to change."""
