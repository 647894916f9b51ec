"""The company's own settings."""

import hashlib
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from webapp.models import Organisation
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import one_line, sha256
from webapp.workflow.actor import SYSTEM, AnyActor

from .errors import Invalid
from .people import address

DOMAINS_LIMIT = 50
# How many days a person's API token may last, at most: what an admin can choose.
TOKEN_DAYS = (30, 90, 365)


def change(
    organisation: Organisation, *, name: str | None = None, time_zone: str | None = None, sender: str | None = None,
    outcome_domains: str | None = None, tokens_allowed: bool | None = None, token_days: int | None = None,
    tokens_decide_signed_in: bool | None = None, second_step_for_admins: bool | None = None,
    actor: AnyActor = SYSTEM, now: datetime,
) -> None:  # fmt: skip
    """Changes what is not None; raises Invalid. The record has hashes of names, and the other settings as they are.

    `outcome_domains`: as typed, parted by commas or spaces. `token_days`: one of TOKEN_DAYS, for tokens made from now
    on. Without `tokens_allowed` those that people have are refused, and kept.
    """
    before = _plain(organisation)
    if name is not None:
        if not one_line(name) or len(one_line(name)) > 120:
            raise Invalid(name="A company's name has 1 to 120 characters.")
        organisation.name = one_line(name)
    if sender is not None:
        if len(one_line(sender)) > 120:
            raise Invalid(sender="The sender's name can have up to 120 characters.")
        organisation.sender = one_line(sender)
    if outcome_domains is not None:
        organisation.outcome_domains = " ".join(_domains(outcome_domains))
    if time_zone is not None:
        if time_zone not in available_timezones():
            raise Invalid(time_zone=f"“{one_line(time_zone)}” is not a known time zone. Example: Europe/Berlin.")
        organisation.time_zone = time_zone
    if token_days is not None:
        if token_days not in TOKEN_DAYS:
            raise Invalid(token_days=f"Choose {TOKEN_DAYS[0]}, {TOKEN_DAYS[1]} or {TOKEN_DAYS[2]} days.")
        organisation.token_days = token_days
    if tokens_allowed is not None:
        organisation.tokens_allowed = tokens_allowed
    if tokens_decide_signed_in is not None:
        organisation.tokens_decide_signed_in = tokens_decide_signed_in
    if second_step_for_admins is not None:
        organisation.second_step_for_admins = second_step_for_admins
    _record(before, _plain(organisation), actor=actor, now=now)


def change_logo(organisation: Organisation, logo: bytes | None, *, actor: AnyActor, now: datetime) -> None:
    """A picture that was made by `pictures.square`; None for none."""
    before = _plain(organisation)
    organisation.logo, organisation.logo_hash = logo, hashlib.sha256(logo).hexdigest() if logo else ""
    _record(before, _plain(organisation), actor=actor, now=now)


def _record(before: dict[str, Any], after: dict[str, Any], *, actor: AnyActor, now: datetime) -> None:
    changed = [key for key in before if before[key] != after[key]]
    if changed:
        before, after = ({key: side[key] for key in changed} for side in (before, after))
        audit.record(EventKind.ORGANISATION_CHANGED, at=now, actor=actor, before=before, after=after)


def _plain(organisation: Organisation) -> dict[str, Any]:
    return {
        "name": sha256(organisation.name),
        "sender": sha256(organisation.sender) if organisation.sender else "",
        "time_zone": organisation.time_zone,
        "outcome_domains": organisation.outcome_domains.split(),
        "logo": organisation.logo_hash,
        "tokens_allowed": organisation.tokens_allowed,
        "token_days": organisation.token_days,
        "second_step_for_admins": organisation.second_step_for_admins,
        "tokens_decide_signed_in": organisation.tokens_decide_signed_in,
    }


def _domains(given: str) -> list[str]:
    """Each once, in the form in which addresses are stored. Raises Invalid."""
    typed = [one.removeprefix("@") for one in given.replace(",", " ").replace(";", " ").split()]
    if len(typed) > DOMAINS_LIMIT:
        raise Invalid(outcome_domains=f"Enter {DOMAINS_LIMIT} domains or fewer. You entered {len(typed)}.")
    found = []
    for one in typed:
        try:
            found.append(address(f"name@{one}").rpartition("@")[2])
        except Invalid:
            raise Invalid(
                outcome_domains=f"“{one[:80]}” is not a domain. Enter domains like example.com, parted by commas."
            ) from None
    return list(dict.fromkeys(found))


def hide_first_steps(organisation: Organisation, *, actor: AnyActor, now: datetime) -> None:
    """Admins are no longer led through the first steps. Calling it again changes nothing."""
    if organisation.first_steps_hidden_at is None:
        organisation.first_steps_hidden_at = now
        audit.record(EventKind.ORGANISATION_CHANGED, at=now, actor=actor,
                     before={"first_steps": True}, after={"first_steps": False})  # fmt: skip
