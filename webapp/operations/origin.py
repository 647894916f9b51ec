"""Where a session comes from."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Origin:
    """What a session keeps of the sign-in at a provider. `id_token`: encrypted, or "". `authenticated_at`: when the
    person signed in there, if the provider says so."""

    provider_id: int
    sid: str = ""
    id_token: str = ""
    authenticated_at: datetime | None = None
