"""The sentence of each kind of entry of the audit log: {who} did {what}. The table ENTRY_KINDS has a row for each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from markupsafe import Markup

from webapp.record.entries import Entry, Names
from webapp.record.events import EventKind
from webapp.times import utc
from webapp.wording import OVERRIDE, SIGN_IN_METHODS, TIERS
from webapp.workflow.states import Tier

from .entry_words import Words
from .rule_changes import Change, seen


def _policy_saved(words: Words) -> Markup:
    before, after = words.rules()
    twice = words.facts.get("asked_twice")
    also = (
        words.say(" {them} can now be asked in more than one step.", them=words.crowd(twice)) if twice else Markup("")
    )
    if before is None or after is None:
        return words.say("{who} set the first rules of {app}.") + also
    if before.approval_required != after.approval_required:
        return words.say("{who} turned approval {how} for {app}.", how="on" if after.approval_required else "off")
    if [step.approver for step in before.steps] != [step.approver for step in after.steps]:
        return words.say("{who} changed the approvers of {app}.") + also
    if any(was != now for _, was, now in seen(before, after, words.approver)):
        return words.say("{who} changed the field access of {app}.")
    if [step.days for step in before.steps] != [step.days for step in after.steps]:
        return words.say("{who} changed the time limits of {app}.")
    return words.say("{who} changed the rules of {app}.")


def _app_changed(words: Words) -> Markup:
    after = words.facts.get("after") or {}
    if set(after) == {"requestable"}:
        return words.say("{who} made {app} {how}.", how="requestable" if after["requestable"] else "not requestable")
    if set(after) <= {"icon", "picture"} and after:
        return words.say("{who} changed the icon of {app}.")
    only = {
        "owner": "{who} changed the owner of {app}.",
        "audience": "{who} changed who sees {app}.",
        "note": "{who} changed the note to requesters of {app}.",
    }
    key = next(iter(after)) if len(after) == 1 else ""
    return words.say(only.get(key, "{who} changed {app}."))


def _person_changed(words: Words) -> Markup:
    after = words.facts.get("after") or {}
    if set(after) == {"is_admin"}:
        if after["is_admin"]:
            return words.say("{who} made {person} an admin.")
        return words.say("{who} removed admin rights from {person}.")
    if set(after) in ({"manager"}, {"department"}):
        return words.say("{who} changed the {what} of {person}.", what=next(iter(after)))
    if words.own:
        return words.say("{who} changed their own settings.")
    return words.say("{who} changed the account of {person}.")


def _removed(words: Words) -> Markup:
    return words.say("{who} gave {app} back." if words.own else "{who} removed {person}’s access to {app}.")


def _added(words: Words) -> Markup:
    if words.line.request is not None:
        return words.say("{person} got access to {app} ({ref}).")
    if words.own and words.facts.get("alone"):
        return words.say("{who} added {app} after opening it to themselves: there was no other owner or admin.")
    if words.own:
        return words.say("{who} added {app} without approval.")
    how = ", with an account whose sign-in link they had sent" if words.facts.get("vouched") else ""
    return words.say("{who} granted {person} access to {app} without a request{how}.", how=how)


def _decided(verb: str) -> Callable[[Words], Markup]:
    how = {"code": ", with the code from the email", "admin": f" {OVERRIDE} (override)", "api": ", through the API"}

    def sentence(words: Words) -> Markup:
        detail = how.get(words.facts.get("channel", ""), "")
        if words.facts.get("vouched"):
            detail += ", with an account whose sign-in link the requester had sent"
        return words.say("{who} {verb} step {step} of {request}{how}.", verb=verb, how=detail)

    return sentence


def _opened(words: Words) -> Markup:
    tier = words.facts.get("tier")
    tier = f" ({TIERS[Tier(tier)]})" if tier in (Tier.OWNER, Tier.ADMINS) else ""
    asked = words.crowd(words.facts.get("asked", []))
    return words.say("Step {step} of {request} started. Approvers: {asked}{tier}.", asked=asked, tier=tier)


def _reassigned(words: Words) -> Markup:
    if words.line.actor is not None:
        return words.say("{who} reassigned step {step} of {request}.")
    return words.say("The approvers of step {step} of {request} were updated.")


def _renewed(words: Words) -> Markup:
    if words.line.actor is not None:
        return words.say("{who} requested a new link and code for {request}.")
    return words.say("{person} was sent a new link and code for {request}.")


def _sessions_ended(words: Words) -> Markup:
    ended = words.number("sessions", "session")
    return words.say("{who} ended {ended}." if words.own else "{who} ended {ended} of {person}.", ended=ended)


def _session_started(words: Words) -> Markup:
    if words.facts.get("session_kind") == "decisions":
        return words.say("{who} marked a browser as trusted for approvals.")
    if words.facts.get("provider"):
        return words.say("{who} signed in with {provider}.")
    how = SIGN_IN_METHODS.get(words.facts.get("method", ""), "")
    return words.say("{who} signed in{how}.", how=f" with {how}" if how else "")


_FACTORS = {"authenticator": "an authenticator app", "passkey": "a passkey"}


def _factor(verb: str) -> Callable[[Words], Markup]:
    return lambda words: words.say(
        "{who} {verb} {factor}.", verb=verb, factor=_FACTORS.get(words.facts.get("factor", ""), "a second factor")
    )


def _session_proved(words: Words) -> Markup:
    if words.facts.get("provider"):
        return words.say("{who} signed in again with {provider}.")
    return words.say("{who} confirmed their password.")


def _linked(words: Words) -> Markup:
    if words.facts.get("how") == "created":
        return words.say("{who} signed in with {provider} for the first time, which added them here.")
    how = {
        "email": "by their verified email address",
        "password": "with their password",  # nosec
        "account": "while signed in",
    }.get(words.facts.get("how", ""), "")
    return words.say("{who} linked their account to {provider} {how}.", how=how)


def _person_created(words: Words) -> Markup:
    return words.say("{who} added {person}{admin}.", admin=" as an admin" if words.facts.get("is_admin") else "")


def _extended(words: Words) -> Markup:
    days = words.number("days", "day")
    return words.say("{who} extended the deadline of step {step} of {request} to {days} from then.", days=days)


def _verified(words: Words) -> Markup:
    lines = words.number("lines", "entry", "entries")
    if not words.facts.get("holds"):
        intact = words.number("lines", "intact entry", "intact entries")
        return words.say("{who} verified the audit log: problem found after {intact}.", intact=intact)
    which = "the newest " if words.facts.get("newest") else "all " if words.facts.get("lines") != 1 else ""
    sentence = words.say("{who} verified {which}{lines}: intact.", which=which, lines=lines)
    if words.facts.get("unchecked"):
        sentence = words.say("{who} verified {lines}: intact.", lines=lines)
        others = words.number("unchecked", "entry", "entries")
        sentence += words.say(" {others} could not be checked, as their key was removed.", others=others)
    return sentence


def _copied(words: Words) -> Markup:
    source = Markup("<b>{}</b>").format(words.app_name(words.facts.get("source", 0)))
    with_fields = " with its fields" if words.facts.get("with_fields") else ""
    return words.say("{who} copied the rules of {source}{fields} to {app}.", source=source, fields=with_fields)


def _token_created(words: Words) -> Markup:
    if words.line.person is None:
        return words.say("{who} made the service token {token}.")
    return words.say(
        "{who} made the API token {token}." if words.own else "{who} made the API token {token} of {person}."
    )


def _token_revoked(words: Words) -> Markup:
    why = " because it leaked" if words.facts.get("leaked") else ""
    if words.line.person is None:
        return words.say("{who} ended the service token {token}{why}.", why=why)
    pattern = (
        "{who} ended the API token {token}{why}."
        if words.own
        else "{who} ended the API token {token} of {person}{why}."
    )
    return words.say(pattern, why=why)


def _endpoint_paused(words: Words) -> Markup:
    if words.line.actor is not None or words.line.token is not None:
        return words.say("{who} paused the {endpoint}.")
    return words.say("The {endpoint} was paused, because it took nothing.")


def _with_emails(pattern: str) -> Callable[[Words], Markup]:
    return lambda words: words.say(pattern, emails=words.number("mails", "email"))


def _with_deliveries(pattern: str) -> Callable[[Words], Markup]:
    return lambda words: words.say(pattern, deliveries=words.number("deliveries", "delivery", "deliveries"))


# The name of each group in addresses, and its label in the filter.
GROUPS = {
    "requests": "Requests and decisions",
    "access": "App access",
    "rules": "Apps and their rules",
    "people": "People and groups",
    "sign-in": "Sign-in and passwords",
    "installation": "System",
}


@dataclass(frozen=True, slots=True)
class EntryKind:
    """How entries of one kind are shown: their group (of GROUPS), their sentence, and the icon of those that no person
    caused."""

    group: str
    sentence: str | Callable[[Words], Markup]
    icon: str = "clock"


# The one table of the kinds: a new kind is a member of EventKind and a row here.
ENTRY_KINDS: dict[EventKind, EntryKind] = {
    EventKind.CODE_CLOSED: EntryKind(
        "requests", "The code of {person} for {request} was locked after 5 wrong attempts.", "lock"
    ),
    EventKind.CODE_MAILED_AGAIN: EntryKind(
        "requests", "{who} requested the email with the code again, for {request}.", "mail"
    ),
    EventKind.CODE_RENEWED: EntryKind("requests", _renewed, "key"),
    EventKind.REQUEST_CANCELLED: EntryKind("requests", "{who} cancelled {request}."),
    EventKind.REQUEST_COMMENTED: EntryKind("requests", "{who} wrote a comment on {request}."),
    EventKind.REQUEST_EXPIRED: EntryKind(
        "requests", "{request} expired: no decision by the deadline.", "hourglass-empty"
    ),
    EventKind.REQUEST_REMINDED: EntryKind("requests", "{who} sent a reminder for {request}."),
    EventKind.REQUEST_SUBMITTED: EntryKind("requests", "{who} requested {request}."),
    EventKind.STEP_APPROVED: EntryKind("requests", _decided("approved")),
    EventKind.STEP_DENIED: EntryKind("requests", _decided("denied")),
    EventKind.STEP_EXTENDED: EntryKind("requests", _extended),
    EventKind.STEP_OPENED: EntryKind("requests", _opened, "arrow-right"),
    EventKind.STEP_REASSIGNED: EntryKind("requests", _reassigned, "user"),
    EventKind.GRANT_ADDED: EntryKind("access", _added),
    EventKind.GRANT_FAILED: EntryKind("access", "{app} could not be set up for {person}."),
    EventKind.GRANT_PROVISIONING: EntryKind("access", "{app} is being set up for {person}."),
    EventKind.GRANT_REMOVED: EntryKind("access", _removed),
    EventKind.GRANT_UPDATED: EntryKind("access", "{ref} updated the fields of {app} for {person}."),
    EventKind.APP_ARCHIVED: EntryKind("rules", "{who} archived {app}."),
    EventKind.APP_CHANGED: EntryKind("rules", _app_changed),
    EventKind.APP_CREATED: EntryKind("rules", "{who} added the app {app}."),
    EventKind.APP_RESTORED: EntryKind("rules", "{who} restored {app}."),
    EventKind.FIELD_ARCHIVED: EntryKind("rules", "{who} archived the field {field} of {app}."),
    EventKind.FIELD_CHANGED: EntryKind("rules", "{who} changed the field {field} of {app}."),
    EventKind.FIELD_CREATED: EntryKind("rules", "{who} added the field {field} to {app}."),
    EventKind.FIELD_RESTORED: EntryKind("rules", "{who} restored the field {field} of {app}."),
    EventKind.FIELDS_ORDERED: EntryKind("rules", "{who} changed the order of the fields of {app}."),
    EventKind.POLICY_COPIED: EntryKind("rules", _copied),
    EventKind.POLICY_SAVED: EntryKind("rules", _policy_saved),
    EventKind.GROUP_ARCHIVED: EntryKind("people", "{who} archived the group {group}."),
    EventKind.GROUP_CHANGED: EntryKind("people", "{who} renamed the group {group}."),
    EventKind.GROUP_CREATED: EntryKind("people", "{who} added the group {group}."),
    EventKind.GROUP_MEMBER_ADDED: EntryKind("people", "{who} added {person} to {group}."),
    EventKind.GROUP_MEMBER_REMOVED: EntryKind("people", "{who} removed {person} from {group}."),
    EventKind.PERSON_CHANGED: EntryKind("people", _person_changed),
    EventKind.PERSON_CREATED: EntryKind("people", _person_created),
    EventKind.PERSON_DEACTIVATED: EntryKind("people", "{who} deactivated {person}."),
    EventKind.PERSON_INVITED: EntryKind("people", "{who} sent {person} the invitation again."),
    EventKind.PERSON_REACTIVATED: EntryKind("people", "{who} reactivated {person}."),
    EventKind.FACTOR_ADDED: EntryKind("sign-in", _factor("set up")),
    EventKind.FACTOR_REMOVED: EntryKind("sign-in", _factor("removed")),
    EventKind.FACTOR_RESET: EntryKind("sign-in", "{who} reset the second step of {person}.", "key"),
    EventKind.PASSKEY_REFUSED: EntryKind(
        "sign-in", "A passkey of {person} was refused: its counter says that there is a copy of it.", "alert-triangle"
    ),
    EventKind.RECOVERY_CODE_USED: EntryKind("sign-in", "{who} used a recovery code."),
    EventKind.RECOVERY_CODES_MADE: EntryKind("sign-in", "{who} made new recovery codes."),
    EventKind.PASSWORD_LINK_MAILED: EntryKind("sign-in", "{who} sent {person} a password reset link."),
    EventKind.PASSWORD_SET: EntryKind("sign-in", "{who} set a new password."),
    EventKind.SESSION_ENDED: EntryKind("sign-in", _sessions_ended),
    EventKind.SESSION_PROVED: EntryKind("sign-in", _session_proved),
    EventKind.SESSION_STARTED: EntryKind("sign-in", _session_started),
    EventKind.TOKEN_CREATED: EntryKind("sign-in", _token_created, "key"),
    EventKind.TOKEN_REVOKED: EntryKind("sign-in", _token_revoked, "key"),
    EventKind.IDENTITY_LINKED: EntryKind("sign-in", _linked),
    EventKind.IDENTITY_UNLINKED: EntryKind("sign-in", "{who} removed the link of {person} to {provider}."),
    EventKind.PROVIDER_CHANGED: EntryKind("installation", "{who} changed the sign-in with {provider}."),
    EventKind.PROVIDER_CREATED: EntryKind("installation", "{who} added the sign-in with {provider}."),
    EventKind.PROVIDER_GROUP_ADDED: EntryKind("installation", "{who} let {provider} say who is in {group}."),
    EventKind.PROVIDER_GROUP_REMOVED: EntryKind(
        "installation", "{who} stopped {provider} from saying who is in {group}."
    ),
    EventKind.AUDIT_VERIFIED: EntryKind("installation", _verified),
    EventKind.MAIL_DROPPED: EntryKind(
        "installation", _with_emails("{who} discarded {emails} that were on hold after a restore.")
    ),
    EventKind.MAIL_HELD: EntryKind(
        "installation",
        _with_emails("The database was restored from a backup; {emails} that were queued were put on hold."),
    ),
    EventKind.MAIL_LET_GO: EntryKind(
        "installation", _with_emails("{who} released {emails} that were on hold after a restore.")
    ),
    EventKind.MAIL_SENT_AGAIN: EntryKind("installation", "{who} resent a failed email."),
    EventKind.MAIL_TRIED_NOW: EntryKind("installation", "{who} tried an email again."),
    EventKind.MAIL_ALL_TRIED_AGAIN: EntryKind(
        "installation", _with_emails("{who} tried {emails} again that had failed or were waiting.")
    ),
    EventKind.MAIL_TESTED: EntryKind("installation", "{who} sent a test email."),
    EventKind.DIRECTORY_CHANGED: EntryKind("installation", "{who} changed the directory {directory}."),
    EventKind.DIRECTORY_CREATED: EntryKind("installation", "{who} connected the directory {directory}."),
    EventKind.DIRECTORY_PAUSED: EntryKind("installation", "{who} paused the directory {directory}."),
    EventKind.DIRECTORY_REMOVED: EntryKind("installation", "{who} removed the directory {directory}."),
    EventKind.DIRECTORY_RESUMED: EntryKind("installation", "{who} resumed the directory {directory}."),
    EventKind.ENDPOINT_CHANGED: EntryKind("installation", "{who} changed the {endpoint}."),
    EventKind.ENDPOINT_CREATED: EntryKind("installation", "{who} added the {endpoint}."),
    EventKind.ENDPOINT_PAUSED: EntryKind("installation", _endpoint_paused),
    EventKind.ENDPOINT_REMOVED: EntryKind("installation", "{who} removed the {endpoint}."),
    EventKind.ENDPOINT_RESUMED: EntryKind("installation", "{who} resumed the {endpoint}."),
    EventKind.ENDPOINT_SECRET_CHANGED: EntryKind("installation", "{who} made a new signing secret for the {endpoint}."),
    EventKind.ENDPOINT_SECRET_ENDED: EntryKind("installation", "{who} ended an old signing secret of the {endpoint}."),
    EventKind.ENDPOINT_TESTED: EntryKind("installation", "{who} sent a test to the {endpoint}."),
    EventKind.DELIVERY_DROPPED: EntryKind(
        "installation",
        _with_deliveries("{who} discarded {deliveries} to the {endpoint}, on hold since a restore."),
    ),
    EventKind.DELIVERY_HELD: EntryKind(
        "installation",
        _with_deliveries("The database was restored from a backup. Put on hold: {deliveries} of webhooks and chat."),
    ),
    EventKind.DELIVERY_LET_GO: EntryKind(
        "installation",
        _with_deliveries("{who} released {deliveries} to the {endpoint}, on hold since a restore."),
    ),
    EventKind.DELIVERY_SENT_AGAIN: EntryKind("installation", "{who} sent a delivery to the {endpoint} again."),
    EventKind.ORGANISATION_CHANGED: EntryKind("installation", "{who} changed the organisation settings."),
}


@dataclass(frozen=True, slots=True)
class EntryText:
    """An entry in words: a sentence, each setting that it changed, and an icon for entries that no person caused."""

    sentence: Markup
    changes: list[Change] = field(default_factory=list)
    icon: str = "clock"


def kinds_in(group: str) -> tuple[EventKind, ...]:
    """The kinds of a group; none of an unknown one."""
    return tuple(kind for kind, row in ENTRY_KINDS.items() if row.group == group)


def describe(line: Entry, names: Names, when: Callable[[datetime], str] = utc) -> EntryText:
    """Describes an entry in words. `when` formats a time as the reader's pages do, or as exports do."""
    words = Words(line, names, when)
    try:
        kind = ENTRY_KINDS[EventKind(line.kind)]
    except ValueError:  # recorded by a newer version
        return EntryText(words.say("{who}: unknown action ({kind})", kind=line.kind))
    sentence = words.say(kind.sentence) if isinstance(kind.sentence, str) else kind.sentence(words)
    by_service = line.actor is None and line.token is not None
    return EntryText(sentence, words.changes(), "key" if by_service else kind.icon)
