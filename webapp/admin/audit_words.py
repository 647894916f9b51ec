"""Every kind of line of the audit record as a sentence, with what was before and what came after.

The record holds ids and fingerprints of free text; names come from the tables as they are now, so a line about
somebody who was erased still reads.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from markupsafe import Markup

from webapp.bidi import listed
from webapp.presentation import count
from webapp.queries.audit_lines import Line, Names
from webapp.text import reference
from webapp.times import utc
from webapp.workflow.entitlements import shown
from webapp.workflow.policy import Approver, OutcomeRule, Policy, StepRule
from webapp.workflow.states import Assurance, RequestState, Visibility

# The name in the address, the words, and how the kinds begin.
GROUPS = (
    ("requests", "Requests and decisions", ("request.", "step.", "code.")),
    ("access", "Who has which app", ("grant.",)),
    ("rules", "Apps and their rules", ("app.", "policy.", "field.", "fields.")),
    ("people", "People and groups", ("person.", "group.")),
    ("sign-in", "Sign-in and passwords", ("session.", "password.")),
    ("installation", "The installation", ("organisation.", "audit.", "mail.")),
)

_NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Change:
    """One setting."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Told:
    """A line in words: a sentence, and each setting that it changed."""

    sentence: Markup
    changes: list[Change] = field(default_factory=list)


def tell(line: Line, names: Names, when: Callable[[datetime], str] = utc) -> Told:
    """The line in words. `when` writes a time: as the reader's pages do, or as exports do."""
    words = _Words(line, names, when)
    sentence = SENTENCES.get(line.kind)
    if sentence is None:
        return Told(words.say("{who} did what this version has no words for ({kind}).", kind=line.kind))
    return Told(sentence(words), words.changes())


