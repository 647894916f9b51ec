"""What happens to open invitations when a secret key is taken out of use."""

from datetime import datetime

from webapp.extensions import keyring
from webapp.models import Invitation

from . import _invitations


def renew_orphaned(*, now: datetime, limit: int = 500) -> int:
    """A new round, with the present key, for open invitations whose key was removed: their link and code are dead,
    and without a new email nobody could decide from one. Returns how many were renewed."""
    return _invitations.renew([Invitation.key_id.not_in(keyring().ids)], now=now, limit=limit)
