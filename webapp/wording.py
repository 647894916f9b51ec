"""Words that pages, emails and the audit log share, each in one place. Those of emails only: delivery/mail/wording.py.

Names may be `bidi.Name`s: each function keeps them apart from the words around them.
"""

from collections.abc import Sequence

from webapp.bidi import listed
from webapp.workflow.states import SignInMethod, Tier

NO_APPROVER = "No approver available"
OVERRIDE = "as an admin"
# How somebody signed in, as the account page and the audit log say it.
SIGN_IN_METHODS = {
    SignInMethod.PASSWORD: "password",
    SignInMethod.AUTHENTICATOR: "password and authenticator app",
    SignInMethod.RECOVERY_CODE: "password and recovery code",
    SignInMethod.PASSKEY: "passkey",
}
# Who decides a step, in a sentence that names the app.
TIERS = {Tier.APPROVER: "the approver", Tier.OWNER: "the owner", Tier.ADMINS: "the admins", Tier.NOBODY: "no one"}


def count(number: int, unit: str, units: str = "") -> str:
    """ "1 request", "3 requests"."""
    return f"{number:,} {unit if number == 1 else units or unit + 's'}"


def holder(tier: str, approver: str) -> str:
    """Who has a step: its approver by name, or who decides instead: "the app owner", "the admins", "no one"."""
    if tier == Tier.APPROVER:
        return approver
    return "the app owner" if tier == Tier.OWNER else TIERS[Tier(tier)]


def waiting_for(tier: str, approver: str) -> str:
    """Whom an open step waits for: "Waiting for Ana Moreau"."""
    return NO_APPROVER if tier == Tier.NOBODY else f"Waiting for {holder(tier, approver)}"


def instead_of(approver: str) -> str:
    """Of the owner or an admin who decides a step: "instead of Ana Moreau"."""
    return f"instead of {approver}"


def due(deadline: str) -> str:
    """ "due Fri 27 Nov, 09:41"; `deadline` as `Times.due_short` writes it."""
    return f"due {deadline}"


def either(names: Sequence[str]) -> str:
    """ "Ana", "Ana or Ben", "Ana, Ben or Chloe"."""
    return names[0] if len(names) == 1 else f"{listed(names[:-1])} or {names[-1]}"


def first_few(names: Sequence[str], number: int = 5) -> str:
    """ "Ana, Ben and 3 more"."""
    more = len(names) - number
    return listed(names[:number]) + (f" and {more} more" if more > 0 else "")