class _Words:
    """One line with the names for it."""

    def __init__(self, line: Line, names: Names, when: Callable[[datetime], str]) -> None:
        self.line, self.names, self.when, self.facts = line, names, when, line.facts

    def say(self, pattern: str, **more: Any) -> Markup:
        """`pattern` is ours; all that is put in is escaped. Knows {who}, {person}, {app} and {request}."""
        return Markup(pattern).format(  # nosec
            who=self.person(self.line.actor) if self.line.actor is not None else Markup("<b>Countersign</b>"),
            person=self.whom(),
            app=self.app(),
            request=self.request(),
            **more,
        )

    def person(self, id: int | None) -> Markup:
        return Markup("<b>{}</b>").format(self.name(id))

    def name(self, id: int | None) -> str:
        found = self.names.people.get(id) if id is not None else None
        return found.name if found else "somebody who is gone"

    def whom(self) -> Markup:
        """The person the line is about: "themselves" is left to the sentence."""
        return self.person(self.line.person)

    def app(self) -> Markup:
        asked = self.names.requests.get(self.line.request or 0)
        id = self.line.app if self.line.app is not None else asked.app if asked else None
        return Markup("<b>{}</b>").format(self.names.apps.get(id or 0, "an app that is gone"))

    def group(self) -> Markup:
        return Markup("<b>{}</b>").format(self.names.groups.get(self.facts.get("group", 0), "a group that is gone"))

    def field(self) -> Markup:
        return Markup("<b>{}</b>").format(self.names.fields.get(self.facts.get("field", 0), "a field that is gone"))

    def request(self) -> Markup:
        asked = self.names.requests.get(self.line.request or 0)
        if asked is None:
            return Markup("<b>a request that is gone</b>")
        app = self.names.apps.get(asked.app, "an app that is gone")
        return Markup('<a href="/requests/{}"><b>{} for {}</b></a> ({})').format(
            asked.public_id, app, self.name(asked.person), reference(asked.public_id)
        )

    @property
    def own(self) -> bool:
        """They did it to themselves."""
        return self.line.actor == self.line.person

    @property
    def step(self) -> int:
        """Counted from 1, as people do."""
        return int(self.facts.get("step", 0)) + 1

    def approver(self, plain: dict[str, int | None] | None) -> str:
        if not plain:
            return "nobody"
        if plain.get("group") is not None:
            return self.names.groups.get(plain["group"] or 0, "a group that is gone")
        return self.name(plain.get("person"))

    def crowd(self, ids: list[int]) -> str:
        if not ids:
            return "nobody"
        known = [self.name(id) for id in ids[:5]]
        rest = len(ids) - len(known)
        return listed(known) + (f" and {rest} more" if rest else "")

    def changes(self) -> list[Change]:
        if self.line.kind == "policy.saved":
            return [] if not self.facts.get("before") else self._rule_changes()
        before, after = self.facts.get("before"), self.facts.get("after")
        if not isinstance(before, dict) and not isinstance(after, dict):
            return []
        before, after = before or {}, after or {}
        found = []
        for key in dict.fromkeys([*before, *after]):
            label = self._label(key)
            was, now = self._value(key, before.get(key)), self._value(key, after.get(key))
            if label and was != now:
                found.append(Change(label, was, now))
            elif label and before.get(key) != after.get(key) and was == OTHER_WORDS:
                found.append(Change(label, "earlier words", OTHER_WORDS))
        return found

    def _label(self, key: str) -> str:
        if self.line.request is not None:
            asked = self.names.requests.get(self.line.request)
            for one in asked.policy.entitlements if asked else ():
                if one.id == key:
                    return one.name
        if self.line.kind.startswith("grant.") and key not in LABELS:
            return "A field"
        return LABELS.get(key, key.replace("_", " ").capitalize())

    def _value(self, key: str, value: Any) -> str:
        if isinstance(value, dict) and set(value) == {"value", "by", "at"}:
            value = value["value"]
        if value is None or value in ("", []):
            return ABSENT.get(key, _NOTHING)
        if key == "asked":
            return self.crowd(value)
        if key == "owner" or (isinstance(value, dict) and set(value) == {"person", "group"}):
            return self.approver(value)
        if key == "audience":
            return listed(self.names.groups.get(id, "a group that is gone") for id in value)
        if key == "picture":
            return f"picture {value[:8]}"  # two different ones have to read differently
        if key == "tier":
            return TIERS.get(value, str(value))
        if isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef"):
            return OTHER_WORDS
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, dict):
            return ", ".join(f"{LABELS.get(name, name)}: {self._value(name, one)}" for name, one in value.items())
        if isinstance(value, list):
            return ", ".join(str(one) for one in value)
        if key == "due_at":
            return self.when(datetime.fromisoformat(value))
        return shown(value)

    def rules(self) -> tuple[Policy | None, Policy | None]:
        def side(name: str) -> Policy | None:
            plain = self.facts.get(name)
            return self.names.rules.get((self.line.app or 0, plain["number"])) if plain else None

        return side("before"), side("after")

    def _rule_changes(self) -> list[Change]:
        before, after = self.rules()
        if before is None or after is None:
            return []
        pairs: list[tuple[str, str, str]] = [
            ("Approval", _approval(before), _approval(after)),
            ("Time limit", count(before.days, "day"), count(after.days, "day")),
            ("To decide from the mail", _assurance(before), _assurance(after)),
            ("Why it is needed", _comment(before), _comment(after)),
        ]
        for position in range(max(len(before.steps), len(after.steps))):
            was, now = (self._step(rule.steps[position : position + 1]) for rule in (before, after))
            pairs.append((f"Step {position + 1}", was, now))
        pairs += self.seen(before, after)
        pairs += _fields(before, after)
        for state in (RequestState.APPROVED, RequestState.DENIED, RequestState.EXPIRED):
            old, new = before.outcomes.get(state, OutcomeRule()), after.outcomes.get(state, OutcomeRule())
            pairs.append((f"When {state.value}, mail to", _told(old), _told(new)))
            pairs.append((f"Words when {state.value}", old.words or _NOTHING, new.words or _NOTHING))
            pairs.append((f"Reasons when {state.value}", _list(old.reasons), _list(new.reasons)))
        return [Change(*one) for one in pairs if one[1] != one[2]]

    def _step(self, steps: tuple[StepRule, ...]) -> str:
        if not steps:
            return "no such step"
        who = self._approver(steps[0].approver)
        return f"{who} ({count(steps[0].days, 'day')})" if steps[0].days else who

    def _approver(self, approver: Approver) -> str:
        return self.approver({"person": approver.person, "group": approver.group})

    def seen(self, before: Policy, after: Policy) -> list[tuple[str, str, str]]:
        """What each approver may do with each field, wherever in the order their step stands."""
        was = {step.approver: step.see for step in before.steps}
        return [
            (
                f"{one.name} for {self._approver(step.approver)}",
                was.get(step.approver, {}).get(one.id, Visibility.HIDDEN).value,
                step.see.get(one.id, Visibility.HIDDEN).value,
            )
            for step in after.steps
            for one in after.entitlements
        ]


