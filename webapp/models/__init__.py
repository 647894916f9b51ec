"""Rows, one file per aggregate."""

from .apps import App, Audience, EntitlementField, Icon, PolicyRevision
from .base import Base, UTCDateTime, db_now
from .directories import Directory, DirectoryEntry, DirectoryPush
from .endpoints import Delivery, DeliveryTry, Endpoint, EndpointSecret
from .events import Event, EventHead
from .factors import Authenticator, Passkey, RecoveryCode, SignInState
from .grants import LIVE_GRANT, Grant
from .identities import Identity, Provider, ProviderGroup
from .notices import MailAttempt, MailStop, Notice
from .people import Group, Heartbeat, Membership, Organisation, Person, PersonSession
from .requests import AccessRequest, Comment, Decision, Invitation, Step
from .tokens import ApiReplay, ApiToken, DeviceCode

__all__ = [
    "LIVE_GRANT",
    "AccessRequest",
    "ApiReplay",
    "ApiToken",
    "App",
    "Audience",
    "Authenticator",
    "Base",
    "Comment",
    "Decision",
    "Delivery",
    "DeliveryTry",
    "DeviceCode",
    "Directory",
    "DirectoryEntry",
    "DirectoryPush",
    "Endpoint",
    "EndpointSecret",
    "EntitlementField",
    "Event",
    "EventHead",
    "Grant",
    "Group",
    "Heartbeat",
    "Icon",
    "Identity",
    "Invitation",
    "MailAttempt",
    "MailStop",
    "Membership",
    "Notice",
    "Organisation",
    "Passkey",
    "Person",
    "PersonSession",
    "PolicyRevision",
    "Provider",
    "ProviderGroup",
    "RecoveryCode",
    "SignInState",
    "Step",
    "UTCDateTime",
    "db_now",
]
