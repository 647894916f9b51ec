"""The company's own settings."""

from datetime import datetime
from zoneinfo import available_timezones

from webapp import audit
from webapp.models import Organisation, Person
from webapp.text import one_line

from .errors import Invalid


def change(
    organisation: Organisation, *, name: str | None, time_zone: str | None, sender: str | None, now: datetime
) -> None:
    """Changes what is not None; raises Invalid. Names are not in the record, the time zone is."""
    if name is not None:
        if not one_line(name) or len(one_line(name)) > 120:
            raise Invalid(name="A company's name has 1 to 120 characters.")
        organisation.name = one_line(name)
    if sender is not None:
        if len(one_line(sender)) > 120:
            raise Invalid(sender="The sender's name can have up to 120 characters.")
        organisation.sender = one_line(sender)
    before = organisation.time_zone
    if time_zone is not None:
        if time_zone not in available_timezones():
            raise Invalid(time_zone=f"“{one_line(time_zone)}” is not a time zone we know, like Europe/Berlin.")
        organisation.time_zone = time_zone
    if (name, time_zone, sender) != (None, None, None):
        audit.record("organisation.changed", at=now, actor=None, before={"time_zone": before},
                     after={"time_zone": organisation.time_zone})  # fmt: skip


def hide_first_steps(organisation: Organisation, *, actor: Person, now: datetime) -> None:
    """Admins are no longer led through the first steps; again changes nothing."""
    if organisation.first_steps_hidden_at is None:
        organisation.first_steps_hidden_at = now
        audit.record("organisation.changed", at=now, actor=actor.id,
                     before={"first_steps": True}, after={"first_steps": False})  # fmt: skip
