"""What a token was made for. A token may do what its scopes name and its person may do now."""

from enum import StrEnum


class Scope(StrEnum):
    """Stored with each token. A new one is a member here and a row in SCOPE_TEXTS."""

    REQUESTS_READ = "requests:read"
    REQUESTS_WRITE = "requests:write"
    DECIDE = "decide"
    APPS_READ = "apps:read"
    APPS_ADMIN = "apps:admin"
    GRANTS_READ = "grants:read"
    GRANTS_WRITE = "grants:write"
    PEOPLE_READ = "people:read"
    PEOPLE_ADMIN = "people:admin"
    GROUPS_READ = "groups:read"
    GROUPS_ADMIN = "groups:admin"
    AUDIT_READ = "audit:read"
    MAIL_ADMIN = "mail:admin"
    WEBHOOKS_ADMIN = "webhooks:admin"
    SETTINGS_ADMIN = "settings:admin"

    @property
    def is_for_services(self) -> bool:
        """Whether a service token may have it: no program decides without a person."""
        return self is not Scope.DECIDE

    @property
    def is_for_admins(self) -> bool:
        """Whether it is of use to admins only."""
        return self in _FOR_ADMINS


_FOR_ADMINS = (
    Scope.PEOPLE_READ,
    Scope.PEOPLE_ADMIN,
    Scope.GROUPS_READ,
    Scope.GROUPS_ADMIN,
    Scope.AUDIT_READ,
    Scope.MAIL_ADMIN,
    Scope.WEBHOOKS_ADMIN,
    Scope.SETTINGS_ADMIN,
)

# What each allows, in words for the people who choose.
SCOPE_TEXTS = {
    Scope.REQUESTS_READ: "See requests: yours, those that you decide, and those for apps that you own",
    Scope.REQUESTS_WRITE: "Request apps, comment, remind and cancel",
    Scope.DECIDE: "Approve and deny requests in your name; reassign, extend and cancel them, if you are an admin",
    Scope.APPS_READ: "See apps, their fields and their rules",
    Scope.APPS_ADMIN: "Change apps, their fields and their rules",
    Scope.GRANTS_READ: "See who has which app",
    Scope.GRANTS_WRITE: "Add apps, give access and remove it",
    Scope.PEOPLE_READ: "See people",
    Scope.PEOPLE_ADMIN: "Add, change and deactivate people, and make them admins",
    Scope.GROUPS_READ: "See groups and their members",
    Scope.GROUPS_ADMIN: "Change groups and their members",
    Scope.AUDIT_READ: "Read and verify the audit log",
    Scope.MAIL_ADMIN: "See the email log and send emails again",
    Scope.WEBHOOKS_ADMIN: "Change webhooks and chat channels",
    Scope.SETTINGS_ADMIN: "See and change the organisation settings",
}


def parse_scopes(text: str) -> frozenset[Scope]:
    """The scopes of a stored text, which are parted by spaces. A scope of a newer version is left out."""
    known = {one.value for one in Scope}
    return frozenset(Scope(one) for one in text.split() if one in known)


def dump_scopes(scopes: frozenset[Scope]) -> str:
    """For storing: parted by spaces, in the order of the enum."""
    return " ".join(one.value for one in Scope if one in scopes)
