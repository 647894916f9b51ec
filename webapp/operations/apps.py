"""Apps and their rules. Each saved rule is a new, immutable PolicyRevision."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select

from webapp.extensions import db
from webapp.models import App, Audience, Membership, PolicyRevision
from webapp.queries import directory, rules
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.runtime import failpoints
from webapp.text import clean, one_line, sha256
from webapp.workflow.actor import AnyActor
from webapp.workflow.errors import BadPolicy
from webapp.workflow.policy import Approver, OutcomeRule, Policy
from webapp.workflow.policy_codec import FORM, digest, dumps
from webapp.workflow.states import RequestState

from ._deciding_groups import refuse_too_large
from ._outcome_rules import changed_outcome
from ._reassign import reassign_open_steps
from ._sql import unless_taken
from .errors import Conflict, Invalid

DESCRIPTION_LIMIT = 500
CATEGORY_LIMIT = 60
NOTE_LIMIT = 500


def create(
    *,
    name: str,
    actor: AnyActor,
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
    if requestable:
        app.requestable_by_id = actor.responsible_id
    if owner is None and actor.id is not None:
        owner = Approver(person=actor.id)
    if owner is not None:
        app.owner_person_id, app.owner_group_id = owner.person, owner.group
    with unless_taken(Invalid(name=f"An app with the name {name} already exists.")):
        db.session.add(app)
    audit.record(EventKind.APP_CREATED, at=now, actor=actor, app=app.id, requestable=requestable,
                 owner=_plain(owner))  # fmt: skip
    save_policy(app, policy or Policy(), actor=actor, now=now)
    return app


def change_details(
    app: App,
    *,
    name: str | None = None,
    description: str | None = None,
    category: str | None = None,
    launch_url: str | None = None,
    actor: AnyActor,
    now: datetime,
) -> None:
    """What people read of the app and where it opens; None: as it is. Raises Invalid with all that is wrong.

    A link on every dashboard that leads somewhere else is no rule of approval, so only admins set it.
    """
    name = one_line(app.name if name is None else name)
    description = clean(app.description if description is None else description)
    category = one_line(app.category if category is None else category)
    launch_url = app.launch_url if launch_url is None else launch_url
    wrong: dict[str, str] = {}
    try:
        _name(name)
    except Invalid as error:
        wrong |= error.fields
    if len(description) > DESCRIPTION_LIMIT:
        wrong["description"] = f"Use {DESCRIPTION_LIMIT} characters or fewer. You entered {len(description):,}."
    if len(category) > CATEGORY_LIMIT:
        wrong["category"] = f"A category can have up to {CATEGORY_LIMIT} characters."
    try:
        launch_url = web_address(launch_url)
    except Invalid as error:
        wrong |= error.fields
    if launch_url != app.launch_url and not actor.is_admin:
        wrong["launch_url"] = "Only an admin can change the app URL."
    if wrong:
        raise Invalid(**wrong)
    before = _details(app)
    with unless_taken(Invalid(name=f"An app with the name {name} already exists.")):
        app.describe(name=name, description=description, category=category)
        app.launch_url = launch_url
    after = _details(app)
    differs = [key for key in after if before[key] != after[key]]
    if not differs:
        return
    audit.record(
        EventKind.APP_CHANGED,
        at=now,
        actor=actor,
        app=app.id,
        before={key: before[key] for key in differs},
        after={key: after[key] for key in differs},
    )


def set_note(app: App, *, note: str, actor: AnyActor, now: datetime) -> None:
    """What the requester reads before asking. Raises Invalid or Conflict."""
    refuse_own(app, actor)
    note = clean(note)
    if len(note) > NOTE_LIMIT:
        raise Invalid(note=f"Use {NOTE_LIMIT} characters or fewer. You entered {len(note):,}.")
    before, app.note = app.note, note
    audit.record(EventKind.APP_CHANGED, at=now, actor=actor, app=app.id,
                 before={"note": sha256(before)}, after={"note": sha256(note)})  # fmt: skip


def save_policy(app: App, policy: Policy, *, actor: AnyActor, now: datetime) -> PolicyRevision:
    """Appends a revision and puts it in force; pending requests keep theirs. Raises Invalid or Conflict.

    The record names who is asked in more than one step, by name and through a group.
    """
    refuse_own(app, actor)
    try:
        policy.check()
    except BadPolicy as error:
        raise Invalid(policy=str(error)) from None
    refuse_too_large(step.approver for step in policy.steps)
    body = dumps(policy)
    before = db.session.execute(
        select(PolicyRevision.number, PolicyRevision.hash).where(PolicyRevision.id == app.policy_revision_id)
    ).first()
    number = (
        db.session.scalar(select(func.max(PolicyRevision.number)).where(PolicyRevision.app_id == app.id)) or 0
    ) + 1
    revision = PolicyRevision(
        app_id=app.id,
        number=number,
        schema=FORM,
        body=body,
        hash=digest(body),
        created_by_id=actor.responsible_id,
        created_at=now,
    )
    with unless_taken(Conflict("Someone else saved these rules at the same time. Check them and save again.")):
        db.session.add(revision)
    failpoints.at("policy.in-save")
    before_it = db.session.get(PolicyRevision, app.policy_revision_id) if app.policy_revision_id else None
    app.policy_revision_id = revision.id
    if before_it is not None and not policy.approval_required and before_it.snapshot().approval_required:
        # This person decided that everyone who sees the app gets it, even if somebody else chose who sees it.
        app.requestable_by_id = actor.responsible_id if app.requestable_by_id == actor.responsible_id else None
        app.audience_by_id = actor.responsible_id if app.audience_by_id == actor.responsible_id else None
    audit.record(
        EventKind.POLICY_SAVED,
        at=now,
        actor=actor,
        app=app.id,
        before={"number": before.number, "hash": before.hash} if before else None,
        after={"number": number, "hash": revision.hash},
        approval_required=policy.approval_required,
        days=policy.days,
        steps=[_plain(step.approver) for step in policy.steps],
        asked_twice=sorted(rules.duplicate_approvers(step.approver for step in policy.steps)) or None,
    )
    return revision


def refuse_own(app: App, actor: AnyActor) -> None:
    """Raises Conflict while the actor has an open request for the app: nobody changes the rules that decide it."""
    if actor.responsible_id is not None and rules.has_pending_request(app.id, actor.responsible_id):
        raise Conflict(f"You have a pending request for {app.name}, so you cannot change its rules.")


def change_policy(app: App, *, actor: AnyActor, now: datetime, **changes: Any) -> PolicyRevision:
    """`save_policy` of the present rule with some fields changed."""
    return save_policy(app, replace(rule_to_change(app), **changes), actor=actor, now=now)


def rule_to_change(app: App) -> Policy:
    """Locks the app's row and returns the rule in force: of two who change different fields at once, neither undoes
    the other's change."""
    hold(app)
    return db.session.get_one(PolicyRevision, app.policy_revision_id).snapshot()


