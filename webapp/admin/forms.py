"""What the forms of an app's page carry: its present values, what was typed, and how that is saved.

Each section is saved by itself. It carries the values it was drawn with, and is refused only if one of
those was changed by somebody else meanwhile.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from werkzeug.datastructures import MultiDict

from webapp.assets import APP_ICONS
from webapp.models import App, EntitlementField, Person
from webapp.operations import apps as operations
from webapp.operations import icons
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import admin as queries
from webapp.queries.admin import AppRow, Named
from webapp.queries.rules import Members
from webapp.text import clean, one_line
from webapp.workflow.policy import DAYS_LIMIT, Approver, OutcomeRule, StepRule
from webapp.workflow.states import Assurance, RequestState

Values = dict[str, Any]
Form = MultiDict[str, str]


@dataclass(frozen=True, slots=True)
class AppPage:
    """All that an app's page shows."""

    row: AppRow
    steps: list[Named | None]
    audience: list[tuple[str, str, bool]]
    members: dict[int, Members] = field(default_factory=dict)
    twice: tuple[str, ...] = ()
    fields: list[EntitlementField] = field(default_factory=list)
    own: bool = False  # the reader has asked for it, so they may not change its rules

    def step(self, value: str) -> Approver:
        """The approver of the step that a form's value stands for. Raises Conflict."""
        found = next((one for one in self.steps if one is not None and one.value == value), None)
        if found is None:
            raise Conflict("Somebody else removed this step meanwhile.")
        return found.approver


@dataclass(slots=True)
class Section:
    """One form of the page as it is drawn: `values` are the present ones, or what was typed if it was refused."""

    values: Values
    was: str
    errors: dict[str, str] = field(default_factory=dict)
    saved: bool = False
    mark: str = ""  # which part of it was saved or refused


@dataclass(frozen=True, slots=True)
class Setting:
    """How one section is read from the page, from its form, and saved.

    `save` raises Invalid or Conflict. A switch has one value; flipping it twice is a conflict, not the same wish.
    """

    name: str
    current: Callable[[AppPage], Values]
    typed: Callable[[Form], Values]
    save: Callable[[App, AppPage, Values, Person, datetime], None]
    is_switch: bool = False


def draw(setting: Setting, page: AppPage, *, saved: bool = False) -> Section:
    values = setting.current(page)
    return Section(values, stamp(values), saved=saved)


def stamp(values: Values) -> str:
    """Values as one text, for the hidden field that says what a form was drawn with; a switch is "on" or "off"."""
    if list(values) == ["on"]:
        return "on" if values["on"] else "off"
    return json.dumps(values, sort_keys=True, ensure_ascii=False)


def save(setting: Setting, page: AppPage, app: App, form: Form, *, actor: Person, now: datetime) -> None:
    """Saves what was typed. Raises Invalid, or Conflict when somebody else has changed the same meanwhile."""
    current = setting.current(page)
    wanted = current | setting.typed(form)
    if setting.is_switch and form.get("was") != stamp(current):
        raise Conflict(f"{_SWITCHES[setting.name]} for {app.name} was changed by somebody else. Look at how it is now.")
    if wanted == current:
        return
    if form.get("was") != stamp(current):
        raise Conflict("Somebody else changed this meanwhile. What you wrote is still here: save again to replace it.")
    setting.save(app, page, wanted, actor, now)


def _value(named: Named | None) -> str:
    return named.value if named is not None else ""


def approver_of(value: str, *, field: str) -> Approver | None:
    """Raises Invalid."""
    if not value:
        return None
    found = queries.chosen(value)
    if found is None:
        raise Invalid(**{field: "Choose somebody from the list: they are not there any more."})
    return found.approver


def _details_typed(form: Form) -> Values:
    values = {
        "name": one_line(form.get("name", "")),
        "description": clean(form.get("description", "")),
        "category": one_line(form.get("category", "")),
    }
    # An owner who is no admin has no field for it.
    return values | ({"launch_url": one_line(form["launch_url"])} if "launch_url" in form else {})


def _details_save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
    operations.change_details(app, **values, actor=actor, now=now)


def _icon_save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
    if values["icon"] and values["icon"] not in APP_ICONS:
        raise Invalid(icon="Choose one of these pictures.")
    icons.choose(app, values["icon"], actor=actor, now=now)


def _requestable_save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
    operations.set_requestable(app, requestable=values["on"], actor=actor, now=now)


def _required_save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
    operations.set_approval_required(app, required=values["on"], actor=actor, now=now)


def _comment_save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
    operations.change_policy(app, comment_required=values["on"], actor=actor, now=now)


def _assurance_save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
    try:
        assurance = Assurance(values["assurance"])
    except ValueError:
        raise Invalid(assurance="Choose one of the two.") from None
    operations.change_policy(app, assurance=assurance, actor=actor, now=now)


def _audience_current(page: AppPage) -> Values:
    groups = sorted(key for key, _, is_chosen in page.audience if is_chosen)
    return {"audience": "everyone" if page.row.app.for_everyone else "groups", "groups": groups}


def _audience_typed(form: Form) -> Values:
    audience = form.get("audience", "")
    return {"audience": audience, "groups": sorted(form.getlist("groups")) if audience == "groups" else []}


def _audience_save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
    if values["audience"] not in ("everyone", "groups"):
        raise Invalid(audience="Choose everyone or some groups.")
    if values["audience"] == "groups" and not values["groups"]:
        raise Invalid(audience="Choose at least one group, or everyone.")
    groups = queries.groups_by_public_id(values["groups"])
    if len(groups) != len(values["groups"]):
        raise Invalid(audience="One of these groups is not there any more. Reload the page and choose again.")
    operations.set_audience(app, groups=groups, actor=actor, now=now)


