"""An app's typed fields: the rows that are edited and the copy in the rule in force change together.

Nothing is ever deleted: requests and grants refer to fields by their public id for as long as they are kept.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import App, EntitlementField
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import clean, one_line, sha256, sort_key
from webapp.workflow.actor import AnyActor
from webapp.workflow.entitlements import KINDS, Entitlement, Value, parse, shown
from webapp.workflow.policy import Policy
from webapp.workflow.states import Visibility

from .apps import rule_to_change, save_policy
from .errors import Conflict, Invalid

# As the page showed it, and as it is wanted.
Change = tuple[Visibility, Visibility]

FIELDS_LIMIT = 10
OPTIONS_LIMIT = 50


def create(
    app: App, *, name: str, kind: str, options: Sequence[str], required: bool = False, default: Sequence[str] = (),
    help: str = "", requester: str = Visibility.WRITE, actor: AnyActor, now: datetime,
) -> EntitlementField:  # fmt: skip
    """A new field at the end, set by the requester unless said otherwise.

    Raises Invalid or Conflict.
    """
    policy = rule_to_change(app)
    rows = _rows(app)
    if sum(row.archived_at is None for row in rows) >= FIELDS_LIMIT:
        raise Conflict(f"An app can have up to {FIELDS_LIMIT} fields. Archive one first.")
    if kind not in KINDS:
        raise Invalid(kind="Choose one of these types.")
    row = EntitlementField(app_id=app.id, kind=kind, position=max((one.position for one in rows), default=-1) + 1)
    _fill(row, rows, name=name, options=options, required=required, default=default, help=help, requester=requester)
    db.session.add(row)
    db.session.flush()
    audit.record(EventKind.FIELD_CREATED, at=now, actor=actor, app=app.id, field=row.id, before=None, after=_plain(row))
    _freeze(app, policy, [*rows, row], actor=actor, now=now)
    return row


def edit(app: App, public_id: str, *, actor: AnyActor, now: datetime, **changes: Any) -> None:
    """Changes some of a field in use: its name, options, required, default, help or requester.

    Its kind stays, because values of it are kept. Raises Invalid or Conflict.
    """
    policy = rule_to_change(app)
    rows = _rows(app)
    if _edit(app, rows, _find(rows, public_id), changes, actor=actor, now=now):
        _freeze(app, policy, rows, actor=actor, now=now)


def _edit(
    app: App, rows: Sequence[EntitlementField], row: EntitlementField, changes: Mapping[str, Any], *,
    actor: AnyActor, now: datetime,
) -> bool:  # fmt: skip
    """Whether the field is another one now; its line is in the record, the rule is not changed yet."""
    before = _plain(row)
    present = {"name": row.name, "options": json.loads(row.options), "required": row.required, "help": row.help,
               "requester": row.requester, "default": typed(frozen(row))}  # fmt: skip
    _fill(row, rows, **present | dict(changes))
    after = _plain(row)
    if before == after:
        return False
    audit.record(EventKind.FIELD_CHANGED, at=now, actor=actor, app=app.id, field=row.id, before=before, after=after)
    return True


def see(
    app: App, *, steps: Mapping[tuple[str, str], Change] = MappingProxyType({}),
    requester: Mapping[str, Change] = MappingProxyType({}), actor: AnyActor, now: datetime,
) -> None:  # fmt: skip
    """What steps and the requester may do with fields: (step id, field) or field → (as the page showed it, as wanted).

    Raises Invalid, or Conflict when the step or the field is gone, or someone else has changed this very cell.
    """
    policy = rule_to_change(app)
    rows = _rows(app)
    in_use = {row.public_id: row for row in rows if row.archived_at is None}
    rules = {step.id: step for step in policy.steps}
    if any(step not in rules or field not in in_use for step, field in steps) or set(requester) - set(in_use):
        raise Conflict("Someone else changed the steps or the fields. Check them and try again.")
    changed = False
    for field, (was, wanted) in requester.items():
        row = in_use[field]
        if row.requester not in (was, wanted):
            raise Conflict("Someone else changed this. The current value is shown.")
        changed |= _edit(app, rows, row, {"requester": wanted}, actor=actor, now=now)
    for (step_id, field), (was, wanted) in steps.items():
        step = rules[step_id]
        if step.visibility.get(field, Visibility.HIDDEN) not in (was, wanted):
            raise Conflict("Someone else changed this. The current value is shown.")
        rules[step_id] = replace(step, visibility={**step.visibility, field: wanted})
    seen = tuple(rules[step.id] for step in policy.steps)
    if changed or seen != policy.steps:
        _freeze(app, replace(policy, steps=seen), rows, actor=actor, now=now)


def archive(app: App, public_id: str, *, actor: AnyActor, now: datetime) -> None:
    """Nobody is asked for it any more; values that people have are kept. Raises Invalid or Conflict."""
    policy = rule_to_change(app)
    rows = _rows(app)
    row = _find(rows, public_id)
    row.archived_at = now
    audit.record(EventKind.FIELD_ARCHIVED, at=now, actor=actor, app=app.id, field=row.id)
    _freeze(app, policy, rows, actor=actor, now=now)


def restore(app: App, public_id: str, *, actor: AnyActor, now: datetime) -> None:
    """An archived field is in use again, at the end, seen by no step yet. Raises Invalid or Conflict."""
    policy = rule_to_change(app)
    rows = _rows(app)
    row = _find(rows, public_id, archived=True)
    in_use = [one for one in rows if one.archived_at is None]
    if len(in_use) >= FIELDS_LIMIT:
        raise Conflict(f"An app can have up to {FIELDS_LIMIT} fields. Archive another one first.")
    if any(sort_key(one.name) == sort_key(row.name) for one in in_use):
        raise Conflict(f"Another field now has the name {row.name}. Rename that field first.")
    row.archived_at = None
    row.position = max(one.position for one in rows) + 1
    audit.record(EventKind.FIELD_RESTORED, at=now, actor=actor, app=app.id, field=row.id)
    _freeze(app, policy, rows, actor=actor, now=now)


def order(app: App, public_ids: Sequence[str], *, actor: AnyActor, now: datetime) -> None:
    """The order in which people see the fields. Raises Conflict unless each field in use is named once."""
    policy = rule_to_change(app)
    rows = _rows(app)
    in_use = {row.public_id: row for row in rows if row.archived_at is None}
    if len(public_ids) != len(in_use) or set(public_ids) != set(in_use):
        raise Conflict("Someone else changed the fields. Check them and try again.")
    if list(public_ids) == list(in_use):
        return
    for position, public_id in enumerate(public_ids):
        in_use[public_id].position = position
    for position, row in enumerate(row for row in rows if row.archived_at is not None):
        row.position = len(in_use) + position
    audit.record(EventKind.FIELDS_ORDERED, at=now, actor=actor, app=app.id,
                 before=[row.id for row in in_use.values()], after=[in_use[one].id for one in public_ids])  # fmt: skip
    _freeze(app, policy, rows, actor=actor, now=now)


def frozen(row: EntitlementField) -> Entitlement:
    """The row as a policy holds it."""
    return Entitlement(
        id=row.public_id,
        name=row.name,
        kind=row.kind,
        options=tuple(json.loads(row.options)),
        required=row.required,
        default=None if row.default is None else json.loads(row.default),
        help=row.help,
        requester=Visibility(row.requester),
    )


def typed(field: Entitlement) -> list[str]:
    """The default as forms send it."""
    if field.default is None:
        return []
    if isinstance(field.default, bool):
        return ["yes" if field.default else "no"]
    return [*field.default] if isinstance(field.default, list) else [shown(field.default)]


def copy_rules(app: App, source: App, rule: Policy, *, with_fields: bool, actor: AnyActor, now: datetime) -> None:
    """Steps, limits, assurance, comment and outcomes of `source`, whose rule is `rule`, in place of the app's own.

    With fields, those take the place of the app's, which are archived; else the app keeps its own, and steps see
    what the same approver saw before. Raises Invalid or Conflict.
    """
    policy = rule_to_change(app)
    if not rule.steps and app.requestable and policy.approval_required:
        raise Conflict(f"{source.name} has no steps, and {app.name} needs an approver. Choose another one.")
    rows, ids = _rows(app), dict[str, str]()
    if with_fields:
        for row in rows:
            row.archived_at = row.archived_at or now
        start = max((row.position for row in rows), default=-1) + 1
        for position, other in enumerate(row for row in _rows(source) if row.archived_at is None):
            copy = EntitlementField(
                app_id=app.id, position=start + position, name=other.name, kind=other.kind, options=other.options,
                required=other.required, default=other.default, help=other.help, requester=other.requester,
            )  # fmt: skip
            db.session.add(copy)
            db.session.flush()
            rows.append(copy)
            ids[other.public_id] = copy.public_id
    seen = {step.approver: step.visibility for step in policy.steps}
    steps = tuple(
        replace(
            step,
            visibility={ids[key]: word for key, word in step.visibility.items() if key in ids}
            if with_fields
            else seen.get(step.approver, {}),
        )
        for step in rule.steps
    )
    audit.record(EventKind.POLICY_COPIED, at=now, actor=actor, app=app.id, source=source.id, with_fields=with_fields)
    policy = replace(policy, steps=steps, days=rule.days, assurance=rule.assurance, outcomes=rule.outcomes,
                     comment_required=rule.comment_required)  # fmt: skip
    _freeze(app, policy, rows, actor=actor, now=now)


def _rows(app: App) -> list[EntitlementField]:
    return list(
        db.session.scalars(
            select(EntitlementField)
            .where(EntitlementField.app_id == app.id)
            .order_by(EntitlementField.position, EntitlementField.id)
            .execution_options(populate_existing=True)
        )
    )


def _find(rows: Sequence[EntitlementField], public_id: str, *, archived: bool = False) -> EntitlementField:
    row = next((one for one in rows if one.public_id == public_id and (one.archived_at is not None) is archived), None)
    if row is None:
        raise Conflict(f"Someone else has {'restored' if archived else 'archived'} this field. Reload the page.")
    return row


def _fill(
    row: EntitlementField, rows: Sequence[EntitlementField], *, name: str, options: Sequence[str], required: bool,
    default: Sequence[str], help: str, requester: str,
) -> None:  # fmt: skip
    """Raises Invalid with all that is wrong."""
    wrong: dict[str, str] = {}
    name, help = one_line(name), one_line(clean(help))
    options = list(dict.fromkeys(text for text in (one_line(one) for one in options) if text))
    if not name:
        wrong["name"] = "Enter a name."
    elif len(name) > 80:
        wrong["name"] = "A field name can have up to 80 characters."
    elif any(one is not row and one.archived_at is None and sort_key(one.name) == sort_key(name) for one in rows):
        wrong["name"] = f"A field with the name {name} already exists."
    if len(help) > 200:
        wrong["help"] = f"Use 200 characters or fewer. You entered {len(help)}."
    if row.kind in ("choice", "choices"):
        if not options:
            wrong["options"] = "Enter at least one option, one per line."
        elif len(options) > OPTIONS_LIMIT or any(len(one) > 80 for one in options):
            wrong["options"] = f"Use {OPTIONS_LIMIT} options or fewer, each of up to 80 characters."
    elif options:
        wrong["options"] = (
            "Only the types Choice and Several choices have options. Change the type or remove the options."
        )
    if requester not in tuple(Visibility):
        wrong["requester"] = "Choose one of the three."
    value: Value | None = None
    given = [text for text in (one_line(one) for one in default) if text]
    if given and "options" not in wrong:
        try:
            value = parse(Entitlement(row.public_id or "", name or "This field", row.kind, tuple(options)), given)
        except ValueError as error:
            wrong["default"] = str(error)
    if wrong:
        raise Invalid(**wrong)
    row.name, row.help, row.required, row.requester = name, help, required, requester
    row.options = json.dumps(options, ensure_ascii=False)
    row.default = None if value is None else json.dumps(value, ensure_ascii=False)


def _freeze(app: App, policy: Policy, rows: Sequence[EntitlementField], *, actor: AnyActor, now: datetime) -> None:
    """Puts the fields in use into the rule; steps forget what is in use no more."""
    in_use = sorted((row for row in rows if row.archived_at is None), key=lambda row: row.position)
    ids = {row.public_id for row in in_use}
    steps = tuple(
        replace(step, visibility={key: word for key, word in step.visibility.items() if key in ids})
        for step in policy.steps
    )
    policy = replace(policy, entitlements=tuple(frozen(row) for row in in_use), steps=steps)
    save_policy(app, policy, actor=actor, now=now)


def _plain(row: EntitlementField) -> dict[str, object]:
    """The field as the audit log stores it: SHA-256 of free text."""
    return {
        "name": sha256(row.name), "kind": row.kind, "options": sha256(row.options), "required": row.required,
        "default": sha256(row.default or ""), "help": sha256(row.help), "requester": row.requester,
        "position": row.position,
    }  # fmt: skip