def hold(app: App) -> None:
    """Locks the app's row until the commit, and returns the app as it is now."""
    db.session.flush()  # refresh() would forget what was changed and not written yet
    db.session.refresh(app, with_for_update={"key_share": True})


def set_requestable(app: App, *, requestable: bool, actor: AnyActor, now: datetime) -> None:
    """Whether people find it in the catalog. Raises Conflict if it needs approval and has no step."""
    refuse_own(app, actor)
    policy = rule_to_change(app)
    if app.requestable is requestable:
        return
    if requestable and policy.approval_required and not policy.steps:
        raise Conflict(f"Choose an approver for {app.name} first or turn off Approval required.")
    before, app.requestable = app.requestable, requestable
    # Who opened it, where no approver has a word in it: see queries/self_opened.py.
    app.requestable_by_id = actor.responsible_id if requestable and not policy.approval_required else None
    audit.record(EventKind.APP_CHANGED, at=now, actor=actor, app=app.id,
                 before={"requestable": before}, after={"requestable": requestable})  # fmt: skip


def set_approval_required(app: App, *, required: bool, actor: AnyActor, now: datetime) -> None:
    """Turning it on without a step takes the app out of the catalog until an approver is named."""
    policy = rule_to_change(app)
    if policy.approval_required is required:
        return
    save_policy(app, replace(policy, approval_required=required), actor=actor, now=now)
    if required and not policy.steps and app.requestable:
        set_requestable(app, requestable=False, actor=actor, now=now)


