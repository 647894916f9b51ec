"""The sections of an app's page: their present values, the submitted values, and how they are saved.

Each section is saved by itself. Its form carries the values it was drawn with (`was`), and is refused if someone else
has changed one of them since.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from werkzeug.datastructures import MultiDict

from webapp.models import App, EntitlementField
from webapp.operations import apps as operations
from webapp.operations import icons
from webapp.operations.errors import Conflict, Invalid
from webapp.queries.app_list import AppRow
from webapp.queries.principals import Principal
from webapp.queries.rules import Members
from webapp.text import clean, one_line
from webapp.web import access
from webapp.web.assets import APP_ICONS
from webapp.wording import count
from webapp.workflow.actor import AnyActor
from webapp.workflow.policy import DAYS_LIMIT, OutcomeRule, StepRule
from webapp.workflow.states import Assurance, RequestState

Values = dict[str, Any]
Form = MultiDict[str, str]


@dataclass(frozen=True, slots=True)
class AppPage:
    """All that an app's page shows."""

    row: AppRow
    steps: list[Principal | None]
    audience: list[Principal]
    members: dict[int, Members] = field(default_factory=dict)
    twice: tuple[str, ...] = ()
    fields: list[EntitlementField] = field(default_factory=list)
    own: bool = False  # the reader has a pending request for it, so they may not change its rules
    outside: frozenset[str] = frozenset()  # addresses of outcomes outside of the allowed domains, which get no email
    domains: tuple[str, ...] = ()  # domains that an admin has allowed, besides those of people

    @property
    def named_steps(self) -> list[tuple[StepRule, Principal]]:
        """Each step of the rule with its approver."""
        pairs = zip(self.row.policy.steps, self.steps, strict=True)
        return [(rule, approver) for rule, approver in pairs if approver is not None]


@dataclass(slots=True)
class Section:
    """One section as it is drawn: `values` are the stored ones, or the submitted ones if they were refused."""

    values: Values
    was: str
    errors: dict[str, str] = field(default_factory=dict)
    saved: bool = False
    item: str = ""  # the step, field or part that was saved or refused


@dataclass(frozen=True, slots=True)
class Setting:
    """How one section is read from the page, from its form, and saved.

    `save` raises Invalid or Conflict. Two people who flip the same switch are a conflict, even with the same result.
    After a refusal switches and choices (`is_picked`) show the stored value, other fields keep the input.
    """

    name: str
    current: Callable[[AppPage], Values]
    typed: Callable[[Form], Values]
    save: Callable[[App, AppPage, Values, AnyActor, datetime], None]
    is_switch: bool = False
    is_picked: bool = False

    @property
    def keeps_typed(self) -> bool:
        return not (self.is_switch or self.is_picked)


def draw(setting: Setting, page: AppPage, *, saved: bool = False) -> Section:
    values = setting.current(page)
    return Section(values, stamp(values), saved=saved)


def stamp(values: Values) -> str:
    """Serialize values for the hidden field `was`; a switch is "on" or "off"."""
    if list(values) == ["on"]:
        return "on" if values["on"] else "off"
    return json.dumps(values, sort_keys=True, ensure_ascii=False)


def save(setting: Setting, page: AppPage, app: App, form: Form, *, actor: AnyActor, now: datetime) -> None:
    """Save the submitted values. Raises Invalid, or Conflict when someone else has changed them since."""
    current = setting.current(page)
    wanted = current | setting.typed(form)
    stale = form.get("was") != stamp(current)
    if setting.is_switch and stale:
        raise Conflict(f"Someone else changed {_SWITCHES[setting.name]} for {app.name}. The current value is shown.")
    if wanted == current:
        return
    if stale and setting.is_picked:
        raise Conflict("Someone else changed this. The current value is shown.")
    if stale:
        raise Conflict(CHANGED)
    setting.save(app, page, wanted, actor, now)


CHANGED = "Someone else changed this. Your text is still here. Save again to overwrite their change."


def _value(named: Principal | None) -> str:
    return named.value if named is not None else ""


def _detail(key: str, clean: Callable[[str], str] = one_line) -> Setting:
    """The setting of a text about the app."""

    def save(app: App, page: AppPage, values: Values, actor: AnyActor, now: datetime) -> None:
        operations.change_details(app, **values, actor=actor, now=now)

    return Setting(
        key, lambda page: {key: getattr(page.row.app, key)}, lambda form: {key: clean(form.get(key, ""))}, save
    )


def _icon_save(app: App, page: AppPage, values: Values, actor: AnyActor, now: datetime) -> None:
    if values["icon"] and values["icon"] not in APP_ICONS:
        raise Invalid(icon="Choose one of these pictures.")
    icons.choose(app, values["icon"], actor=actor, now=now)


