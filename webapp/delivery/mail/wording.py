"""What the emails have in common in words: who decided, why the reader gets this, values, comments and dates."""

import textwrap
import unicodedata
from dataclasses import dataclass, replace
from typing import Any

from webapp import approval_chain
from webapp.bidi import isolated, named
from webapp.notices import NoticeKind
from webapp.queries.chains import ChainStep, Who
from webapp.queries.mail_context import MailContext
from webapp.text import one_line
from webapp.times import Times, zone
from webapp.wording import OVERRIDE, instead_of
from webapp.workflow.entitlements import Sheet, shown
from webapp.workflow.states import Tier, Verdict, Visibility

TEXT_WIDTH = 72
LABEL_WIDTH = 17
NAME = "Countersign"
# Characters that turn the reading direction of what comes after them: no name may do that to our words.
_TURNING = dict.fromkeys(map(ord, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
_OVERRIDES = dict.fromkeys(map(ord, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067"))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the small table: "Role", "Sales user, chosen by Rita"; `quoted` marks a person's own words."""

    label: str
    value: str
    quoted: bool = False


def times_of(facts: MailContext) -> Times:
    """The recipient's zone, and the moment of the cause as "now", so that a retry says the same."""
    own = facts.person.time_zone if facts.person else None
    return Times(zone(own or facts.organisation.time_zone), facts.notice.created_at, mailed=True)


def why(facts: MailContext) -> str:
    """Why the reader gets the email, and whom to ask about the app."""
    reason, about_app = _reason(facts)
    sentence = f"You received this email because {reason}"
    if not about_app or facts.app is None:
        return sentence
    owner = f"Contact {line(facts.owner)}, the owner of {line(facts.app.name)}." if facts.owner else "Contact an admin."
    return f"{sentence} Questions? {owner}"


def _reason(facts: MailContext) -> tuple[str, bool]:
    """The reason up to the full stop, and whether the app's owner can answer questions about it."""
    notice, organisation = facts.notice, line(facts.organisation.name)
    if notice.kind == NoticeKind.INVITATION:
        return f"an admin of {organisation} invited {recipient(facts)} to {NAME}.", False
    if notice.kind == NoticeKind.PASSWORD_RESET:
        ignore = "If this was not you, ignore this email. Your password stays the same."
        if by := sent_by(facts):
            return (
                f"{by} requested a password reset for {recipient(facts)}. Until you use the link, your password "
                "stays the same.",
                False,
            )
        return f"someone requested a password reset for {recipient(facts)}. {ignore}", False
    if notice.kind == NoticeKind.API_TOKEN:
        return f"it is about a token of your account at {organisation}.", False
    if notice.kind == NoticeKind.SECURITY_CHANGED:
        return f"it is about the security of your account at {organisation}.", False
    if notice.kind == NoticeKind.TEST:
        return "you sent a test email from Admin > Email.", False
    if notice.kind in (NoticeKind.ACCESS_TO_CHECK, NoticeKind.WEBHOOK_PAUSED):
        return f"you are an admin of {organisation}.", False
    assert facts.app
    app = line(facts.app.name)
    if notice.kind == NoticeKind.GRANT_RETURNED or (notice.kind == NoticeKind.GRANT_ADDED and notice.data.get("admin")):
        return ("you are an admin." if notice.data.get("admin") else f"you own {app}."), False
    if notice.role == "other" and notice.kind in (
        NoticeKind.GRANT_ADDED,
        NoticeKind.GRANT_REMOVED,
        NoticeKind.GRANTS_REMOVED,
    ):
        also = " or approve requests for it" if notice.kind == NoticeKind.GRANT_ADDED else ""
        return f"you own {'these apps' if notice.kind == NoticeKind.GRANTS_REMOVED else app}{also}.", False
    if notice.kind == NoticeKind.GRANTS_REMOVED:
        return "you had access to these apps.", False
    return f"{_relation_to_app(facts, app)}.", True


def _relation_to_app(facts: MailContext, app: str) -> str:
    """What the reader has to do with the app."""
    notice, step = facts.notice, facts.step
    if notice.kind in (NoticeKind.GRANT_ADDED, NoticeKind.GRANT_REMOVED):
        return f"you {'have' if notice.kind == NoticeKind.GRANT_ADDED else 'had'} access to {app}"
    if notice.role == "other":
        return f"this address receives the results of requests for {app}"
    if notice.kind == NoticeKind.APP_ADDED:
        return f"you added {app}"
    if notice.role == "requester":
        asked = facts.request is not None and facts.person is not None and facts.request.asked_by_id == facts.person.id
        return f"you requested {app}" if asked else f"{app} was requested for you"
    if step is not None and step.tier == Tier.OWNER:
        return f"you own {app}"
    if step is not None and step.tier == Tier.ADMINS:
        return "you are an admin"
    if step is not None and step.group_name:
        return f"you are in {line(step.group_name)}, which approves requests for {app}"
    return f"you are an approver for {app}"


def sent_by(facts: MailContext) -> str:
    """Who caused the email, "" when the reader did."""
    by = facts.notice.data.get("by")
    return line(facts.names.get(by, "")) if by is not None else ""


def recipient(facts: MailContext) -> str:
    return facts.person.email if facts.person else facts.notice.address or ""


def chain_of(facts: MailContext) -> list[approval_chain.ChainNode]:
    request, app, requester = facts.request, facts.app, facts.for_person
    assert request and app and requester
    found = approval_chain.chain_nodes(
        app=app,
        requester=Who(requester.id, requester.public_id, requester.name),
        asked_at=request.created_at,
        state=request.state,
        settled_at=request.settled_at,
        steps=facts.steps,
        times=times_of(facts),
        reader=facts.person.id if facts.person else None,
    )
    # The names in them are set apart already.
    return [
        replace(
            one, title=one.title.translate(_OVERRIDES), lines=tuple(text.translate(_OVERRIDES) for text in one.lines)
        )
        for one in found
    ]


def deciders(step: ChainStep, reader: int) -> str:
    """Who else may decide, and for whom: "You can decide for Finance; Chloe Tan can, too."; "" for a person alone."""
    approver = line(step.person.name if step.person else step.group_name)
    place = {
        Tier.OWNER.value: f"{instead_of(approver)}, as the owner of the app",
        Tier.ADMINS.value: f"{instead_of(approver)}, {OVERRIDE}",
    }.get(step.tier, f"for {line(step.group_name)}" if step.group_name else "")
    names = [isolated(line(who.name)) for who in step.asked if who.id != reader]
    if step.asked_count > len(step.asked):
        others = f"any of {step.asked_count - 1} others"
    else:
        others = " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
    if not place and not others:
        return ""
    return f"You can decide{f' {place}' if place else ''}{f'; {others} can, too' if others else ''}."


def silent(step: ChainStep | None) -> str:
    """Who let the deadline pass."""
    if step is None or step.tier != Tier.APPROVER:
        return "The approvers"
    return line(step.person.name if step.person else step.group_name)


def deciding_step(facts: MailContext) -> ChainStep | None:
    """The step whose decision ended the request."""
    return max(
        (one for one in facts.steps if one.closing_decision is not None),
        key=lambda one: one.position,
        default=None,
    )


def who_decided(facts: MailContext, step: ChainStep) -> dict[str, Any]:
    closing = step.closing_decision
    assert closing
    override = closing.channel == "admin"
    return {
        "decider": line(closing.by.name),
        "decider_first": first_name(closing.by.name),
        "denied": closing.verdict == Verdict.DENIED,
        "when": times_of(facts).due(closing.at),
        "comment": closing.comment,
        "override": override,
        "for_group": line(step.group_name) if step.tier == Tier.APPROVER and not override else "",
    }


def values(facts: MailContext, sheet: Sheet) -> list[Row]:
    rows = []
    for one in sheet.visible:
        if one.current is None:
            value = "to be set by you" if _sets(facts) and one.visibility is Visibility.WRITE else "not set"
        else:
            value = line(shown(one.current.value)) + _by(facts, one.current.by)
            if _sets(facts) and one.visibility is Visibility.WRITE:
                value += " (you can change this)"
        rows.append(Row(line(one.entitlement.name), value))
    return rows


def _sets(facts: MailContext) -> bool:
    return facts.notice.kind == NoticeKind.APPROVAL_ASKED


def _by(facts: MailContext, by: int | None) -> str:
    if by is None:
        return ""
    asked = facts.request is None or by in (facts.request.asked_by_id, facts.request.for_person_id)
    you = facts.person is not None and by == facts.person.id
    return f", {'chosen' if asked else 'set'} by {'you' if you else first_name(facts.names.get(by, ''))}"


def comments(facts: MailContext, label: str, *, but: ChainStep | None = None) -> list[Row]:
    """The comment of each decision; `label` takes the first name and the verdict."""
    return [
        Row(label.format(first_name(one.by.name), one.verdict), lines(one.comment), quoted=True)
        for step in facts.steps
        for one in step.decisions
        if one.comment and (but is None or one is not but.closing_decision)
    ]


def own_words(facts: MailContext) -> list[Row]:
    assert facts.request
    return [Row("Your reason", lines(facts.request.message), quoted=True)] if facts.request.message else []


def line(text: str) -> str:
    """One line that cannot turn the words around it."""
    return named(one_line(text))


def first_name(name: str) -> str:
    return (line(name).split() or [""])[0]


def wrap(text: str, indent: str = "", first: str | None = None) -> str:
    """Text of an email, its own line breaks kept, with no line longer than a mail program shows well."""
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        start = first if first is not None and not lines else indent
        # Long words are addresses, which break when they are cut.
        lines += textwrap.wrap(
            line, TEXT_WIDTH, initial_indent=start, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        ) or [""]  # fmt: skip
    return "\n".join(lines)


def lines(text: str) -> str:
    """Somebody's own words with their line breaks, and nothing else that moves or turns text."""
    return "".join(sign for sign in text.translate(_TURNING) if sign in "\t\n" or unicodedata.category(sign) != "Cc")


def row(row: Row) -> str:
    label = f"{row.label}: ".ljust(LABEL_WIDTH)
    words = f"“{row.value}”" if row.quoted else row.value
    return wrap(words, " " * LABEL_WIDTH, label)