def set_outcome(
    app: App, state: RequestState, *, requester: bool | None = None, approvers: bool | None = None,
    others: Sequence[str] | None = None, message: str | None = None, reasons: Sequence[str] | None = None,
    actor: AnyActor, now: datetime,
) -> None:  # fmt: skip
    """Whom to email when a request ends this way, with which message; `reasons` to pick from. None: as it is.

    Raises Invalid.
    """
    policy = rule_to_change(app)
    before = policy.outcomes.get(state, OutcomeRule())
    rule = changed_outcome(
        before, requester=requester, approvers=approvers, others=others, message=message, reasons=reasons
    )
    if rule != before:
        save_policy(app, replace(policy, outcomes={**policy.outcomes, state: rule}), actor=actor, now=now)


def archive(app: App, *, actor: AnyActor, now: datetime) -> None:
    """Out of the catalog and the lists; grants, requests and the record stay. Raises Conflict."""
    refuse_own(app, actor)
    hold(app)
    app.archived_at, app.requestable = now, False
    audit.record(EventKind.APP_ARCHIVED, at=now, actor=actor, app=app.id)


def restore(app: App, *, actor: AnyActor, now: datetime) -> None:
    """In use again, not requestable yet. Raises Conflict, as when another app has its name now."""
    refuse_own(app, actor)
    with unless_taken(Conflict("Another app now has this name. Rename that app first.")):
        app.archived_at = None
    audit.record(EventKind.APP_RESTORED, at=now, actor=actor, app=app.id)


def set_owner(app: App, *, owner: Approver | None, actor: AnyActor, now: datetime) -> None:
    """Sets the owner, who decides instead of an approver who cannot. Raises Conflict."""
    refuse_own(app, actor)
    directory.lock(exclusive=True)
    refuse_too_large([owner])
    hold(app)
    before = app.owner
    app.owner_person_id, app.owner_group_id = (owner.person, owner.group) if owner else (None, None)
    audit.record(EventKind.APP_CHANGED, at=now, actor=actor, app=app.id,
                 before={"owner": _plain(before)}, after={"owner": _plain(owner)})  # fmt: skip
    reassign_open_steps(apps=[app.id], now=now)


def set_audience(app: App, *, groups: Iterable[int], actor: AnyActor, now: datetime) -> None:
    """The groups that see the app; none: everyone. Raises Conflict."""
    refuse_own(app, actor)
    hold(app)
    groups = sorted(set(groups))
    before = sorted(db.session.scalars(select(Audience.group_id).where(Audience.app_id == app.id)))
    if actor.responsible_id is not None:
        _note_who_opened(app, before, groups, actor)
    app.for_everyone = not groups
    db.session.execute(Audience.__table__.delete().where(Audience.__table__.c.app_id == app.id))  # type: ignore[attr-defined]
    db.session.add_all(Audience(app_id=app.id, group_id=group) for group in groups)
    audit.record(EventKind.APP_CHANGED, at=now, actor=actor, app=app.id,
                 before={"audience": before}, after={"audience": groups})  # fmt: skip


def _note_who_opened(app: App, before: Collection[int], after: Collection[int], actor: AnyActor) -> None:
    """That the audience let in the very person who chose it, where no approver has a word in it. Chosen by another one
    after that, it is theirs. See queries/self_opened.py."""
    mine = set(db.session.scalars(select(Membership.group_id).where(Membership.person_id == actor.responsible_id)))
    saw, sees = (not groups or not mine.isdisjoint(groups) for groups in (before, after))
    policy = db.session.get_one(PolicyRevision, app.policy_revision_id).snapshot()
    if sees and not saw and not policy.approval_required:
        app.audience_by_id = actor.responsible_id
    elif app.audience_by_id != actor.responsible_id:
        app.audience_by_id = None


def _name(given: str) -> str:
    name = one_line(given)
    if not name:
        raise Invalid(name="Enter a name.")
    if len(name) > 80:
        raise Invalid(name="An app name can have up to 80 characters.")
    return name


def _details(app: App) -> dict[str, str]:
    """The details as the audit log stores them: SHA-256 of free text."""
    written = {"name": app.name, "description": app.description, "category": app.category, "launch_url": app.launch_url}
    return {key: sha256(text) for key, text in written.items()}


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
        raise Invalid(launch_url="Enter a full URL, for example https://app.example.com.")
    if len(given) > 500:
        raise Invalid(launch_url="A URL can have up to 500 characters.")
    return given


def _plain(approver: Approver | None) -> dict[str, int | None] | None:
    return {"person": approver.person, "group": approver.group} if approver else None