OTHER_WORDS = "other words"
ABSENT = {
    "icon": "the first letters",
    "picture": "none",
    "owner": "nobody",
    "audience": "everyone",
    "time_zone": "the company’s",
    "theme": "as the system says",
}
TIERS = {"approver": "the approver", "owner": "the app’s owner", "admins": "the admins", "nobody": "nobody"}
LABELS = {
    "is_admin": "Admin",
    "time_zone": "Time zone",
    "launch_url": "Launch link",
    "note": "Note to the requester",
    "picture": "Uploaded picture",
    "audience": "Who sees it",
    "asked": "Who is asked",
    "tier": "Decided by",
    "approver": "Approver",
    "due_at": "Deadline",
    "address": "Address",
    "email": "Address",
    "first_steps": "Led through the first steps",
    "outcome_domains": "More domains for outcome emails",
}


def _approval(policy: Policy) -> str:
    return "required" if policy.approval_required else "not required"


def _assurance(policy: Policy) -> str:
    return "the code is enough" if policy.assurance is Assurance.CODE else "sign in first"


def _comment(policy: Policy) -> str:
    return "has to be said" if policy.comment_required else "may be said"


def _told(rule: OutcomeRule) -> str:
    told = [words for words, on in (("the requester", rule.requester), ("the approvers", rule.approvers)) if on]
    return ", ".join([*told, *rule.others]) or "nobody"


def _list(texts: tuple[str, ...]) -> str:
    return ", ".join(f"“{text}”" for text in texts) or "none"


def _fields(before: Policy, after: Policy) -> list[tuple[str, str, str]]:
    was, now = ({one.id: one for one in rule.entitlements} for rule in (before, after))
    found = []
    for id in dict.fromkeys([*was, *now]):
        old, new = was.get(id), now.get(id)
        if old == new:
            continue
        name = (new or old).name  # type: ignore[union-attr]
        if old is None or new is None:
            found.append((f"Field {name}", "not there" if old is None else "there", "there" if new else "archived"))
            continue
        for label, key in (
            ("name", "name"), ("kind", "kind"), ("choices", "options"), ("required", "required"),
            ("default", "default"), ("help", "help"), ("for the requester", "requester"),
        ):  # fmt: skip
            left, right = getattr(old, key), getattr(new, key)
            if left != right:
                found.append((f"Field {name}, {label}", _plain(left), _plain(right)))
    return found


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or _NOTHING
    if isinstance(value, Visibility):
        return value.value
    return shown(value) if value not in (None, "") else _NOTHING


def _policy_saved(words: _Words) -> Markup:
    before, after = words.rules()
    if before is None or after is None:
        return words.say("{who} set the first rule of {app}.") + _asked_twice(words)
    if before.approval_required != after.approval_required:
        return words.say("{who} turned approval {how} for {app}.", how="on" if after.approval_required else "off")
    if [step.approver for step in before.steps] != [step.approver for step in after.steps]:
        return words.say("{who} changed who decides on {app}.") + _asked_twice(words)
    if any(was != now for _, was, now in words.seen(before, after)):
        return words.say("{who} changed what steps see of {app}.")
    if [step.days for step in before.steps] != [step.days for step in after.steps]:
        return words.say("{who} changed how much time the steps of {app} have.")
    return words.say("{who} changed the rules of {app}.")


def _asked_twice(words: _Words) -> Markup:
    twice = words.facts.get("asked_twice")
    if not twice:
        return Markup("")
    return words.say(" {them} can be asked in more than one step.", them=words.crowd(twice))


