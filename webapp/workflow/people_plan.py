"""What a file of people would change: a pure comparison of its lines with the people and groups that there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class What(StrEnum):
    """What becomes of a line."""

    REFUSED = "refused"
    NEW = "new"
    CHANGED = "changed"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line of the file in its one form. None: leave as it is. `manager` is an address, "" for nobody; `groups` are
    name → key."""

    number: int
    email: str
    name: str
    about: str | None = None
    department: str | None = None
    manager: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    active: bool | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A person who is here. `manager` is an address, or "" ."""

    id: int
    public_id: str
    email: str
    name: str
    about: str
    department: str
    manager: str
    active: bool
    is_admin: bool
    keeper: str = ""  # the directory that keeps them


@dataclass(frozen=True, slots=True)
class KnownGroup:
    """A group in use, with the ids of its members. `limit`: it may have no more members, because it decides."""

    id: int
    name: str
    members: frozenset[int]
    limit: int | None = None
    keeper: str = ""  # the directory that keeps it


@dataclass(frozen=True, slots=True)
class Here:
    """What there is: people by address, and groups by key."""

    people: Mapping[str, Known]
    groups: Mapping[str, KnownGroup]


@dataclass(frozen=True, slots=True)
class Difference:
    """One value before and after, in words."""

    label: str
    before: str
    after: str


@dataclass(slots=True)
class PlanLine:
    """A line with what becomes of it. `joins` are keys of groups; `active` is the new state, None if it stays."""

    wanted: Wanted
    known: Known | None
    why: str = ""
    differences: list[Difference] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)
    active: bool | None = None
    sets_manager: bool = False

    @property
    def what(self) -> What:
        if self.why:
            return What.REFUSED
        if self.known is None:
            return What.NEW if self.wanted.active is not False else What.SAME
        return What.CHANGED if self.differences else What.SAME

    @property
    def is_taken(self) -> bool:
        return self.what in (What.NEW, What.CHANGED)

    @property
    def name(self) -> str:
        return self.known.name if self.known and not self.wanted.name else self.wanted.name


def plan(rows: Sequence[Wanted], here: Here) -> list[PlanLine]:
    """What becomes of each line, in the order of the file. A line that is refused changes nothing else."""
    lines = [PlanLine(one, here.people.get(one.email), one.fault) for one in rows]
    _refuse_twice(lines)
    _refuse_deactivated_admins(lines)
    _refuse_kept(lines, here)
    _refuse_managers(lines, here)
    _refuse_full_groups(lines, here)
    _refuse_managers(lines, here)  # of whoever was refused since
    for line in lines:
        if not line.why:
            _compare(line, here)
    return lines


def _refuse_twice(lines: Sequence[PlanLine]) -> None:
    first: dict[str, int] = {}
    for line in lines:
        if line.why:
            continue
        number = first.setdefault(line.wanted.email, line.wanted.number)
        if number != line.wanted.number:
            line.why = f"Line {number} has the same email address. Keep one of the two."


def _refuse_deactivated_admins(lines: Sequence[PlanLine]) -> None:
    for line in lines:
        if not line.why and line.wanted.active is False and line.known is not None and line.known.is_admin:
            line.why = f"{line.known.name} is an admin. A file deactivates no admins; an admin does that on their page."


def _refuse_kept(lines: Sequence[PlanLine], here: Here) -> None:
    """What a directory keeps is changed there: its next push would undo what a file says."""
    for line in lines:
        if line.why:
            continue
        known, wanted = line.known, line.wanted
        known_groups = [here.groups[key] for key in wanted.groups.values() if key in here.groups]
        kept = next((group for group in known_groups if group.keeper and _joins(line, group)), None)
        if known is not None and known.keeper:
            said = (wanted.name or known.name, wanted.department, wanted.manager, wanted.active)
            present = (known.name, known.department, known.manager, known.active)
            if any(one is not None and one != now for one, now in zip(said, present, strict=True)):
                line.why = (
                    f"{known.name} is kept by {known.keeper}: name, department, manager and state come from there."
                )
        if kept is not None and not line.why:
            line.why = f"{kept.name} is kept by {kept.keeper}: who is in it comes from there."


def _refuse_managers(lines: Sequence[PlanLine], here: Here) -> None:
    """Refuses lines whose manager is unknown, and one line of each circle, until none is left: a line that is refused
    may have brought the manager of another one."""
    of = {line.wanted.email: line for line in lines if not line.why}
    while True:
        refused = _unknown_managers(of, here) or _circles(of, here)
        if not refused:
            return
        for email, why in refused.items():
            of.pop(email).why = why


def _unknown_managers(of: Mapping[str, PlanLine], here: Here) -> dict[str, str]:
    found = {}
    for email, line in of.items():
        manager = line.wanted.manager
        if not manager or (line.known is not None and line.known.manager == manager):
            continue
        theirs = of.get(manager)
        if manager == email:
            found[email] = "The manager is the person themselves."
        elif manager not in here.people and (theirs is None or theirs.wanted.active is False):
            found[email] = f"The manager, {manager}, is neither here nor in a line of the file that can be taken."
        elif _is_inactive(manager, theirs, here):
            found[email] = f"The manager, {manager}, is deactivated."
    return found


def _is_inactive(manager: str, line: PlanLine | None, here: Here) -> bool:
    """Whether a manager who is here is deactivated, or will be."""
    if line is not None and line.wanted.active is not None:
        return not line.wanted.active
    return manager in here.people and not here.people[manager].active


def _circles(of: Mapping[str, PlanLine], here: Here) -> dict[str, str]:
    """One line of each circle: the last one that changes a manager."""
    above = {email: one.manager for email, one in here.people.items() if one.manager}
    above |= {email: line.wanted.manager for email, line in of.items() if line.wanted.manager is not None}
    found: dict[str, str] = {}
    done: set[str] = set()
    for start in above:
        path: dict[str, int] = {}
        at = start
        while at and at not in done and at not in path:
            path[at] = len(path)
            at = above.get(at, "")
        if at in path:
            ring = list(path)[path[at] :]
            changing = [of[one] for one in ring if one in of and _changes(of[one])]
            if changing:
                last = max(changing, key=lambda one: one.wanted.number)
                found[last.wanted.email] = _circle(last, ring, of, here)
        done |= path.keys()
    return found


def _changes(line: PlanLine) -> bool:
    return line.wanted.manager is not None and (line.known is None or line.known.manager != line.wanted.manager)


def _circle(last: PlanLine, ring: Sequence[str], of: Mapping[str, PlanLine], here: Here) -> str:
    at = ring.index(last.wanted.email)
    ordered = [*ring[at:], *ring[:at]][:4]
    names = [of[one].name if one in of else here.people[one].name for one in ordered]
    lines = [f" (line {of[one].wanted.number})" if one in of and _changes(of[one]) else "" for one in ordered]
    following = [*names[1:], names[0]] if len(ordered) == len(ring) else [*names[1:], "others"]
    parts = [f"{name} reports to {to}{line}" for name, to, line in zip(names, following, lines, strict=True)]
    return f"A circle: {', '.join(parts)}."


def _refuse_full_groups(lines: Sequence[PlanLine], here: Here) -> None:
    sizes = {key: len(group.members) for key, group in here.groups.items()}
    for line in lines:
        if line.why or (line.known is None and line.wanted.active is False):
            continue
        joins = [key for key in line.wanted.groups.values() if _joins(line, here.groups.get(key))]
        full = next(
            (group for key in joins if (group := here.groups.get(key)) and group.limit and sizes[key] >= group.limit),
            None,
        )
        if full is not None:
            line.why = f"{full.name} is full: a group that decides can have up to {full.limit} members."
            continue
        for key in joins:
            sizes[key] = sizes.get(key, 0) + 1


def _joins(line: PlanLine, group: KnownGroup | None) -> bool:
    return group is None or line.known is None or line.known.id not in group.members


def _compare(line: PlanLine, here: Here) -> None:
    wanted, known = line.wanted, line.known
    if known is None and wanted.active is False:
        return
    values = [
        ("Name", known.name if known else "", wanted.name or (known.name if known else "")),
        ("About", known.about if known else "", wanted.about),
        ("Department", known.department if known else "", wanted.department),
    ]
    for label, before, after in values:
        if after is not None and before != after and not (known is None and label == "Name"):
            line.differences.append(Difference(label, before, after))
    before = known.manager if known else ""
    if wanted.manager is not None and wanted.manager != before:
        line.sets_manager = True
        line.differences.append(Difference("Manager", _name(before, here), _name(wanted.manager, here)))
    if wanted.active is not None and known is not None and wanted.active != known.active:
        line.active = wanted.active
        words = ("active", "deactivated") if known.active else ("deactivated", "active")
        line.differences.append(Difference("Account", *words))
    line.joins = [key for key in wanted.groups.values() if _joins(line, here.groups.get(key))]
    if line.joins:
        names = [here.groups[key].name if key in here.groups else name for name, key in wanted.groups.items()
                 if key in line.joins]  # fmt: skip
        line.differences.append(Difference("Groups", "", ", ".join(names)))


def _name(email: str, here: Here) -> str:
    return here.people[email].name if email in here.people else email
