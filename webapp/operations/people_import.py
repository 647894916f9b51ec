"""People and groups from a CSV file: what it would change, and the change itself, in the same number of statements for
each thousand lines."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from webapp import addresses, people_file
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Group, Membership, Person
from webapp.notices import NoticeKind, notice
from webapp.people_file import BadFile, Row
from webapp.queries import directory
from webapp.queries import people_file as here
from webapp.queries.columns import pad_in_list
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import one_line, search_text, sha256, sort_key
from webapp.workflow.actor import AnyActor
from webapp.workflow.people_plan import Here, KnownGroup, PlanLine, Wanted, What, plan

from . import _leaving
from ._deciding_groups import MEMBERS_LIMIT, decides
from ._reassign import reassign_open_steps
from ._sql import run, unless_taken
from .errors import Conflict, Invalid
from .reporting import DEPARTMENT_LIMIT

CHANGED = (
    "People or groups have changed since you looked at this file. Nothing was imported. Check what it would change "
    "now, then import it."
)
TEXT_LIMIT = 120
_PEOPLE = Person.metadata.tables["people"]
GROUP_NAME_LIMIT = 80


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of each line of a file. `stamp` stands for all of it: another plan has another one."""

    lines: list[PlanLine]
    ignored: list[str]
    new_groups: list[str]
    stamp: str

    def count(self, what: What) -> int:
        return sum(line.what is what for line in self.lines)

    @property
    def taken(self) -> int:
        return sum(line.is_taken for line in self.lines)

    @property
    def refused_first(self) -> list[PlanLine]:
        """As they are shown: those that need a look, then what changes, then the others; each in the file's order."""
        order = list(What)
        return sorted(self.lines, key=lambda line: (order.index(line.what), line.wanted.number))


def look(body: bytes) -> Plan:
    """What the file would change; writes nothing. Raises Invalid for a file that cannot be read."""
    try:
        read = people_file.read(body)
    except BadFile as error:
        raise Invalid(file=str(error)) from None
    wanted = [_wanted(row) for row in read.rows]
    known = Here(here.people(), _groups(wanted))
    lines = plan(wanted, known)
    created = {key: name for line in lines if line.is_taken for name, key in line.wanted.groups.items()
               if key in line.joins and key not in known.groups}  # fmt: skip
    return Plan(lines, read.ignored, sorted(created.values(), key=sort_key), _stamp(body, lines))


def _stamp(body: bytes, lines: Sequence[PlanLine]) -> str:
    facts = [
        (line.wanted.number, line.what, line.why, line.known.id if line.known else 0,
         [asdict(one) for one in line.differences])
        for line in lines
    ]  # fmt: skip
    return hashlib.sha256(body + json.dumps(facts).encode()).hexdigest()[:32]


def _wanted(row: Row) -> Wanted:
    fault, email, manager = row.fault, "", row.manager
    try:
        email = addresses.canonical(row.email) if not fault else row.email
        manager = addresses.canonical(manager) if manager and not fault else manager
    except addresses.BadAddress as error:
        fault = str(error)
    long = [
        f"{label} has {len(value):,} characters. Use {limit} or fewer."
        for label, value, limit in (
            ("The name", row.name, TEXT_LIMIT), ("About", row.about or "", TEXT_LIMIT),
            ("The department", row.department or "", DEPARTMENT_LIMIT),
            *(("The name of a group", one, GROUP_NAME_LIMIT) for one in row.groups),
        )
        if len(value) > limit
    ]  # fmt: skip
    fault = fault or (long[0] if long else "" if row.name else "The line has no name.")
    groups = {one: sort_key(one) for one in row.groups}
    return Wanted(row.number, email or one_line(row.email)[:80], row.name[:TEXT_LIMIT], row.about, row.department,
                  manager, groups, row.active, fault)  # fmt: skip


def _groups(wanted: Sequence[Wanted]) -> dict[str, KnownGroup]:
    naming: dict[str, int] = defaultdict(int)
    for one in wanted:
        for key in one.groups.values():
            naming[key] += 1
    found = {}
    for key, (id, name, members, keeper) in here.groups(naming).items():
        may_be_full = len(members) + naming[key] > MEMBERS_LIMIT
        found[key] = KnownGroup(id, name, members, MEMBERS_LIMIT if may_be_full and decides(id) else None, keeper)
    return found


def apply(body: bytes, stamp: str, *, actor: AnyActor, now: datetime) -> Plan:
    """Makes the changes that were shown. Raises Conflict when they would be others by now, and Invalid."""
    directory.lock(exclusive=True)
    wanted = look(body)
    if wanted.stamp != stamp:
        raise Conflict(CHANGED)
    taken = [line for line in wanted.lines if line.is_taken]
    if not taken:
        return wanted
    new = [line for line in taken if line.known is None]
    ids = _create(new, actor=actor, now=now)
    ids |= {line.known.id: line.known.id for line in taken if line.known is not None}
    by_email = {line.wanted.email: line.known.id for line in wanted.lines if line.known is not None}
    by_email |= {line.wanted.email: ids[-line.wanted.number] for line in new}
    _change(taken, ids, by_email, actor=actor, now=now)
    joined = _join(taken, ids, wanted.new_groups, actor=actor, now=now)
    back = [line.known.id for line in taken if line.known is not None and line.active]
    _leaving.come_back(back, actor=actor, now=now)
    _leaving.leave([line.known.id for line in taken if line.known is not None and line.active is False],
                   actor=actor, now=now)  # fmt: skip
    if joined:
        reassign_open_steps(people=list(ids.values()), groups=joined, now=now)
    outbox.post([
        notice(NoticeKind.INVITATION, "requester", now=now, person_id=ids[-line.wanted.number], round=0)
        for line in new
    ])  # fmt: skip
    return wanted