def _app_changed(words: _Words) -> Markup:
    after = words.facts.get("after") or {}
    if set(after) == {"requestable"}:
        if after["requestable"]:
            return words.say("{who} put {app} into the catalog.")
        return words.say("{who} took {app} out of the catalog.")
    if set(after) == {"owner"}:
        return words.say("{who} changed who owns {app}.")
    if set(after) == {"audience"}:
        return words.say("{who} changed who sees {app}.")
    if set(after) <= {"icon", "picture"}:
        return words.say("{who} changed the icon of {app}.")
    if set(after) == {"note"}:
        return words.say("{who} changed the note to those who ask for {app}.")
    return words.say("{who} changed {app}.")


def _person_changed(words: _Words) -> Markup:
    after = words.facts.get("after") or {}
    if set(after) == {"is_admin"}:
        if after["is_admin"]:
            return words.say("{who} made {person} an admin.")
        return words.say("{who} took the admin’s rights from {person}.")
    if words.own:
        return words.say("{who} changed their own settings.")
    return words.say("{who} changed the account of {person}.")


def _added(words: _Words) -> Markup:
    if words.line.request is not None:
        return words.say("{person} got {app}: {request} was approved.")
    if words.own:
        if words.facts.get("alone"):
            return words.say(
                "{who} added {app}, which they had opened to themselves: there was no other owner or admin."
            )
        return words.say("{who} added {app}, which needs no approval.")
    return words.say("{who} granted {person} access to {app} without a request.")


def _decided(verb: str) -> Callable[[_Words], Markup]:
    how = {
        "code": ", with the code from the mail",
        "admin": " as an admin, past the steps",
        "api": ", through the interface for programs",
    }

    def sentence(words: _Words) -> Markup:
        said = how.get(words.facts.get("channel", ""), "")
        if words.facts.get("vouched"):
            said += ", with an account whose sign-in link the requester had sent"
        return words.say("{who} {verb} step {step} of {request}{how}.", verb=verb, step=words.step, how=said)

    return sentence


def _opened(words: _Words) -> Markup:
    return words.say(
        "Step {step} of {request} opened: {asked} may decide{tier}.",
        step=words.step,
        asked=words.crowd(words.facts.get("asked", [])),
        tier={"owner": ", as the app’s owner", "admins": ", as admins"}.get(words.facts.get("tier", ""), ""),
    )


def _reassigned(words: _Words) -> Markup:
    if words.line.actor is not None:
        return words.say("{who} gave step {step} of {request} to somebody else.", step=words.step)
    return words.say("Who may decide step {step} of {request} was worked out anew.", step=words.step)


def _renewed(words: _Words) -> Markup:
    asked = words.line.actor if words.line.actor is not None else words.line.person
    why = "asked for a new link and code" if words.line.actor is not None else "got a new link and code"
    return words.say("{them} {why} for {request}.", them=words.person(asked), why=why)


def _closed(words: _Words) -> Markup:
    return words.say("Five wrong codes closed the code of {them} for {request}.", them=words.person(words.line.person))


def _cancelled(words: _Words) -> Markup:
    return words.say("{who} took back {request}." if words.own else "{who} cancelled {request}.")


def _sessions_ended(words: _Words) -> Markup:
    ended = count(int(words.facts.get("sessions", 1)), "browser")
    if words.own:
        return words.say("{who} signed out of {ended}.", ended=ended)
    return words.say("{who} signed {person} out of {ended}.", ended=ended)


def _session_started(words: _Words) -> Markup:
    if words.facts.get("session_kind") == "decisions":
        return words.say("{who} had a browser remembered for their decisions.")
    return words.say("{who} signed in.")


def _person_created(words: _Words) -> Markup:
    return words.say("{who} added {person}{admin}.", admin=" as an admin" if words.facts.get("is_admin") else "")


def _extended(words: _Words) -> Markup:
    days = count(int(words.facts.get("days", 0)), "day")
    return words.say("{who} gave step {step} of {request} {days} more.", step=words.step, days=days)


