"""An app's typed fields: the rows that are edited and the copy in the rule in force change together.

Nothing is ever deleted: requests and grants refer to fields by their public id for as long as they are kept.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select

from webapp import audit
from webapp.extensions import db
from webapp.models import App, EntitlementField, Person
from webapp.text import clean, one_line, sha256, sort_key
from webapp.workflow.entitlements import KINDS, Entitlement, Value, parse
from webapp.workflow.policy import Approver, Policy
from webapp.workflow.states import Visibility

from .apps import rule_to_change, save_policy
from .errors import Conflict, Invalid

FIELDS_LIMIT = 10
OPTIONS_LIMIT = 50


def create(
    app: App, *, name: str, kind: str, options: Sequence[str], required: bool, default: Sequence[str], help: str,
    requester: str, writer: Approver | None = None, actor: Person, now: datetime,
) -> EntitlementField:  # fmt: skip
    """A new field at the end; the step of `writer` may set it. Raises Invalid or Conflict."""
    policy = rule_to_change(app)
    rows = _rows(app)
    if sum(row.archived_at is None for row in rows) >= FIELDS_LIMIT:
        raise Conflict(f"An app can have up to {FIELDS_LIMIT} fields. Archive one first.")
    if kind not in KINDS:
        raise Invalid(kind="Choose one of these kinds.")
    row = EntitlementField(app_id=app.id, kind=kind, position=max((one.position for one in rows), default=-1) + 1)
    _fill(row, rows, name=name, options=options, required=required, default=default, help=help, requester=requester)
    db.session.add(row)
    db.session.flush()
    if writer is not None:
        steps = [
            replace(step, see={**step.see, row.public_id: Visibility.WRITE}) if step.approver == writer else step
            for step in policy.steps
        ]
        policy = replace(policy, steps=tuple(steps))
    audit.record("field.created", at=now, actor=actor.id, app=app.id, field=row.id, before=None, after=_plain(row))
    _freeze(app, policy, [*rows, row], actor=actor, now=now)
    return row


def edit(
    app: App, public_id: str, *, name: str, options: Sequence[str], required: bool, default: Sequence[str], help: str,
    requester: str, actor: Person, now: datetime,
) -> None:  # fmt: skip
    """Changes a field in use; its kind stays, because values of it are kept. Raises Invalid or Conflict."""
    policy = rule_to_change(app)
    rows = _rows(app)
    row = _find(rows, public_id)
    before = _plain(row)
    _fill(row, rows, name=name, options=options, required=required, default=default, help=help, requester=requester)
    after = _plain(row)
    if before == after:
        return
    audit.record("field.changed", at=now, actor=actor.id, app=app.id, field=row.id, before=before, after=after)
    _freeze(app, policy, rows, actor=actor, now=now)


def archive(app: App, public_id: str, *, actor: Person, now: datetime) -> None:
    """Nobody is asked for it any more; values that people have are kept. Raises Invalid or Conflict."""
    policy = rule_to_change(app)
    rows = _rows(app)
    row = _find(rows, public_id)
    row.archived_at = now
    audit.record("field.archived", at=now, actor=actor.id, app=app.id, field=row.id)
    _freeze(app, policy, rows, actor=actor, now=now)


def restore(app: App, public_id: str, *, actor: Person, now: datetime) -> None:
    """An archived field is in use again, at the end, seen by no step yet. Raises Invalid or Conflict."""
    policy = rule_to_change(app)
    rows = _rows(app)
    row = _find(rows, public_id, archived=True)
    in_use = [one for one in rows if one.archived_at is None]
    if len(in_use) >= FIELDS_LIMIT:
        raise Conflict(f"An app can have up to {FIELDS_LIMIT} fields. Archive another one first.")
    if any(sort_key(one.name) == sort_key(row.name) for one in in_use):
        raise Conflict(f"There is another field called {row.name} now. Rename that one first.")
    row.archived_at = None
    row.position = max(one.position for one in rows) + 1
    audit.record("field.restored", at=now, actor=actor.id, app=app.id, field=row.id)
    _freeze(app, policy, rows, actor=actor, now=now)


def order(app: App, public_ids: Sequence[str], *, actor: Person, now: datetime) -> None:
    """The order in which people see the fields. Raises Conflict unless each field in use is named once."""
    policy = rule_to_change(app)
    rows = _rows(app)
    in_use = {row.public_id: row for row in rows if row.archived_at is None}
    if len(public_ids) != len(in_use) or set(public_ids) != set(in_use):
        raise Conflict("Somebody else changed the fields meanwhile. Look at them and move it once more.")
    if list(public_ids) == list(in_use):
        return
    for position, public_id in enumerate(public_ids):
        in_use[public_id].position = position
    for position, row in enumerate(row for row in rows if row.archived_at is not None):
        row.position = len(in_use) + position
    audit.record("fields.ordered", at=now, actor=actor.id, app=app.id, before=[row.id for row in in_use.values()],
                 after=[in_use[one].id for one in public_ids])  # fmt: skip
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


def copy_rules(app: App, source: App, rule: Policy, *, with_fields: bool, actor: Person, now: datetime) -> None:
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
    seen = {step.approver: step.see for step in policy.steps}
    steps = tuple(
        replace(
            step,
            see={ids[key]: word for key, word in step.see.items() if key in ids}
            if with_fields
            else seen.get(step.approver, {}),
        )
        for step in rule.steps
    )
    audit.record("policy.copied", at=now, actor=actor.id, app=app.id, source=source.id, with_fields=with_fields)
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
        raise Conflict(f"Somebody else {'restored' if archived else 'archived'} this field meanwhile.")
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
        wrong["name"] = "Please give the field a name."
    elif len(name) > 80:
        wrong["name"] = "A field's name can have up to 80 characters."
    elif any(one is not row and one.archived_at is None and sort_key(one.name) == sort_key(name) for one in rows):
        wrong["name"] = f"There is a field called {name} already."
    if len(help) > 200:
        wrong["help"] = f"Please keep it to 200 characters; this has {len(help)}."
    if row.kind in ("choice", "choices"):
        if not options:
            wrong["options"] = "Write at least one choice, each on a line of its own."
        elif len(options) > OPTIONS_LIMIT or any(len(one) > 80 for one in options):
            wrong["options"] = f"Up to {OPTIONS_LIMIT} choices, each of up to 80 characters."
    elif options:
        wrong["options"] = "Only a choice and several choices have these. Choose one of those kinds, or empty this."
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


def _freeze(app: App, policy: Policy, rows: Sequence[EntitlementField], *, actor: Person, now: datetime) -> None:
    """Puts the fields in use into the rule; steps forget what is in use no more."""
    in_use = sorted((row for row in rows if row.archived_at is None), key=lambda row: row.position)
    ids = {row.public_id for row in in_use}
    steps = tuple(
        replace(step, see={key: word for key, word in step.see.items() if key in ids}) for step in policy.steps
    )
    policy = replace(policy, entitlements=tuple(frozen(row) for row in in_use), steps=steps)
    save_policy(app, policy, actor=actor, now=now)


def _plain(row: EntitlementField) -> dict[str, object]:
    """As the record keeps it: fingerprints of what somebody wrote."""
    return {
        "name": sha256(row.name), "kind": row.kind, "options": sha256(row.options), "required": row.required,
        "default": sha256(row.default or ""), "help": sha256(row.help), "requester": row.requester,
        "position": row.position,
    }  # fmt: skip
