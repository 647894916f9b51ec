"""Answers that several resources share."""

from dataclasses import dataclass
from typing import Self

from webapp.queries.chains import Who

from ._types import AppName, Key, Name


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