def _note_save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
    operations.set_note(app, note=values["note"], actor=actor, now=now)


def _owner_save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
    operations.set_owner(app, owner=approver_of(values["owner"], field="owner"), actor=actor, now=now)


def _steps_current(page: AppPage) -> Values:
    if len(page.steps) > 1:
        return {"approver": None}  # equal to nothing that this page could send
    return {"approver": _value(page.steps[0]) if page.steps else ""}


def _steps_save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
    rules = page.row.policy.steps
    if len(rules) > 1:
        raise Conflict(f"{app.name} has {len(rules)} steps now. Look at them and change the one you mean.")
    approver = approver_of(values["approver"], field="approver")
    if approver is None:
        steps = []
    elif rules:
        # The time limit of the step's own, and who sees which field, stay.
        steps = [replace(rules[0], approver=approver)]
    else:
        steps = [StepRule(approver)]
    operations.set_steps(app, steps=steps, actor=actor, now=now)


def _days_save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
    given, days = values["days"], page.row.policy.days
    if not (given.isascii() and given.isdigit() and len(given) < 4 and 1 <= int(given) <= DAYS_LIMIT):
        shown = f"{given[:20]} was" if given else "That was"
        raise Invalid(
            days=f"Choose 1 to {DAYS_LIMIT} days. {shown} not saved; the limit is still {days} day{'s' * (days != 1)}."
        )
    operations.change_policy(app, days=int(given), actor=actor, now=now)


def _outcome_current(state: RequestState) -> Callable[[AppPage], Values]:
    def current(page: AppPage) -> Values:
        rule = page.row.policy.outcomes.get(state, OutcomeRule())
        values = {
            "requester": rule.requester,
            "approvers": rule.approvers,
            "others": "\n".join(rule.others),
            "words": rule.words,
        }
        return values | ({"reasons": "\n".join(rule.reasons)} if state is RequestState.DENIED else {})

    return current


def _outcome_typed(state: RequestState) -> Callable[[Form], Values]:
    def typed(form: Form) -> Values:
        values = {
            "requester": form.get("requester") == "1",
            "approvers": form.get("approvers") == "1",
            "others": "\n".join(form.get("others", "").replace(",", " ").replace(";", " ").split()),
            "words": clean(form.get("words", "")),
        }
        return values | ({"reasons": clean(form.get("reasons", ""))} if state is RequestState.DENIED else {})

    return typed


def _outcome_save(state: RequestState) -> Callable[[App, AppPage, Values, Person, datetime], None]:
    def save(app: App, page: AppPage, values: Values, actor: Person, now: datetime) -> None:
        operations.set_outcome(
            app,
            state,
            requester=values["requester"],
            approvers=values["approvers"],
            others=values["others"].splitlines(),
            words=values["words"],
            reasons=values.get("reasons", "").splitlines(),
            actor=actor,
            now=now,
        )

    return save


def _outcome(state: RequestState) -> Setting:
    return Setting(state.value, _outcome_current(state), _outcome_typed(state), _outcome_save(state))


def _switch_typed(form: Form) -> Values:
    return {"on": form.get("on") == "1"}


_SWITCHES = {
    "requestable": "Requestable",
    "approval-required": "Approval required",
    "comment-required": "Comment required",
}

_ALL = (
    Setting(
        "details",
        lambda page: {key: getattr(page.row.app, key) for key in ("name", "description", "category", "launch_url")},
        _details_typed,
        _details_save,
    ),
    Setting(
        "icon",
        lambda page: {"icon": page.row.app.icon, "picture": page.row.app.icon_hash},
        # Whoever chooses from the set gives the uploaded picture up.
        lambda form: {"icon": form.get("icon", ""), "picture": ""},
        _icon_save,
    ),
    Setting(
        "requestable", lambda page: {"on": page.row.app.requestable}, _switch_typed, _requestable_save, is_switch=True
    ),
    Setting(
        "approval-required",
        lambda page: {"on": page.row.policy.approval_required},
        _switch_typed,
        _required_save,
        is_switch=True,
    ),
    Setting(
        "comment-required",
        lambda page: {"on": page.row.policy.comment_required},
        _switch_typed,
        _comment_save,
        is_switch=True,
    ),
    Setting(
        "assurance",
        lambda page: {"assurance": page.row.policy.assurance.value},
        lambda form: {"assurance": form.get("assurance", "")},
        _assurance_save,
    ),
    Setting("audience", _audience_current, _audience_typed, _audience_save),
    Setting(
        "note",
        lambda page: {"note": page.row.app.note},
        lambda form: {"note": clean(form.get("note", ""))},
        _note_save,
    ),
    Setting(
        "owner",
        lambda page: {"owner": _value(page.row.owner)},
        lambda form: {"owner": form.get("owner", "")},
        _owner_save,
    ),
    Setting("steps", _steps_current, lambda form: {"approver": form.get("approver", "")}, _steps_save),
    Setting(
        "time-limit",
        lambda page: {"days": str(page.row.policy.days)},
        lambda form: {"days": one_line(form.get("days", ""))},
        _days_save,
    ),
    _outcome(RequestState.APPROVED),
    _outcome(RequestState.DENIED),
    _outcome(RequestState.EXPIRED),
)
SETTINGS = {setting.name: setting for setting in _ALL}
