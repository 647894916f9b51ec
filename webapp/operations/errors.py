"""What operations refuse, beside the workflow's own errors; `str(error)` is a sentence for people."""

TOO_LATE = "This request has changed: someone else has decided, or the deadline has passed. Here is its current state."


class Conflict(Exception):
    """Somebody or something else was faster; the answer is 409 with the present state."""


class Outrun(Conflict):
    """Another transaction changed the request since it was loaded."""

    def __init__(self) -> None:
        super().__init__(TOO_LATE)


class TooOften(Conflict):
    """Somebody did the same too often lately; the sentence says when it goes on."""


class LinkClosed(Exception):
    """The link does not decide the open step: its page says how the request stands."""


class SignInRequired(Exception):
    """The app's rule asks for a session where a link was followed."""


class CodeRefused(Exception):
    """The code of an approval email is wrong, or, without a sentence, missing or closed by wrong ones.

    `is_counted`: the caller commits, so that the wrong code stays counted.
    """

    def __init__(self, sentence: str = "", *, is_missing: bool = False, is_counted: bool = False) -> None:
        super().__init__(sentence)
        self.is_missing, self.is_counted = is_missing, is_counted


class Invalid(Exception):
    """Input that cannot be taken; `fields` maps a form field's name to a sentence."""

    def __init__(self, **fields: str) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = fields


def too_long(text: str, limit: int) -> str:
    """The sentence for a text that is longer than its field takes."""
    return f"Use {limit:,} characters or fewer. You entered {len(text):,}."
