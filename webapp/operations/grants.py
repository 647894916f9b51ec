"""Access: added by people themselves, given by an approval or by an owner or admin, and removed."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update

from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import LIVE_GRANT, App, Grant, Person, PolicyRevision
from webapp.models.requests import dump_values
from webapp.notices import NoticeKind, notice
from webapp.queries import directory, self_opened
from webapp.queries.cases import Case
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import clean, sha256
from webapp.workflow.actor import AnyActor, require_person, require_responsible
from webapp.workflow.entitlements import Given, SetValue, fill
from webapp.workflow.policy import Approver, Policy

from . import _eligibility, _repeat_limits, _vouched
from ._sql import changed, run_if_free, unless_taken
from ._values import cleaned, for_the_record, taken
from .errors import Conflict, Invalid

REASON_LIMIT = 500


def add_directly(app: App, revision: PolicyRevision, *, actor: AnyActor, now: datetime) -> Grant:
    """Gives the person who acts an app that needs no approval; raises Conflict when they have it, the rule has changed,
    or it was they who opened the app to themselves and somebody else could give it to them."""
    person_id = require_person(actor)
    policy = revision.snapshot()
    if policy.approval_required:
        raise Conflict(f"{app.name} now needs approval. Select Request instead.")
    values = policy.defaults()
    missing = policy.missing(values)
    if missing:  # a rule from before such ones were refused
        raise Conflict(
            f"{app.name} cannot be added: the field {missing[0].name} has no default. Ask an admin to set one."
        )
    directory.lock()
    eligibility = _eligibility.check_request(app, revision, person_id, now=now)
    own = self_opened.find(app, revision, person_id) if eligibility.may_have_opened else None
    if own is not None and not own.is_alone:
        raise Conflict(own.refusal)
    _repeat_limits.check_grant(app, eligibility.lately, now=now)
    grant = Grant(app_id=app.id, person_id=person_id, created_at=now, state="active")
    grant.values = values
    with unless_taken(Conflict(f"You already have {app.name}.")):
        db.session.add(grant)
    audit.record(EventKind.GRANT_ADDED, at=now, actor=actor, app=app.id, person=person_id, before=None,
                 after=for_the_record(policy, grant.values), **({"alone": True} if own else {}))  # fmt: skip
    outbox.post([notice(NoticeKind.APP_ADDED, "requester", now=now, person_id=person_id, grant_id=grant.id)])
    return grant


def grant_from_request(case: Case, values: dict[str, SetValue], *, actor: AnyActor, now: datetime) -> None:
    """The person has the app now; if a grant appeared meanwhile, its entitlements are brought up to date."""
    person, app = case.request.for_person_id, case.app.id
    existing = db.session.scalars(
        select(Grant)
        .where(Grant.app_id == app, Grant.person_id == person, Grant.state.in_(LIVE_GRANT))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if existing is None:
        given = run_if_free(Grant.metadata.tables["grants"], app_id=app, person_id=person, request_id=case.request.id,
                            created_at=now, state="active", values_json=dump_values(values))  # fmt: skip
        if not given:
            raise Conflict("The app was added at the same time. Check the request and decide again.")
        kind, before = EventKind.GRANT_ADDED, None
    else:
        before = for_the_record(case.policy, existing.values)
        existing.values = values
        kind = EventKind.GRANT_UPDATED
    audit.record(kind, at=now, actor=actor, request=case.request.id, app=app, person=person,
                 before=before, after=for_the_record(case.policy, values))  # fmt: skip


def give(
    app: App, revision: PolicyRevision, *, person: Person, actor: AnyActor, given: Given, reason: str, now: datetime
) -> Grant:
    """Access without a request. The person is told, and so are the owners and whoever would have approved it.

    Raises Invalid or BadValues for input, and Conflict when the app or its rules have changed.
    """
    actor_id = require_responsible(actor)
    if person.id == actor_id:
        raise Invalid(person="You cannot grant yourself access. Request the app, or ask another owner or an admin.")
    policy = revision.snapshot()
    values = policy.defaults()
    sheet = policy.sheet_for_grant(values)
    values = taken(sheet, values, fill(sheet.fields, cleaned(given), by=actor_id, at=now.isoformat(timespec="seconds")))
    reason = _reason(reason, "Enter a reason. The person and the owner of the app get it by email.")
    directory.lock()
    owner = _eligibility.check_grant(app, revision, person, now=now)
    _repeat_limits.check_grant(app, _repeat_limits.lately(app, person, now=now), now=now)
    grant = Grant(app_id=app.id, person_id=person.id, created_at=now, state="active", given_by_id=actor_id,
                  given_reason=reason)  # fmt: skip
    grant.values = values
    with unless_taken(Invalid(person=f"{person.name} already has access to {app.name}.")):
        db.session.add(grant)
    audit.record(EventKind.GRANT_ADDED, at=now, actor=actor, app=app.id, person=person.id, grant=grant.id,
                 reason=sha256(reason), before=None, after=for_the_record(policy, values),
                 **({"vouched": True} if actor.vouched_by_id == person.id else {}))  # fmt: skip
    roles = dict.fromkeys(sorted(_concerned(policy, owner) - {person.id, actor_id}), "other")
    roles[person.id] = "requester"
    # Whose sign-in link the person had sent, may be the person themselves: the other admins look at it.
    admins = _vouched.other_admins({person.id, actor_id}) if actor.vouched_by_id == person.id else []
    outbox.post(
        [notice(NoticeKind.GRANT_ADDED, role, now=now, person_id=one, grant_id=grant.id) for one, role in roles.items()]
        + [
            notice(
                NoticeKind.GRANT_ADDED, "other", now=now, person_id=one, grant_id=grant.id, data_json='{"admin": true}'
            )
            for one in admins
            if one not in roles
        ]
    )
    return grant


def _concerned(policy: Policy, owner: Approver | None) -> frozenset[int]:
    """The owners, and those who would have been asked to approve."""
    steps = [step.approver for step in policy.steps] if policy.approval_required else []
    wanted = [one for one in (owner, *steps) if one is not None]
    return directory.look_up(wanted, admins=False).directory.active if wanted else frozenset()


def remove(grant: Grant, *, actor: AnyActor, reason: str, now: datetime) -> None:
    """Ends one person's access to one app; they and the owners of the app are told why. It can be requested again.

    Raises Invalid without a reason, and Conflict when it was removed before.
    """
    reason = _reason(reason, "Enter a reason. The person and the app owner get it by email.")
    directory.lock()
    if changed(_live([Grant.id == grant.id]).values(_removed(actor, reason, now))) != 1:
        raise Conflict(_gone(grant))
    _record_removed([grant], actor=actor, reason=reason, now=now)
    _tell(grant.person_id, [grant], actor=actor, now=now)


def remove_all(
    person: Person, *, shown: Sequence[str] | None, actor: AnyActor, reason: str, now: datetime,
    deactivated: bool = False,
) -> int:  # fmt: skip
    """Ends a person's access to all their apps for one reason; returns to how many.

    `shown` are the public ids of the grants that the question listed: if these are no longer all, nothing is removed.
    Without it, those that there are end, if any.
    Each app's owner gets one email, the person one with all apps, unless they were `deactivated`. Raises Invalid, and
    Conflict.
    """
    reason = _reason(reason, "Enter a reason. The person and the app owners get it by email.")
    directory.lock()
    grants = db.session.scalars(
        _live([Grant.person_id == person.id])
        .values(_removed(actor, reason, now))
        .returning(Grant)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()
    if shown is not None and (not grants or {one.public_id for one in grants} != set(shown)):
        raise Conflict(f"The apps of {person.name} have just changed. Check the list, then remove them again.")
    if not grants:
        return 0
    ordered = sorted(grants, key=lambda one: one.id)
    _record_removed(ordered, actor=actor, reason=reason, now=now)
    _tell(None if deactivated else person.id, ordered, actor=actor, now=now)
    return len(ordered)


def _live(where: list[Any]) -> Any:
    return update(Grant).where(*where, Grant.state.in_(LIVE_GRANT))


def _removed(actor: AnyActor, reason: str, now: datetime) -> dict[str, Any]:
    return {"state": "removed", "removed_at": now, "removed_by_id": actor.responsible_id, "removed_reason": reason}


def _record_removed(grants: Iterable[Grant], *, actor: AnyActor, reason: str, now: datetime) -> None:
    for one in grants:
        audit.record(EventKind.GRANT_REMOVED, at=now, actor=actor, request=one.request_id, app=one.app_id,
                     person=one.person_id, grant=one.id, reason=sha256(reason))  # fmt: skip


def _tell(person: int | None, grants: Sequence[Grant], *, actor: AnyActor, now: datetime) -> None:
    """One email to the person, and one to each owner about the apps that they own."""
    about: dict[int, list[int]] = defaultdict(list)
    if person is not None:
        about[person] = [one.id for one in grants]
    owners = _owners([one.app_id for one in grants])
    found = directory.look_up(owners.values(), admins=False).directory
    for one in grants:
        for owner in found.of(owners.get(one.app_id)):
            if owner not in (one.person_id, actor.id):
                about[owner].append(one.id)
    outbox.post(
        [
            notice(
                NoticeKind.GRANT_REMOVED if len(ids) == 1 else NoticeKind.GRANTS_REMOVED,
                "requester" if to == person else "other",
                now=now,
                person_id=to,
                grant_id=ids[0],
                data_json="{}" if len(ids) == 1 else json.dumps({"grants": ids}),
            )
            for to, ids in sorted(about.items())
        ]
    )


def _owners(apps: Sequence[int]) -> dict[int, Approver]:
    rows = db.session.execute(
        select(App.id, App.owner_person_id, App.owner_group_id).where(
            App.id.in_(apps), or_(App.owner_person_id.is_not(None), App.owner_group_id.is_not(None))
        )
    )
    return {row.id: Approver(row.owner_person_id, row.owner_group_id) for row in rows}


def _reason(given: str, missing: str) -> str:
    reason = clean(given)
    if not reason:
        raise Invalid(reason=missing)
    if len(reason) > REASON_LIMIT:
        raise Invalid(reason=f"Use {REASON_LIMIT} characters or fewer. You entered {len(reason):,}.")
    return reason


def _gone(grant: Grant) -> str:
    by = db.session.scalar(
        select(Person.name).join(Grant, Grant.removed_by_id == Person.id).where(Grant.id == grant.id)
    )
    return f"{by or 'Someone else'} has already removed this access."
