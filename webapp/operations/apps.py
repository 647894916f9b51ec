"""Apps and their rules. Each saved rule is a new, immutable PolicyRevision."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from webapp import audit
from webapp.extensions import db
from webapp.models import App, Audience, Person, PolicyRevision
from webapp.queries import directory
from webapp.text import clean, one_line, sha256
from webapp.workflow.errors import BadPolicy
from webapp.workflow.policy import SCHEMA, Approver, Policy, StepRule, digest

from ._rearrange import rearrange
from .errors import Conflict, Invalid

DESCRIPTION_LIMIT = 500
CATEGORY_LIMIT = 60
NOTE_LIMIT = 500


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
    name = _name(name)
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


def change_details(
    app: App,
    *,
    name: str,
    description: str,
    category: str,
    icon: str,
    launch_url: str,
    actor: Person,
    now: datetime,
) -> None:
    """What people read of the app, its picture and where it opens. Raises Invalid with all that is wrong."""
    name, description, category = one_line(name), clean(description), one_line(category)
    wrong: dict[str, str] = {}
    try:
        _name(name)
    except Invalid as error:
        wrong |= error.fields
    if len(description) > DESCRIPTION_LIMIT:
        wrong["description"] = f"Please keep it to {DESCRIPTION_LIMIT} characters; this has {len(description):,}."
    if len(category) > CATEGORY_LIMIT:
        wrong["category"] = f"A category can have up to {CATEGORY_LIMIT} characters."
    try:
        launch_url = web_address(launch_url)
    except Invalid as error:
        wrong |= error.fields
    if wrong:
        raise Invalid(**wrong)
    before = _details(app)
    app.describe(name=name, description=description, category=category)
    app.icon, app.launch_url = icon, launch_url
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise Invalid(name=f"There is an app called {name} already.") from None
    after = _details(app)
    differs = [key for key in after if before[key] != after[key]]
    audit.record(
        "app.changed",
        at=now,
        actor=actor.id,
        app=app.id,
        before={key: before[key] for key in differs},
        after={key: after[key] for key in differs},
    )


def set_note(app: App, *, note: str, actor: Person, now: datetime) -> None:
    """What the requester reads before asking. Raises Invalid."""
    note = clean(note)
    if len(note) > NOTE_LIMIT:
        raise Invalid(note=f"Please keep it to {NOTE_LIMIT} characters; this has {len(note):,}.")
    before, app.note = app.note, note
    audit.record("app.changed", at=now, actor=actor.id, app=app.id,
                 before={"note": sha256(before)}, after={"note": sha256(note)})  # fmt: skip


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
    return save_policy(app, replace(_rule_to_change(app), **changes), actor=actor, now=now)


def _rule_to_change(app: App) -> Policy:
    """The rule in force, with the app's row held: of two who change different fields at once, both stay."""
    _hold(app)
    return db.session.get_one(PolicyRevision, app.policy_revision_id).snapshot()


def _hold(app: App) -> None:
    """The app as it is now, and nobody else's until the commit."""
    db.session.flush()  # refresh() would forget what was changed and not written yet
    db.session.refresh(app, with_for_update={"key_share": True})


def set_requestable(app: App, *, requestable: bool, actor: Person, now: datetime) -> None:
    """Whether people find it in the catalog. Raises Conflict if it needs approval and has no step."""
    policy = _rule_to_change(app)
    if app.requestable is requestable:
        return
    if requestable and policy.approval_required and not policy.steps:
        raise Conflict(f"Name an approver for {app.name} first, or turn off Approval required.")
    before, app.requestable = app.requestable, requestable
    audit.record("app.changed", at=now, actor=actor.id, app=app.id,
                 before={"requestable": before}, after={"requestable": requestable})  # fmt: skip


def set_approval_required(app: App, *, required: bool, actor: Person, now: datetime) -> None:
    """Turning it on without a step takes the app out of the catalog until an approver is named."""
    policy = _rule_to_change(app)
    if policy.approval_required is required:
        return
    save_policy(app, replace(policy, approval_required=required), actor=actor, now=now)
    if required and not policy.steps and app.requestable:
        set_requestable(app, requestable=False, actor=actor, now=now)


def set_steps(app: App, *, steps: Iterable[StepRule], actor: Person, now: datetime) -> None:
    """Who approves, in order. Raises Invalid; Conflict when the last step of a requestable app would go."""
    steps = tuple(steps)
    policy = _rule_to_change(app)
    if not steps and app.requestable and policy.approval_required:
        raise Conflict(f"{app.name} is requestable and needs an approver. Turn off Requestable first.")
    save_policy(app, replace(policy, steps=steps), actor=actor, now=now)


def set_owner(app: App, *, owner: Approver | None, actor: Person, now: datetime) -> None:
    """Who answers for the app, and stands in for an approver who is gone."""
    directory.lock(exclusive=True)
    _hold(app)
    before = app.owner
    app.owner_person_id, app.owner_group_id = (owner.person, owner.group) if owner else (None, None)
    audit.record("app.changed", at=now, actor=actor.id, app=app.id,
                 before={"owner": _plain(before)}, after={"owner": _plain(owner)})  # fmt: skip
    rearrange(apps=[app.id], now=now)


def set_audience(app: App, *, groups: Iterable[int], actor: Person | None, now: datetime) -> None:
    """The groups that see the app; none: everyone."""
    groups = sorted(set(groups))
    before = sorted(db.session.scalars(select(Audience.group_id).where(Audience.app_id == app.id)))
    app.for_everyone = not groups
    db.session.execute(Audience.__table__.delete().where(Audience.__table__.c.app_id == app.id))  # type: ignore[attr-defined]
    db.session.add_all(Audience(app_id=app.id, group_id=group) for group in groups)
    audit.record("app.changed", at=now, actor=actor.id if actor else None, app=app.id,
                 before={"audience": before}, after={"audience": groups})  # fmt: skip


def _name(given: str) -> str:
    name = one_line(given)
    if not name:
        raise Invalid(name="Please give the app a name.")
    if len(name) > 80:
        raise Invalid(name="An app's name can have up to 80 characters.")
    return name


def _details(app: App) -> dict[str, str]:
    """As the record keeps them: the icon's name, and fingerprints of what somebody wrote."""
    written = {"name": app.name, "description": app.description, "category": app.category, "launch_url": app.launch_url}
    return {"icon": app.icon} | {key: sha256(text) for key, text in written.items()}


def web_address(given: str) -> str:
    """An http(s) address or "". Raises Invalid: a launch link must never run script."""
    given = one_line(given)
    if not given:
        return ""
    try:
        parts = urlsplit(given)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # as of "http://["
        usable = False
    if not usable:
        raise Invalid(launch_url="The link has to begin with https:// or http://, and a host has to follow.")
    if len(given) > 500:
        raise Invalid(launch_url="The link can have up to 500 characters.")
    return given


def _plain(approver: Approver | None) -> dict[str, int | None] | None:
    return {"person": approver.person, "group": approver.group} if approver else None
