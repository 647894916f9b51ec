"""What operations refuse, beside the workflow's own errors; `str(error)` is a sentence for people."""

TOO_LATE = "This request has changed: someone else has decided, or the deadline has passed. Here is its current state."


class Conflict(Exception):
    """Somebody or something else was faster; the answer is 409 with the present state."""


class TooOften(Conflict):
    """Somebody did the same too often lately; the sentence says when it goes on."""


class Invalid(Exception):
    """Input that cannot be taken; `fields` maps a form field's name to a sentence."""

    def __init__(self, **fields: str) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = fields


def too_long(text: str, limit: int) -> str:
    """The sentence for a text that is longer than its field takes."""
    return f"Use {limit:,} characters or fewer. You entered {len(text):,}."
