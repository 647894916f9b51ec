"""The words of one entry of the audit log: names for its ids, and each changed setting before and after.

The log holds ids and hashes of free text. Names come from the tables as they are now, so an entry about a deleted
person still reads. A text is shown if it still has the hash of the entry.
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from markupsafe import Markup

from webapp.bidi import listed, named
from webapp.record.entries import Entry, EntryRequest, Names
from webapp.record.events import EventKind
from webapp.text import reference, sha256
from webapp.wording import TIERS, count, first_few
from webapp.workflow.entitlements import shown
from webapp.workflow.policy import Policy
from webapp.workflow.states import Tier

from .rule_changes import Change, rule_changes

NAME = "Countersign"
NOTHING = "nothing"
# In place of texts that have changed since: before, after, and for both at once.
EARLIER, CHANGED_SINCE, CHANGED = "(earlier text)", "(text changed since)", "(text changed)"
TEXT_SHOWN = 200
ABSENT = {
    "icon": "initials",
    "picture": "none",
    "logo": "none",
    "owner": "no one",
    "manager": "no one",
    "audience": "everyone",
    "default_group": "none",
    "time_zone": "organisation default",
    "theme": "system",
}
LABELS = {
    "is_admin": "Admin",
    "time_zone": "Time zone",
    "launch_url": "Launch link",
    "note": "Note to the requester",
    "picture": "Uploaded picture",
    "audience": "Who sees it",
    "asked": "Approvers",
    "tier": "Decided by",
    "approver": "Approver",
    "due_at": "Deadline",
    "address": "Email address",
    "email": "Email address",
    "first_steps": "Setup guide shown",
    "host": "Address",
    "secret_part": "Secret part of the address",  # nosec
    "with_texts": "With what people wrote",
    "outcome_domains": "More domains for outcome emails",
    "sender": "Sender name",
    "tokens_allowed": "People may make API tokens",
    "token_days": "Longest time of an API token",  # nosec
    "second_step_for_admins": "Admins must have a second step",
    "tokens_decide_signed_in": "API tokens may decide where the rules ask to sign in",
    "passwords_for_all": "Everybody may sign in with a password",
    "emergency": "Emergency admins",
    "secret_ends_on": "Client secret ends on",  # nosec
    "creates_people": "Adds people at their first sign-in",
    "links_by_email": "Links people by their verified address",
    "default_group": "Group of new people",
    "help": "Help text",
    "options": "Choices",
    "requester": "For the requester",
}
# Stored values → the words of the screens.
VALUES: dict[str, dict[Any, str]] = {
    "requester": {"hidden": "hidden", "read": "view", "write": "edit"},
    "kind": {"choices": "several choices", "yes_no": "yes or no"},
    "token_days": {30: "30 days", 90: "90 days", 365: "365 days"},
}
# The order in which the settings of something new are shown; other settings follow, but not its position in a list.
_ORDER = ("name", "kind", "options", "default", "help", "required", "requester")
_NOT_OF_A_NEW_ONE = ("position",)


class Words:
    """One entry and the names for its ids."""

    def __init__(self, line: Entry, names: Names, when: Callable[[datetime], str]) -> None:
        self.line, self.names, self.when, self.facts = line, names, when, line.facts

    def say(self, pattern: str, **more: Any) -> Markup:
        """Fills in our own `pattern`; every value is escaped."""
        return Markup(pattern).format(  # nosec
            who=self.who(),
            token=Markup("<b>{}</b>").format(self.token_name(self.facts.get("api_token"))),
            endpoint=self.endpoint(),
            provider=self.provider(),
            directory=Markup("<b>{}</b>").format(self.names.directories.get(self.facts.get("directory") or 0, "")),
            person=self.person(self.line.person),
            app=self.app(),
            group=self.group(),
            field=self.field(),
            request=self.request(),
            ref=self.reference(),
            step=self.step,
            **more,
        )

    def who(self) -> Markup:
        """Who did it, and by which token; a service by its token alone."""
        by = self.line.token
        if self.line.actor is None:
            return (
                Markup("<b>{}</b>").format(NAME)
                if by is None
                else Markup("<b>{}</b> ({})").format(
                    self.token_name(by), "directory" if by in self.names.pushers else "service token"
                )
            )
        person = self.person(self.line.actor)
        return person if by is None else Markup("{} (token {})").format(person, self.token_name(by))

    def token_name(self, id: int | None) -> str:
        return self.names.tokens.get(id or 0, "a deleted token")

    def endpoint(self) -> Markup:
        """The webhook or channel, by its name."""
        what = "webhook" if self.facts.get("endpoint_kind", "webhook") == "webhook" else "chat channel"
        name = self.names.endpoints.get(self.facts.get("endpoint") or 0, "(deleted)")
        return Markup("{} <b>{}</b>").format(what, name)

    def provider(self) -> Markup:
        return Markup("<b>{}</b>").format(self.names.providers.get(self.facts.get("provider") or 0, "a provider"))

    def person(self, id: int | None) -> Markup:
        return Markup("<b>{}</b>").format(self.name(id))

    def name(self, id: int | None) -> str:
        found = self.names.people.get(id) if id is not None else None
        return found.name if found else "a deleted person"

    def app(self) -> Markup:
        asked = self.asked
        id = self.line.app if self.line.app is not None else asked.app if asked else None
        return Markup("<b>{}</b>").format(self.app_name(id))

    def app_name(self, id: int | None) -> str:
        return self.names.apps.get(id or 0, "a deleted app")

    def group(self) -> Markup:
        return Markup("<b>{}</b>").format(self.group_name(self.facts.get("group")))

    def group_name(self, id: int | None) -> str:
        return self.names.groups.get(id or 0, "a deleted group")

    def field(self) -> Markup:
        return Markup("<b>{}</b>").format(self.names.fields.get(self.facts.get("field", 0), "a deleted field"))

    @property
    def asked(self) -> EntryRequest | None:
        """The request that the entry is about."""
        return self.names.requests.get(self.line.request or 0)

    def request(self) -> Markup:
        """Its app and reference, and its person unless they are the actor."""
        asked = self.asked
        if asked is None:
            return Markup("<b>a deleted request</b>")
        whose = "" if asked.person == self.line.actor else f" for {self.name(asked.person)}"
        return Markup('<a href="/requests/{}"><b>{}{}</b></a> ({})').format(
            asked.public_id, self.app_name(asked.app), whose, reference(asked.public_id)
        )

    def reference(self) -> Markup:
        """The reference alone, for sentences that name app and person."""
        asked = self.asked
        if asked is None:
            return Markup("a deleted request")
        return Markup('<a href="/requests/{}">{}</a>').format(asked.public_id, reference(asked.public_id))

    @property
    def own(self) -> bool:
        """Whether actor and person are the same."""
        return self.line.actor == self.line.person

    @property
    def step(self) -> int:
        """The step's number, counted from 1."""
        return int(self.facts.get("step", 0)) + 1

    def number(self, fact: str, unit: str, units: str = "") -> str:
        """ "3 sessions"."""
        return count(int(self.facts.get(fact) or 0), unit, units)

    def approver(self, plain: dict[str, int | None] | None) -> str:
        if not plain:
            return "no one"
        if plain.get("group") is not None:
            return self.group_name(plain["group"])
        return self.name(plain.get("person"))

    def crowd(self, ids: list[int]) -> str:
        if not ids:
            return "no one"
        return first_few([self.name(id) for id in ids])

    def rules(self) -> tuple[Policy | None, Policy | None]:
        def side(name: str) -> Policy | None:
            plain = self.facts.get(name)
            return self.names.rules.get((self.line.app or 0, plain["number"])) if plain else None

        return side("before"), side("after")

    def changes(self) -> list[Change]:
        if self.line.kind == EventKind.POLICY_SAVED:
            was_rule, now_rule = self.rules()
            return rule_changes(was_rule, now_rule, self.approver) if was_rule and now_rule else []
        before, after = self.facts.get("before"), self.facts.get("after")
        if not isinstance(before, dict) and not isinstance(after, dict):
            return []
        if before is None:
            return self._created(after or {})
        after = after or {}
        found = []
        for key in dict.fromkeys([*before, *after]):
            if before.get(key) == after.get(key) or not (label := self._label(key)):
                continue
            was, now = (self._value(key, side.get(key)) for side in (before, after))
            if was is None and now is None:
                found.append(Change(label, "", CHANGED))
            elif was != now:
                found.append(Change(label, was or EARLIER, now or CHANGED_SINCE))
        return found

    def _created(self, after: dict[str, Any]) -> list[Change]:
        """The settings of something new, without the empty ones."""
        ordered = {key: after[key] for key in (*_ORDER, *after) if key in after}
        values = {key: value for key, value in ordered.items() if key not in _NOT_OF_A_NEW_ONE and not _is_empty(value)}
        return [
            Change(label, "", self._value(key, value) or CHANGED_SINCE)
            for key, value in values.items()
            if (label := self._label(key))
        ]

    def _label(self, key: str) -> str:
        for one in self.asked.policy.entitlements if self.asked else ():
            if one.id == key:
                return one.name
        if self.line.kind.startswith("grant.") and key not in LABELS:
            return "A field"
        return LABELS.get(key, key.replace("_", " ").capitalize())

    def _value(self, key: str, value: Any) -> str | None:
        """The value in words; None for a text that has changed since."""
        if isinstance(value, dict) and set(value) == {"value", "by", "at"}:
            value = value["value"]
        if _is_empty(value):
            return ABSENT.get(key, NOTHING)
        if key in ("asked", "emergency"):
            return self.crowd(value)
        if key in ("owner", "default_group") or (isinstance(value, dict) and set(value) == {"person", "group"}):
            return self.approver(value)
        if key == "manager":
            return self.name(value["person"])
        if key == "audience":
            return listed(self.group_name(id) for id in value)
        if key in ("picture", "logo"):
            return f"picture {value[:8]}"  # two different ones have to read differently
        if key == "tier":
            return TIERS[Tier(value)] if value in set(Tier) else str(value)
        if _is_fingerprint(value):
            text = self.names.texts.get(value)
            return text if text is None else named(_in_short(_read(key, text)))
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, dict):
            parts = ((LABELS.get(name, name), self._value(name, one) or CHANGED_SINCE) for name, one in value.items())
            return ", ".join(f"{label}: {words}" for label, words in parts)
        if isinstance(value, list):
            return ", ".join(str(one) for one in value)
        if key in VALUES:
            return VALUES[key].get(value, str(value))
        if key == "due_at":
            return self.when(datetime.fromisoformat(value))
        return shown(value)


# An empty text, and a field without choices.
_EMPTY = {sha256(""), sha256("[]")}


def _is_empty(value: Any) -> bool:
    if isinstance(value, dict) and set(value) == {"value", "by", "at"}:
        value = value["value"]
    return value is None or value in ("", []) or (isinstance(value, str) and value in _EMPTY)


def _is_fingerprint(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _read(key: str, text: str) -> str:
    """Choices and defaults are stored as JSON."""
    if key not in ("options", "default"):
        return text
    try:
        return shown(json.loads(text))
    except ValueError:
        return text


def _in_short(text: str) -> str:
    return text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]}…"
