"""Each kind of entry of the audit log as a sentence: {who} did {what}. Most are a row of the table at the end."""

from collections.abc import Callable
from datetime import datetime

from markupsafe import Markup

from webapp.queries.audit_lines import Line, Names
from webapp.times import utc

from .audit_rules import seen
from .audit_words import Told, Words


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
    how = {"code": ", with the code from the email", "admin": " as an admin (override)", "api": ", through the API"}

    def sentence(words: Words) -> Markup:
        said = how.get(words.facts.get("channel", ""), "")
        if words.facts.get("vouched"):
            said += ", with an account whose sign-in link the requester had sent"
        return words.say("{who} {verb} step {step} of {request}{how}.", verb=verb, how=said)

    return sentence


def _opened(words: Words) -> Markup:
    tier = {"owner": " (the owner)", "admins": " (the admins)"}.get(words.facts.get("tier", ""), "")
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
    return words.say("{who} signed in.")


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
    said = words.say("{who} verified {which}{lines}: intact.", which=which, lines=lines)
    if words.facts.get("unchecked"):
        said = words.say("{who} verified {lines}: intact.", lines=lines)
        others = words.number("unchecked", "entry", "entries")
        said += words.say(" {others} could not be checked, as their key was removed.", others=others)
    return said


def _copied(words: Words) -> Markup:
    source = Markup("<b>{}</b>").format(words.app_name(words.facts.get("source", 0)))
    with_fields = " with its fields" if words.facts.get("with_fields") else ""
    return words.say("{who} copied the rules of {source}{fields} to {app}.", source=source, fields=with_fields)


def _with_emails(pattern: str) -> Callable[[Words], Markup]:
    return lambda words: words.say(pattern, emails=words.number("mails", "email"))


SENTENCES: dict[str, str | Callable[[Words], Markup]] = {
    "app.archived": "{who} archived {app}.",
    "app.changed": _app_changed,
    "app.created": "{who} added the app {app}.",
    "app.restored": "{who} restored {app}.",
    "audit.verified": _verified,
    "code.closed": "The code of {person} for {request} was locked after 5 wrong attempts.",
    "code.mailed_again": "{who} requested the email with the code again, for {request}.",
    "code.renewed": _renewed,
    "field.archived": "{who} archived the field {field} of {app}.",
    "field.changed": "{who} changed the field {field} of {app}.",
    "field.created": "{who} added the field {field} to {app}.",
    "field.restored": "{who} restored the field {field} of {app}.",
    "fields.ordered": "{who} changed the order of the fields of {app}.",
    "grant.added": _added,
    "grant.failed": "{app} could not be set up for {person}.",
    "grant.provisioning": "{app} is being set up for {person}.",
    "grant.removed": _removed,
    "grant.updated": "{ref} updated the fields of {app} for {person}.",
    "group.archived": "{who} archived the group {group}.",
    "group.changed": "{who} renamed the group {group}.",
    "group.created": "{who} added the group {group}.",
    "group.member_added": "{who} added {person} to {group}.",
    "group.member_removed": "{who} removed {person} from {group}.",
    "mail.dropped": _with_emails("{who} discarded {emails} that were on hold after a restore."),
    "mail.held": _with_emails("The database was restored from a backup; {emails} that were queued were put on hold."),
    "mail.let_go": _with_emails("{who} released {emails} that were on hold after a restore."),
    "mail.sent_again": "{who} resent a failed email.",
    "mail.tried_now": "{who} tried an email again.",
    "mail.all_tried_again": _with_emails("{who} tried {emails} again that had failed or were waiting."),
    "mail.tested": "{who} sent a test email.",
    "organisation.changed": "{who} changed the organisation settings.",
    "password.link_mailed": "{who} sent {person} a password reset link.",
    "password.set": "{who} set a new password.",
    "person.changed": _person_changed,
    "person.created": _person_created,
    "person.deactivated": "{who} deactivated {person}.",
    "person.invited": "{who} sent {person} the invitation again.",
    "person.reactivated": "{who} reactivated {person}.",
    "policy.copied": _copied,
    "policy.saved": _policy_saved,
    "request.cancelled": "{who} cancelled {request}.",
    "request.commented": "{who} wrote a comment on {request}.",
    "request.expired": "{request} expired: no decision by the deadline.",
    "request.reminded": "{who} sent a reminder for {request}.",
    "request.submitted": "{who} requested {request}.",
    "session.ended": _sessions_ended,
    "session.proved": "{who} confirmed their password.",
    "session.started": _session_started,
    "step.approved": _decided("approved"),
    "step.denied": _decided("denied"),
    "step.extended": _extended,
    "step.opened": _opened,
    "step.reassigned": _reassigned,
}


def tell(line: Line, names: Names, when: Callable[[datetime], str] = utc) -> Told:
    """The entry in words. `when` writes a time: as the reader's pages do, or as exports do."""
    words = Words(line, names, when)
    sentence = SENTENCES.get(line.kind)
    if sentence is None:
        return Told(words.say("{who}: unknown action ({kind})", kind=line.kind))
    return Told(words.say(sentence) if isinstance(sentence, str) else sentence(words), words.changes())
