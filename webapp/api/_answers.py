"""Answers that several resources share."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field

from webapp.queries.chains import Who
from webapp.queries.principals import Principal
from webapp.text import reference

from ._types import AppName, Body, GivenKey, GroupName, Key, Name, Word, one_of


@dataclass(frozen=True, slots=True)
class PersonRef:
    """A person, by id and name."""

    id: Key
    name: Name

    @classmethod
    def of(cls, who: Who) -> Self:
        return cls(who.public_id, str(who.name))


@dataclass(frozen=True, slots=True)
class AppRef:
    """An app, by id and name."""

    id: Key
    name: AppName


@dataclass(frozen=True, slots=True)
class RequestRef:
    """A request, by id and reference."""

    id: Key
    reference: Annotated[str, Field(examples=["R-7K3F9Q"])]

    @classmethod
    def of(cls, public_id: str) -> Self:
        return cls(public_id, reference(public_id))


@dataclass(frozen=True, slots=True)
class GroupRef:
    """A group, by id and name."""

    id: Key
    name: GroupName


@dataclass(frozen=True, slots=True)
class ApproverRef:
    """A person or a group that approves or owns."""

    kind: one_of(("person", "group"))  # type: ignore[valid-type]
    id: Key
    name: Name

    @classmethod
    def of(cls, one: Principal) -> Self:
        return cls(one.kind, one.public_id, str(one.name))


class GivenApprover(Body):
    """A person or a group that approves or owns."""

    kind: Literal["person", "group"]
    id: GivenKey
    name: Annotated[Word | None, Field(description="Not read: what was read can be sent back.")] = None

    @property
    def value(self) -> str:
        """As forms send it."""
        return f"{self.kind}:{self.id}"
