"""Providers of single sign-on: added and set up by admins; and who may still use a password."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select, update

from webapp import networks
from webapp.encryption import encrypt
from webapp.extensions import db
from webapp.models import Group, Identity, Organisation, Person, Provider, ProviderGroup
from webapp.queries import directory
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import one_line, sha256
from webapp.workflow.actor import AnyActor

from ._sql import changed, unless_taken
from .errors import Conflict, Invalid
from .people import address

COUNT_LIMIT = 20
ROWS_LIMIT = 200
DOMAINS_LIMIT = 50
# What is recorded as it is; of the others there are hashes.
_SETTINGS = ("issuer", "client_id", "secret_ends_on", "scopes", "acr_values", "in_use", "creates_people",
             "links_by_email", "domains", "groups_claim")  # fmt: skip


def create(*, name: str, issuer: str, client_id: str, client_secret: str, actor: AnyActor, now: datetime) -> Provider:
    """A new provider, which is off until it is switched on. Raises Invalid."""
    if (db.session.scalar(select(func.count()).select_from(Provider)) or 0) >= COUNT_LIMIT:
        raise Invalid(name=f"There are {COUNT_LIMIT} providers. Change one of them instead.")
    last = db.session.scalar(select(func.max(Provider.place))) or 0
    row = Provider(place=last + 1, created_at=now, issuer="", client_id="", name="")
    _refuse_taken(row, one_line(name), issuer.strip())
    with unless_taken(Invalid(name="Somebody else added it at the same moment. Check the list.")):
        _set_connection(row, name=name, issuer=issuer, client_id=client_id)
        _set_secret(row, client_secret, None)
        db.session.add(row)
    audit.record(EventKind.PROVIDER_CREATED, at=now, actor=actor, provider=row.id, before=None, after=_plain(row))
    return row


def change(
    provider: Provider, *, actor: AnyActor, now: datetime, name: str | None = None, issuer: str | None = None,
    client_id: str | None = None, client_secret: str | None = None, secret_ends_on: date | None = None,
    scopes: str | None = None, acr_values: str | None = None, creates_people: bool | None = None,
    links_by_email: bool | None = None, domains: str | None = None, default_group: Group | None = None,
    groups_claim: str | None = None, without_group: bool = False,
) -> None:  # fmt: skip
    """Changes what is not None; a new `client_secret` comes with the day on which it ends, or none. Raises Invalid."""
    before = _plain(provider)
    if not (name is None and issuer is None and client_id is None):
        wanted = {"name": provider.name if name is None else name, "issuer": issuer or provider.issuer}
        _refuse_taken(provider, one_line(wanted["name"]), wanted["issuer"].strip())
        with unless_taken(Invalid(name="There is a provider with this name or issuer already.")):
            _set_connection(provider, **wanted, client_id=provider.client_id if client_id is None else client_id)
    if client_secret is not None:
        _set_secret(provider, client_secret, secret_ends_on)
    if scopes is not None:
        provider.scopes = _words("scopes", scopes, 300) or "openid"
    if acr_values is not None:
        provider.acr_values = _words("acr_values", acr_values, 300)
    if groups_claim is not None:
        provider.groups_claim = _words("groups_claim", groups_claim, 80)
    if domains is not None:
        provider.domains = " ".join(_domains(domains))
    if creates_people is not None:
        provider.creates_people = creates_people
    if links_by_email is not None:
        provider.links_by_email = links_by_email
    if default_group is not None or without_group:
        if default_group is not None and default_group.archived_at is not None:
            raise Invalid(default_group=f"{default_group.name} is archived. Choose another group.")
        provider.default_group_id = default_group.id if default_group else None
    _record(provider, before, actor=actor, now=now)


def switch(provider: Provider, *, on: bool, actor: AnyActor, now: datetime) -> None:
    """Shows its button, or no longer. Raises Conflict where nobody could sign in any more."""
    before = _plain(provider)
    directory.lock(exclusive=True)
    others = select(Provider.id).where(Provider.in_use, Provider.id != provider.id).limit(1)
    if not on and not _organisation().passwords_for_all and db.session.scalar(others) is None:
        raise Conflict(
            f"{provider.name} is the only provider, and only emergency admins may use a password. Let everybody use "
            "one first."
        )
    provider.in_use = on
    _record(provider, before, actor=actor, now=now)


def add_group(provider: Provider, group: Group, *, value: str, actor: AnyActor, now: datetime) -> None:
    """From the next sign-in on, who has this value is in the group, and who has it not is out. Raises Invalid."""
    value = one_line(value)
    if not value or len(value) > 200:
        raise Invalid(value="Enter the value as your provider sends it, of up to 200 characters.")
    if group.archived_at is not None:
        raise Invalid(group=f"{group.name} is archived. Choose another group.")
    rows = select(func.count()).where(ProviderGroup.provider_id == provider.id)
    if (db.session.scalar(rows) or 0) >= ROWS_LIMIT:
        raise Invalid(value=f"There are {ROWS_LIMIT} rows. Remove one first.")
    with unless_taken(Invalid(value=f"{value} has a row already.")):
        db.session.add(ProviderGroup(provider_id=provider.id, value=value, group_id=group.id))
    audit.record(EventKind.PROVIDER_GROUP_ADDED, at=now, actor=actor, provider=provider.id, group=group.id,
                 claim=sha256(value))  # fmt: skip


def remove_group(provider: Provider, row: str, *, actor: AnyActor, now: datetime) -> None:
    """Members stay; the provider changes nothing in the group any more. Raises Conflict."""
    found = db.session.scalar(
        select(ProviderGroup).where(ProviderGroup.provider_id == provider.id, ProviderGroup.public_id == row)
    )
    if found is None:
        raise Conflict("This row was removed already.")
    audit.record(EventKind.PROVIDER_GROUP_REMOVED, at=now, actor=actor, provider=provider.id, group=found.group_id,
                 claim=sha256(found.value))  # fmt: skip
    db.session.delete(found)


def change_passwords(*, for_all: bool, emergency: Collection[str], actor: AnyActor, now: datetime) -> None:
    """Who may sign in with a password: everybody, or these admins (public ids), for the day on which no provider
    answers. Raises Invalid."""
    directory.lock(exclusive=True)
    organisation = _organisation()
    admins = db.session.scalars(
        select(Person).where(Person.is_admin, Person.active, Person.password_hash.is_not(None))
        .order_by(Person.id)
    ).all()  # fmt: skip
    chosen = [one for one in admins if one.public_id in emergency]
    if not for_all:
        if not chosen:
            raise Invalid(passwords="Choose at least one emergency admin: an admin who has a password.")
        if db.session.scalar(select(Provider.id).where(Provider.in_use).limit(1)) is None:
            raise Invalid(passwords="Switch a provider on first, so that everybody else can sign in.")
    before = {"passwords_for_all": organisation.passwords_for_all, "emergency": _emergency()}
    ids = [one.id for one in chosen]
    changed(update(Person).where(Person.is_emergency_admin, Person.id.not_in(ids)).values(is_emergency_admin=False))
    changed(update(Person).where(Person.id.in_(ids)).values(is_emergency_admin=True))
    organisation.passwords_for_all = for_all
    after = {"passwords_for_all": for_all, "emergency": _emergency()}
    differs = [key for key in after if before[key] != after[key]]
    if differs:
        before, after = ({key: side[key] for key in differs} for side in (before, after))
        audit.record(EventKind.ORGANISATION_CHANGED, at=now, actor=actor, before=before, after=after)


def _emergency() -> list[int]:
    return sorted(db.session.scalars(select(Person.id).where(Person.is_emergency_admin)))


def _organisation() -> Organisation:
    return db.session.scalars(select(Organisation).with_for_update()).one()


def _refuse_taken(provider: Provider, name: str, issuer: str) -> None:
    """Raises Invalid for a name or issuer of another one, and for another issuer once people are linked."""
    for other in db.session.scalars(select(Provider).where(Provider.id != (provider.id or 0))):
        if other.name == name:
            raise Invalid(name=f"There is a provider called {name} already. Use other words.")
        if other.issuer == issuer:
            raise Invalid(issuer=f"{other.name} has this issuer already. Change that one.")
    linked = select(Identity.id).where(Identity.provider_id == (provider.id or 0)).limit(1)
    if provider.id and provider.issuer != issuer and db.session.scalar(linked) is not None:
        # Another issuer may give the same subject to somebody else.
        raise Invalid(issuer="People are linked through this issuer, so it stays. Add another provider instead.")


def _set_connection(provider: Provider, *, name: str, issuer: str, client_id: str) -> None:
    name, issuer, client_id = one_line(name), issuer.strip(), client_id.strip()
    if not name or len(name) > 60:
        raise Invalid(name="Enter the words for the button, up to 60 characters.")
    if not client_id or len(client_id) > 255:
        raise Invalid(client_id="Enter the client ID that your provider shows, up to 255 characters.")
    if fault := _fault_of_issuer(issuer):
        raise Invalid(issuer=fault)
    provider.name, provider.issuer, provider.client_id = name, issuer, client_id


def _fault_of_issuer(issuer: str) -> str:
    example = "Enter the issuer as your provider writes it, for example https://login.example.com/realms/company."
    if not issuer or issuer.endswith("/.well-known/openid-configuration"):
        return f"{example} Leave out /.well-known/openid-configuration."
    fault = networks.fault_of(issuer)
    if not fault and urlsplit(issuer).query:
        return "Leave out the part after the question mark."
    return fault


def _set_secret(provider: Provider, secret: str, ends_on: date | None) -> None:
    secret = secret.strip()
    if len(secret) > 1000:
        raise Invalid(client_secret="A client secret has up to 1,000 characters.")  # nosec
    provider.client_secret = encrypt(secret) if secret else ""
    provider.secret_ending = secret[-4:] if len(secret) >= 16 else ""
    provider.secret_ends_on = ends_on


def _words(field: str, given: str, limit: int) -> str:
    words = " ".join(given.split())
    if len(words) > limit:
        raise Invalid(**{field: f"Use {limit} characters or fewer. You entered {len(words):,}."})
    return words


def _domains(given: str) -> list[str]:
    typed = [one.removeprefix("@") for one in given.replace(",", " ").replace(";", " ").split()]
    if len(typed) > DOMAINS_LIMIT:
        raise Invalid(domains=f"Enter {DOMAINS_LIMIT} domains or fewer. You entered {len(typed)}.")
    found = []
    for one in typed:
        try:
            found.append(address(f"name@{one}").rpartition("@")[2])
        except Invalid:
            raise Invalid(domains=f"“{one[:80]}” is not a domain. Enter domains like example.com.") from None
    return list(dict.fromkeys(found))


def _record(provider: Provider, before: dict[str, Any], *, actor: AnyActor, now: datetime) -> None:
    after = _plain(provider)
    differs = [key for key in after if before[key] != after[key]]
    if differs:
        db.session.flush()
        before, after = ({key: side[key] for key in differs} for side in (before, after))
        audit.record(EventKind.PROVIDER_CHANGED, at=now, actor=actor, provider=provider.id, before=before, after=after)


def _plain(provider: Provider) -> dict[str, Any]:
    plain = {key: getattr(provider, key) for key in _SETTINGS}
    ends = plain["secret_ends_on"]
    return plain | {
        "name": sha256(provider.name),
        "secret_ends_on": ends.isoformat() if ends else "",
        # Encrypted, so nobody can guess it from the hash; it differs whenever a secret was entered.
        "client_secret": sha256(provider.client_secret) if provider.client_secret else "",
        "default_group": {"person": None, "group": provider.default_group_id} if provider.default_group_id else "",
    }
