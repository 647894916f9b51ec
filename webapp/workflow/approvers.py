"""Who may decide a step: its approver, else the app's owner, else the admins; never the requester."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import NobodyCanDecide
from .policy import Approver
from .states import Tier


@dataclass(frozen=True, slots=True)
class Directory:
    """The people who are active now, as far as one question needs them."""

    active: frozenset[int] = frozenset()
    members: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    admins: tuple[int, ...] = ()

    def of(self, approver: Approver | None) -> tuple[int, ...]:
        """The active people behind a person or a group."""
        if approver is None:
            return ()
        if approver.person is not None:
            return (approver.person,) if approver.person in self.active else ()
        return self.members.get(approver.group or 0, ())


@dataclass(frozen=True, slots=True)
class Deciders:
    """The people who may decide a step now, and why it is them."""

    tier: Tier
    people: tuple[int, ...]


def who_decides(
    approver: Approver, *, owner: Approver | None, directory: Directory, without: frozenset[int]
) -> Deciders:
    """The first of approver, owner and admins with anybody left once `without` (the requester) is out."""
    for tier, people in (
        (Tier.APPROVER, directory.of(approver)),
        (Tier.OWNER, directory.of(owner)),
        (Tier.ADMINS, directory.admins),
    ):
        left = tuple(person for person in people if person not in without)
        if left:
            return Deciders(tier, left)
    return Deciders(Tier.NOBODY, ())


def require_deciders(
    approvers: tuple[Approver, ...], *, owner: Approver | None, directory: Directory, without: frozenset[int]
) -> tuple[Deciders, ...]:
    """`who_decides` for each step; raises NobodyCanDecide where a step has nobody."""
    found = tuple(who_decides(approver, owner=owner, directory=directory, without=without) for approver in approvers)
    if not found or any(deciders.tier is Tier.NOBODY for deciders in found):
        raise NobodyCanDecide(
            "This app has no approver who can decide your request. You cannot approve your own request, and no "
            "owner or admin is available. Ask an admin to set another approver."
        )
    return found
