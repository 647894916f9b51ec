"""Who acts: a person in the browser, a person by a token, a directory by its token, or Countersign itself."""

from dataclasses import dataclass
from typing import Protocol, Self

from .errors import NotYourTurn
from .states import Channel


class AnyActor(Protocol):
    """What an operation and the audit record read of who acts. `models.Person` satisfies it: somebody who is signed in
    acts in the browser, without a token."""

    @property
    def id(self) -> int | None:
        """The person's, or None where no person acts."""

    @property
    def is_admin(self) -> bool: ...

    @property
    def vouched_by_id(self) -> int | None:
        """The admin who last had a link to set the password mailed."""

    @property
    def channel(self) -> Channel | None:
        """How what they do reaches us; None for Countersign itself."""

    @property
    def token(self) -> int | None:
        """The id of the token that acts."""

    @property
    def responsible_id(self) -> int | None:
        """The person who is responsible for what is done: who acts, or, where a service acts, who made its token."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts in another way than a person in the browser. The fields are those of `AnyActor`, and who made
    the token of a service."""

    id: int | None
    is_admin: bool = False
    vouched_by_id: int | None = None
    channel: Channel | None = None
    token: int | None = None
    made_by_id: int | None = None

    @property
    def responsible_id(self) -> int | None:
        return self.id if self.id is not None else self.made_by_id

    @classmethod
    def of(cls, person: AnyActor, *, channel: Channel, token: int | None = None) -> Self:
        """The person with their rights, by this channel and token."""
        return cls(person.id, person.is_admin, person.vouched_by_id, channel, token)


# Countersign itself: the clock, the worker, the command line.
SYSTEM = Actor(None)


def require_person(actor: AnyActor) -> int:
    """The id of the person who acts. Raises NotYourTurn where none does."""
    if actor.id is None:
        raise NotYourTurn("Only a person can do that.")
    return actor.id


def require_responsible(actor: AnyActor) -> int:
    """The id of the person who is responsible: who acts, or who made the service's token. Raises NotYourTurn where
    nobody is."""
    if actor.responsible_id is None:
        raise NotYourTurn("A person has to answer for this.")
    return actor.responsible_id
