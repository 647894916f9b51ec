"""Apps and their rules. Each saved rule is a new, immutable PolicyRevision."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from webapp import audit
from webapp.extensions import db
from webapp.models import App, Audience, Person, PolicyRevision
from webapp.queries import directory
from webapp.text import clean, one_line
from webapp.workflow.errors import BadPolicy
from webapp.workflow.policy import SCHEMA, Approver, Policy, StepRule, digest

from ._rearrange import rearrange
from ._sql import changed
from .errors import Conflict, Invalid


def create(
    *,
    name: str,
    actor: Person | None,
    now: datetime,
    description: str = "",
    category: str = "",
    icon: str = "",
    launch_url: str = "",
    note: str = "",
    owner: Approver | None = None,
    policy: Policy | None = None,
    requestable: bool = False,
) -> App:
    """A new app, not requestable yet; approval required, so that nothing is given away by accident. Raises Invalid."""
    name = one_line(name)
    if not name:
        raise Invalid(name="Please give the app a name.")
    if len(name) > 80:
        raise Invalid(name="An app's name can have up to 80 characters.")
    app = App(icon=icon, launch_url=web_address(launch_url), note=clean(note)[:500], requestable=requestable,
              created_at=now)  # fmt: skip
    app.describe(name=name, description=clean(description)[:500], category=one_line(category)[:60])
    if owner is None and actor is not None:
        owner = Approver(person=actor.id)
    if owner is not None:
        app.owner_person_id, app.owner_group_id = owner.person, owner.group
    db.session.add(app)
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise Invalid(name=f"There is an app called {name} already.") from None
    audit.record("app.created", at=now, actor=actor.id if actor else None, app=app.id, requestable=requestable,
                 owner=_plain(owner))  # fmt: skip
    save_policy(app, policy or Policy(), actor=actor, now=now)
    return app


def save_policy(app: App, policy: Policy, *, actor: Person | None, now: datetime) -> PolicyRevision:
    """Appends a revision and puts it in force; pending requests keep theirs. Raises Invalid or Conflict."""
    try:
        policy.check()
    except BadPolicy as error:
        raise Invalid(policy=str(error)) from None
    body = policy.dumps()
    before = db.session.execute(
        select(PolicyRevision.number, PolicyRevision.hash).where(PolicyRevision.id == app.policy_revision_id)
    ).first()
    number = (
        db.session.scalar(select(func.max(PolicyRevision.number)).where(PolicyRevision.app_id == app.id)) or 0
    ) + 1
    revision = PolicyRevision(
        app_id=app.id,
        number=number,
        schema=SCHEMA,
        body=body,
        hash=digest(body),
        created_by_id=actor.id if actor else None,
        created_at=now,
    )
    db.session.add(revision)
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise Conflict("Somebody else saved this rule at the same moment. Look at it and save again.") from None
    app.policy_revision_id = revision.id
    audit.record(
        "policy.saved",
        at=now,
        actor=actor.id if actor else None,
        app=app.id,
        before={"number": before.number, "hash": before.hash} if before else None,
        after={"number": number, "hash": revision.hash},
        approval_required=policy.approval_required,
        days=policy.days,
        steps=[_plain(step.approver) for step in policy.steps],
    )
    return revision


def change_policy(app: App, *, actor: Person, now: datetime, **changes: Any) -> PolicyRevision:
    """`save_policy` of the present rule with some fields changed."""
    revision = db.session.get_one(PolicyRevision, app.policy_revision_id)
    return save_policy(app, replace(revision.snapshot(), **changes), actor=actor, now=now)


def set_requestable(app: App, *, requestable: bool, actor: Person, now: datetime) -> None:
    """Whether people find it in the catalog. Raises Conflict if it needs approval and has no step."""
    if requestable:
        policy = db.session.get_one(PolicyRevision, app.policy_revision_id).snapshot()
        if policy.approval_required and not policy.steps:
            raise Conflict(f"Name an approver for {app.name} first, or turn off Approval required.")
    before, app.requestable = app.requestable, requestable
    audit.record("app.changed", at=now, actor=actor.id, app=app.id,
                 before={"requestable": before}, after={"requestable": requestable})  # fmt: skip


def set_approval_required(app: App, *, required: bool, actor: Person, now: datetime) -> None:
    """Turning it on without a step takes the app out of the catalog until an approver is named."""
    revision = db.session.get_one(PolicyRevision, app.policy_revision_id)
    policy = revision.snapshot()
    if policy.approval_required is required:
        return
    save_policy(app, replace(policy, approval_required=required), actor=actor, now=now)
    if required and not policy.steps and app.requestable:
        set_requestable(app, requestable=False, actor=actor, now=now)


def set_steps(app: App, *, steps: Iterable[StepRule], actor: Person, now: datetime) -> None:
    """Who approves, in order. Raises Invalid; Conflict when the last step of a requestable app would go."""
    steps = tuple(steps)
    policy = db.session.get_one(PolicyRevision, app.policy_revision_id).snapshot()
    if not steps and app.requestable and policy.approval_required:
        raise Conflict(f"{app.name} is requestable and needs an approver. Turn off Requestable first.")
    save_policy(app, replace(policy, steps=steps), actor=actor, now=now)


def set_owner(app: App, *, owner: Approver | None, actor: Person, now: datetime) -> None:
    """Who answers for the app, and stands in for an approver who is gone."""
    directory.lock(exclusive=True)
    before = app.owner
    changed(
        update(App)
        .where(App.id == app.id)
        .values(owner_person_id=owner.person if owner else None, owner_group_id=owner.group if owner else None)
    )
    audit.record("app.changed", at=now, actor=actor.id, app=app.id,
                 before={"owner": _plain(before)}, after={"owner": _plain(owner)})  # fmt: skip
    rearrange(apps=[app.id], now=now)


def set_audience(app: App, *, groups: Iterable[int], actor: Person | None, now: datetime) -> None:
    """The groups that see the app; none: everyone."""
    groups = sorted(set(groups))
    app.for_everyone = not groups
    db.session.execute(Audience.__table__.delete().where(Audience.__table__.c.app_id == app.id))  # type: ignore[attr-defined]
    db.session.add_all(Audience(app_id=app.id, group_id=group) for group in groups)
    audit.record("app.changed", at=now, actor=actor.id if actor else None, app=app.id, after={"audience": groups})


def web_address(given: str) -> str:
    """An http(s) address or "". Raises Invalid: a launch link must never run script."""
    given = one_line(given)
    if not given:
        return ""
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(given) > 500:
        raise Invalid(launch_url="The link has to begin with https:// or http://.")
    return given


def _plain(approver: Approver | None) -> dict[str, int | None] | None:
    return {"person": approver.person, "group": approver.group} if approver else None