def _verified(words: _Words) -> Markup:
    lines = count(int(words.facts.get("lines", 0)), "line")
    if words.facts.get("holds") and words.facts.get("newest"):
        return words.say("{who} checked the newest {lines} of the record: they are as they were written.", lines=lines)
    if words.facts.get("holds"):
        return words.say("{who} checked the record: all {lines} are as they were written.", lines=lines)
    return words.say("{who} checked the record: it does not hold, only {lines} before the break do.", lines=lines)


def _plainly(pattern: str) -> Callable[[_Words], Markup]:
    return lambda words: words.say(pattern)


def _copied(words: _Words) -> Markup:
    source = Markup("<b>{}</b>").format(words.names.apps.get(words.facts.get("source", 0), "an app that is gone"))
    with_fields = " with its fields" if words.facts.get("with_fields") else ""
    return words.say("{who} copied the rules of {source}{fields} to {app}.", source=source, fields=with_fields)


def _with_group(pattern: str) -> Callable[[_Words], Markup]:
    return lambda words: words.say(pattern, group=words.group())


def _with_field(pattern: str) -> Callable[[_Words], Markup]:
    return lambda words: words.say(pattern, field=words.field())


SENTENCES: dict[str, Callable[[_Words], Markup]] = {
    "app.archived": _plainly("{who} archived {app}."),
    "app.changed": _app_changed,
    "app.created": _plainly("{who} added the app {app}."),
    "app.restored": _plainly("{who} brought {app} back from the archive."),
    "audit.verified": _verified,
    "code.closed": _closed,
    "code.mailed_again": _plainly("{who} asked for the mail with the code once more, for {request}."),
    "code.renewed": _renewed,
    "field.archived": _with_field("{who} archived the field {field} of {app}."),
    "field.changed": _with_field("{who} changed the field {field} of {app}."),
    "field.created": _with_field("{who} added the field {field} to {app}."),
    "field.restored": _with_field("{who} brought the field {field} of {app} back from the archive."),
    "fields.ordered": _plainly("{who} changed the order of the fields of {app}."),
    "grant.added": _added,
    "grant.failed": _plainly("{app} could not be set up for {person}."),
    "grant.provisioning": _plainly("{app} is being set up for {person}."),
    "grant.removed": _plainly("{who} took {app} away from {person}."),
    "grant.updated": _plainly("The fields of {app} for {person} were brought up to date by {request}."),
    "group.archived": _with_group("{who} archived the group {group}."),
    "group.changed": _with_group("{who} renamed the group {group}."),
    "group.created": _with_group("{who} added the group {group}."),
    "group.member_added": _with_group("{who} put {person} into {group}."),
    "group.member_removed": _with_group("{who} took {person} out of {group}."),
    "mail.dropped": _plainly("{who} dropped mails that were held after a restore."),
    "mail.held": _plainly("The database was restored from a backup; what was due is held."),
    "mail.let_go": _plainly("{who} let the mails go that were held after a restore."),
    "mail.sent_again": _plainly("{who} had a mail sent again that could not be delivered."),
    "mail.tested": _plainly("{who} asked for a test mail."),
    "organisation.changed": _plainly("{who} changed the organisation settings."),
    "password.link_mailed": _plainly("{who} had a link to set a new password mailed to {person}."),
    "password.set": _plainly("{who} set a new password."),
    "person.changed": _person_changed,
    "person.created": _person_created,
    "person.deactivated": _plainly("{who} deactivated {person}."),
    "person.invited": _plainly("{who} sent {person} the invitation again."),
    "person.reactivated": _plainly("{who} reactivated {person}."),
    "policy.copied": _copied,
    "policy.saved": _policy_saved,
    "request.cancelled": _cancelled,
    "request.commented": _plainly("{who} wrote a comment on {request}."),
    "request.expired": _plainly("{request} expired: nobody had answered in time."),
    "request.reminded": _plainly("{who} asked the approvers of {request} once more."),
    "request.submitted": _plainly("{who} asked for {request}."),
    "session.ended": _sessions_ended,
    "session.proved": _plainly("{who} gave their password once more."),
    "session.started": _session_started,
    "step.approved": _decided("approved"),
    "step.denied": _decided("denied"),
    "step.extended": _extended,
    "step.opened": _opened,
    "step.reassigned": _reassigned,
}