def _create(new: Sequence[PlanLine], *, actor: AnyActor, now: datetime) -> dict[int, int]:
    """Adds the people; returns minus the number of the line → id."""
    if not new:
        return {}
    rows = [
        {"email": line.wanted.email, "name": line.wanted.name, "sort_key": sort_key(line.wanted.name),
         "search_text": search_text(line.wanted.name, line.wanted.email), "created_at": now,
         "vouched_by_id": actor.responsible_id}
        for line in new
    ]  # fmt: skip
    with unless_taken(Conflict(CHANGED)):
        run(insert(_PEOPLE), rows)
    emails = pad_in_list([line.wanted.email for line in new])
    ids = {
        row.email: row.id for row in db.session.execute(select(Person.email, Person.id).where(Person.email.in_(emails)))
    }
    for line in new:
        audit.record(EventKind.PERSON_CREATED, at=now, actor=actor, person=ids[line.wanted.email],
                     email=sha256(line.wanted.email), is_admin=False)  # fmt: skip
    return {-line.wanted.number: ids[line.wanted.email] for line in new}


def _id(line: PlanLine) -> int:
    return line.known.id if line.known is not None else -line.wanted.number


_UPDATE = update(_PEOPLE).where(_PEOPLE.c.id == bindparam("of")).values(
    name=bindparam("new_name"), sort_key=bindparam("new_sort"), search_text=bindparam("new_search"),
    about=bindparam("new_about"), department=bindparam("new_department"), manager_id=bindparam("new_manager"),
)  # fmt: skip


def _change(
    lines: Sequence[PlanLine], ids: dict[int, int], by_email: dict[str, int], *, actor: AnyActor, now: datetime
) -> None:
    """Names, descriptions, departments and managers, in one statement."""
    labels = {"Name", "About", "Department", "Manager"}
    lines = [line for line in lines if any(one.label in labels for one in line.differences)]
    if not lines:
        return
    # Managers who are in no line of the file.
    named = {line.wanted.manager or "" for line in lines} | {line.known.manager for line in lines if line.known}
    missing = sorted(named - by_email.keys() - {""})
    if missing:
        rows = db.session.execute(select(Person.email, Person.id).where(Person.email.in_(missing)))
        by_email |= {row.email: row.id for row in rows}
    values = []
    for line in lines:
        wanted, known = line.wanted, line.known
        name = wanted.name or (known.name if known else "")
        before = by_email.get(known.manager) if known else None
        after = (by_email[wanted.manager] if wanted.manager else None) if line.sets_manager else before
        changes: dict[str, tuple[Any, Any]] = {
            one.label.lower(): (sha256(one.before), sha256(one.after))
            for one in line.differences if one.label in labels - {"Manager"}
        }  # fmt: skip
        if line.sets_manager:
            changes["manager"] = (_manager(before), _manager(after))
        audit.record(
            EventKind.PERSON_CHANGED, at=now, actor=actor, person=ids[_id(line)],
            before={key: one for key, (one, _) in changes.items()},
            after={key: one for key, (_, one) in changes.items()},
        )  # fmt: skip
        about = wanted.about if wanted.about is not None else known.about if known else ""
        department = wanted.department if wanted.department is not None else known.department if known else ""
        values.append({
            "of": ids[_id(line)], "new_name": name, "new_sort": sort_key(name), "new_about": about,
            "new_search": search_text(name, wanted.email), "new_department": department, "new_manager": after,
        })  # fmt: skip
    run(_UPDATE, values)
    db.session.expire_all()


def _manager(id: int | None) -> dict[str, int] | None:
    return {"person": id} if id is not None else None


def _join(
    lines: Sequence[PlanLine], ids: dict[int, int], created: Sequence[str], *, actor: AnyActor, now: datetime
) -> Collection[int]:
    """Makes the new groups and adds the members; returns the ids of the groups that got some."""
    if created:
        rows = [{"name": one, "sort_key": sort_key(one), "search_text": search_text(one), "created_at": now}
                for one in created]  # fmt: skip
        with unless_taken(Conflict(CHANGED)):
            run(insert(Group.metadata.tables["groups"]), rows)
    keys = {key for line in lines for key in line.joins}
    found = {key: id for key, (id, *_) in here.groups(keys).items()} if keys else {}
    for name in created:
        audit.record(EventKind.GROUP_CREATED, at=now, actor=actor, group=found[sort_key(name)])
    pairs = [(found[key], ids[_id(line)]) for line in lines for key in line.joins]
    if pairs:
        run(
            insert(Membership.metadata.tables["memberships"]),
            [{"group_id": group, "person_id": person, "added_by_id": actor.responsible_id} for group, person in pairs],
        )
    for group_id, person in pairs:
        audit.record(EventKind.GROUP_MEMBER_ADDED, at=now, actor=actor, person=person, group=group_id)
    return {group_id for group_id, _ in pairs}
