"""The words for states and verdicts, the same in code, database, screens and mails."""

from enum import StrEnum


class RequestState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self is not RequestState.PENDING


class StepState(StrEnum):
    WAITING = "waiting"
    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    APPROVED = "approved"
    DENIED = "denied"


class Channel(StrEnum):
    """How a decision reached us; recorded with it."""

    BROWSER = "browser"
    CODE = "code"
    API = "api"
    ADMIN = "admin"
    DIRECTORY = "directory"  # never decides


class SignInMethod(StrEnum):
    """How a person signed in; stored with the session."""

    PASSWORD = "password"  # nosec
    AUTHENTICATOR = "authenticator"
    RECOVERY_CODE = "recovery_code"
    PASSKEY = "passkey"


class Assurance(StrEnum):
    """What a decision made from an emailed link needs."""

    CODE = "code"
    SIGN_IN = "sign_in"


class Tier(StrEnum):
    """Who may decide a step: its approver, or the fallback that took the approver's place."""

    APPROVER = "approver"
    OWNER = "owner"
    ADMINS = "admins"
    NOBODY = "nobody"


class Visibility(StrEnum):
    """What a step's approver, or the requester, may do with an entitlement."""

    HIDDEN = "hidden"
    READ = "read"
    WRITE = "write"