def _requestable_save(app: App, page: AppPage, values: Values, actor: AnyActor, now: datetime) -> None:
    operations.set_requestable(app, requestable=values["on"], actor=actor, now=now)


def _required_save(app: App, page: AppPage, values: Values, actor: AnyActor, now: datetime) -> None:
    operations.set_approval_required(app, required=values["on"], actor=actor, now=now)


def _comment_save(app: App, page: AppPage, values: Values, actor: AnyActor, now: datetime) -> None:
    operations.change_policy(app, comment_required=values["on"], actor=actor, now=now)


def _assurance_save(app: App, page: AppPage, values: Values, actor: AnyActor, now: datetime) -> None:
    try:
        assurance = Assurance(values["assurance"])
    except ValueError:
        raise Invalid(assurance="Choose one of the two.") from None
    operations.change_policy(app, assurance=assurance, actor=actor, now=now)


def _audience_typed(form: Form) -> Values:
    """The submitted groups, without the one in `without`."""
    return {"audience": sorted({*form.getlist("audience")} - {form.get("without", "")})}


def _audience_save(app: App, page: AppPage, values: Values, actor: AnyActor, now: datetime) -> None:
    groups = access.chosen_groups([one.removeprefix("group:") for one in values["audience"]], field="audience")
    operations.set_audience(app, groups=groups, actor=actor, now=now)


def _note_save(app: App, page: AppPage, values: Values, actor: AnyActor, now: datetime) -> None:
    operations.set_note(app, note=values["note"], actor=actor, now=now)


def _owner_save(app: App, page: AppPage, values: Values, actor: AnyActor, now: datetime) -> None:
    operations.set_owner(app, owner=access.chosen_approver(values["owner"], field="owner"), actor=actor, now=now)


def _days_save(app: App, page: AppPage, values: Values, actor: AnyActor, now: datetime) -> None:
    given, days = values["days"], page.row.policy.days
    if not (given.isascii() and given.isdigit() and len(given) < 4 and 1 <= int(given) <= DAYS_LIMIT):
        raise Invalid(days=f"Enter a number from 1 to {DAYS_LIMIT}. The limit is still {count(days, 'day')}.")
    operations.change_policy(app, days=int(given), actor=actor, now=now)


def _outcome(
    state: RequestState, part: str, keys: Mapping[str, str], typed: Callable[[Form], Values], *, is_picked: bool = False
) -> Setting:
    """The setting of a part of the emails when a request ends in this state. `keys`: form field → part of the rule."""

    def current(page: AppPage) -> Values:
        rule = page.row.policy.outcomes.get(state, OutcomeRule())
        return {field: getattr(rule, key) for field, key in keys.items()}

    def save(app: App, page: AppPage, values: Values, actor: AnyActor, now: datetime) -> None:
        changes = {key: values[field] for field, key in keys.items()}
        operations.set_outcome(app, state, **changes, actor=actor, now=now)

    return Setting(f"{state.value}-{part}", current, typed, save, is_picked=is_picked)


def _outcomes(state: RequestState) -> tuple[Setting, Setting]:
    return (
        _outcome(state, "mail", {"requester": "requester", "approvers": "approvers"},
                 lambda form: {key: form.get(key) == "1" for key in ("requester", "approvers")},
                 is_picked=True),
        _outcome(state, "words", {"words": "message"}, lambda form: {"words": clean(form.get("words", ""))}),
    )  # fmt: skip


def _switch_typed(form: Form) -> Values:
    return {"on": form.get("on") == "1"}


_SWITCHES = {
    "requestable": "Requestable",
    "approval-required": "Approval required",
    "comment-required": "Reason required",
}

_ALL = (
    _detail("name"),
    _detail("description", clean),
    _detail("category"),
    _detail("launch_url"),
    Setting(
        "icon",
        lambda page: {"icon": page.row.app.icon, "picture": page.row.app.icon_hash},
        # Choosing an icon of the set removes the uploaded picture.
        lambda form: {"icon": form.get("icon", ""), "picture": ""},
        _icon_save,
        is_picked=True,
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
        is_picked=True,
    ),
    Setting(
        "audience",
        lambda page: {"audience": sorted(one.value for one in page.audience)},
        _audience_typed,
        _audience_save,
        is_picked=True,
    ),
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
        is_picked=True,
    ),
    Setting(
        "time-limit",
        lambda page: {"days": str(page.row.policy.days)},
        lambda form: {"days": one_line(form.get("days", ""))},
        _days_save,
    ),
    *_outcomes(RequestState.APPROVED),
    *_outcomes(RequestState.DENIED),
    *_outcomes(RequestState.EXPIRED),
)
SETTINGS = {setting.name: setting for setting in _ALL}
