"""One function per mail, rendered from templates/email/<kind>/. The same notice gives the same bytes each time."""

import textwrap
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC
from email import policy
from email.charset import QP, Charset
from email.header import Header
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.utils import format_datetime, parseaddr, quote
from typing import Any
from urllib.parse import urlsplit

import flask_mail
from flask import current_app

from webapp import chain, links
from webapp.extensions import settings
from webapp.models import Invitation, Notice
from webapp.queries.chains import ChainStep, Who
from webapp.queries.mails import Facts
from webapp.text import one_line
from webapp.times import Times, zone
from webapp.workflow.entitlements import Sheet, shown
from webapp.workflow.states import Assurance, RequestState, Tier, Verdict, Visibility

TEXT_WIDTH = 72
LABEL_WIDTH = 17
NAME = "Countersign"

# Characters that turn the reading direction of what comes after them: no name may do that to our words.
_TURNING = dict.fromkeys(map(ord, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))


class Unmailable(Exception):
    """No try will ever send this; `str(error)` says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the small table: "Role", "Sales user, chosen by Rita"; `said` are a person's own words."""

    label: str
    value: str
    said: bool = False


def render(facts: Facts) -> flask_mail.Message:
    """The mail of a notice. Raises Unmailable; KeyError for a kind that nobody wrote."""
    return MAILS[facts.notice.kind](facts)


def approval_asked(facts: Facts) -> flask_mail.Message:
    """To one approver: who asks for what, why, until when; the link, and the code where the rule allows one."""
    request, app, rule, invitation, step = facts.request, facts.app, facts.policy, facts.invitation, facts.step
    assert request and app and rule and invitation and step and facts.person and step.due_at
    token, code = ("example", "000000") if facts.example else _link_and_code(facts.notice.round, invitation)
    return _mail(
        facts,
        approver_subject=True,
        link=links.url(f"/decide/{token}"),
        code=f"{code[:3]} {code[3:]}" if rule.assurance is Assurance.CODE else "",
        again=bool(facts.notice.data.get("again")),
        same=bool(facts.notice.data.get("same")),
        new_code=bool(facts.notice.data.get("new_code")),
        due=_times(facts).due(step.due_at),
        deciders=_deciders(step, facts.person.id),
        for_group=_line(step.group_name) if step.tier == Tier.APPROVER else "",
        tier=step.tier,
        approver=_line(step.person.name if step.person else step.group_name),
        message=request.message,
        rows=_values(facts, rule.sheet_for_step(step.position, request.values)) + _comments(facts, "{} {}"),
        chain=_chain(facts),
    )


def _link_and_code(round: int, invitation: Invitation) -> tuple[str, str]:
    try:
        return (
            links.approval_token(invitation.public_id, round, invitation.key_id),
            links.code(invitation.public_id, round, invitation.key_id),
        )
    except KeyError:
        raise Unmailable("The key of its link is no longer among this installation's keys.") from None


def code_closed(facts: Facts) -> flask_mail.Message:
    """To the approver whose code was closed by wrong ones: it may be somebody else who types."""
    invitation, step = facts.invitation, facts.step
    assert invitation and step and step.due_at
    try:
        token = links.approval_token(invitation.public_id, facts.notice.round, invitation.key_id)
    except KeyError:
        raise Unmailable("The key of its link is no longer among this installation's keys.") from None
    return _mail(
        facts,
        approver_subject=True,
        link=links.url(f"/decide/{token}"),
        when=_times(facts).due(facts.notice.created_at),
        due=_times(facts).due(step.due_at),
    )


def request_approved(facts: Facts) -> flask_mail.Message:
    """To the requester: you have it. To approvers and other addresses: they have it."""
    last = _decided(facts)
    assert facts.policy and facts.app and facts.request
    sheets = {"requester": facts.policy.sheet_for_requester, "other": facts.policy.sheet_for_owner}
    sheet = sheets.get(facts.notice.role)
    rows = _values(facts, sheet(facts.request.values)) if sheet else []
    return _outcome(
        facts,
        RequestState.APPROVED,
        step=last,
        rows=rows + (_comments(facts, "{} wrote") if facts.notice.role != "other" else []),
        launch=_launch(facts.app.launch_url),
    )


def request_denied(facts: Facts) -> flask_mail.Message:
    """To the requester: who said no and why, and how to ask again."""
    last = _decided(facts)
    assert facts.policy and facts.request
    rows: list[Row] = []
    if facts.notice.role == "requester":
        rows = _own_words(facts) + _values(facts, facts.policy.sheet_for_requester(facts.request.values))
    if facts.notice.role != "other":
        rows += _comments(facts, "{} wrote", but=last)
    return _outcome(facts, RequestState.DENIED, step=last, rows=rows)


def request_expired(facts: Facts) -> flask_mail.Message:
    """The time was up: nobody's no."""
    step = next((one for one in facts.steps if one.state == "expired"), None)
    assert facts.policy and facts.request
    rows: list[Row] = []
    if facts.notice.role == "requester":
        rows = _own_words(facts) + _values(facts, facts.policy.sheet_for_requester(facts.request.values))
    if facts.notice.role != "other":
        rows += _comments(facts, "{} wrote")
    due = step.due_at if step else facts.request.settled_at
    assert due is not None
    return _outcome(
        facts,
        RequestState.EXPIRED,
        step=step,
        rows=rows,
        due=_times(facts).due(due),
        silence=_silence(step) if step else "Nobody answered",
    )


def request_cancelled(facts: Facts) -> flask_mail.Message:
    """To everybody who was asked, and to the requester when somebody else withdrew it."""
    request = facts.request
    assert request and request.settled_at and facts.for_person
    by = request.settled_by_id
    return _outcome(
        facts,
        RequestState.CANCELLED,
        step=None,
        rows=[],
        by=_line(facts.names.get(by, "")) if by not in (None, request.asked_by_id, request.for_person_id) else "",
        when=_times(facts).due(request.settled_at),
        reason=request.settled_note,
    )


def request_settled(facts: Facts) -> flask_mail.Message:
    """To the other members of a group: one of you decided, nothing is left to do."""
    step = facts.step
    assert step and step.decided_by
    return _mail(
        facts,
        approver_subject=True,
        link=_request_link(facts),
        rows=[],
        chain=_chain(facts),
        **_who_decided(facts, step),
    )


def request_comment(facts: Facts) -> flask_mail.Message:
    """What somebody wrote on a request, to the others whom it concerns."""
    said = facts.comment
    if said is None:
        raise Unmailable("The comment is no longer there.")
    return _mail(
        facts,
        approver_subject=facts.notice.role == "approver",
        link=_request_link(facts),
        writer=_line(facts.names.get(said.person_id, "")),
        when=_times(facts).due(said.created_at),
        comment=said.body,
        chain=_chain(facts),
    )


def app_added(facts: Facts) -> flask_mail.Message:
    """To whoever added an app that needs no approval."""
    assert facts.app and facts.policy and facts.grant
    launch = _launch(facts.app.launch_url)
    rule = facts.policy.outcomes.get(RequestState.APPROVED)
    return _mail(
        facts,
        link=launch or links.url("/"),
        launch=launch,
        when=_times(facts).due(facts.grant.created_at),
        words=rule.words if rule else "",
        rows=_values(facts, facts.policy.sheet_for_requester(facts.grant.values)),
    )


def grant_removed(facts: Facts) -> flask_mail.Message:
    """To whoever had the app, and to who looks after it: it was taken away, by whom and why."""
    assert facts.app and facts.grant and facts.grant.removed_at
    return _mail(
        facts,
        link=links.url("/catalog") if facts.notice.role == "requester" else "",
        by=_line(facts.names.get(facts.grant.removed_by_id or 0, "")) or "An admin",
        holder=_line(facts.names.get(facts.grant.person_id, "")),
        when=_times(facts).due(facts.grant.removed_at),
        reason=facts.grant.removed_reason,
    )


def invitation(facts: Facts) -> flask_mail.Message:
    """Welcome: set your password."""
    return _mail(facts, link=_password_link(facts), email=_recipient(facts))


def password_reset(facts: Facts) -> flask_mail.Message:
    """Set a new password."""
    return _mail(facts, link=_password_link(facts), email=_recipient(facts))


def test(facts: Facts) -> flask_mail.Message:
    """To the admin who wants to see that mail works."""
    return _mail(facts, link=links.url("/admin/mail"))


MAILS: dict[str, Callable[[Facts], flask_mail.Message]] = {
    "approval-asked": approval_asked,
    "code-closed": code_closed,
    "request-approved": request_approved,
    "request-denied": request_denied,
    "request-expired": request_expired,
    "request-cancelled": request_cancelled,
    "request-settled": request_settled,
    "request-comment": request_comment,
    "app-added": app_added,
    "grant-removed": grant_removed,
    "invitation": invitation,
    "password-reset": password_reset,
    "test": test,
}


def _outcome(
    facts: Facts, state: RequestState, *, step: ChainStep | None, rows: list[Row], launch: str = "", **context: Any
) -> flask_mail.Message:
    """What the mails about a request's end have in common. Other addresses get no link: nobody signs in there."""
    assert facts.policy and facts.request
    rule = facts.policy.outcomes.get(state)
    role = facts.notice.role
    if step is not None and step.decided_by is not None:
        context |= _who_decided(facts, step)
    return _mail(
        facts,
        approver_subject=role == "approver",
        link=launch if launch and role == "requester" else "" if role == "other" else _request_link(facts),
        launch=launch,
        words=rule.words if rule else "",
        rows=rows,
        chain=_chain(facts),
        **context,
    )


def _mail(facts: Facts, *, approver_subject: bool = False, **context: Any) -> flask_mail.Message:
    """Renders the three templates of the notice's kind and addresses the mail."""
    notice, person, request = facts.notice, facts.person, facts.request
    sender = _line(facts.organisation.sender) or NAME
    requester = facts.for_person
    common: dict[str, Any] = {
        "role": notice.role,
        "sender": sender,
        "why": _why(facts),
        "app": _line(facts.app.name) if facts.app else "",
        "reader": _first(person.name) if person else "",
        "reference": request.reference if request else "",
        "asker": _line(facts.asked_by.name) if facts.asked_by else "",
        "asker_first": _first(facts.asked_by.name) if facts.asked_by else "",
        "requester": _line(requester.name) if requester else "",
        "requester_first": _first(requester.name) if requester else "",
        # They asked for it themselves; else somebody else asked for them.
        "own": request is None or request.asked_by_id == request.for_person_id,
        # The mail goes to the very person who gets the app.
        "yours": person is not None and requester is not None and person.id == requester.id,
        "wrap": _wrap,
        "row": _row,
        "width": LABEL_WIDTH,
    }  # fmt: skip
    context |= {key: _lines(context[key]) for key in ("message", "comment", "words", "reason") if key in context}
    environment = current_app.jinja_env

    def part(name: str, **more: Any) -> str:
        # Not render_template: its context processors look for somebody who is signed in.
        return environment.get_template(name).render(common | context | more)

    own = "email/_approver_subject.txt" if approver_subject else f"email/{notice.kind}/subject.txt"
    subject = _line(part(own))
    return Mail(
        notice,
        sender=(sender, _sender_address()),
        to=(_line(person.name), person.email) if person else ("", notice.address or ""),
        subject=subject,
        body=part(f"email/{notice.kind}/body.txt").strip() + "\n",
        html=part(f"email/{notice.kind}/body.html", subject=subject),
        thread=request.public_id if request else "",
    )


class Mail(flask_mail.Message):
    """Flask-Mail's message, put together so that the same notice gives the same bytes: its own would draw a random
    boundary, take the host's name and time zone, and leave a display name's comma unquoted."""

    def __init__(
        self,
        notice: Notice,
        *,
        sender: tuple[str, str],
        to: tuple[str, str],
        subject: str,
        body: str,
        html: str,
        thread: str,
    ) -> None:
        # Not Flask-Mail's own __init__: it draws a message id, for which it asks the DNS for this machine's name.
        self.subject, self.body = subject, body
        self.alts = {"html": html}
        self.sender, self.recipients = _address(sender[1]), [_address(to[1])]
        self.reply_to, self.charset = None, None
        self.cc, self.bcc, self.attachments, self.mail_options, self.rcpt_options = [], [], [], [], []
        self.date = notice.created_at.timestamp()
        self._names = {"From": sender[0], "To": to[0]}
        self._boundary = f"=_{notice.public_id}"
        self.msgId = _message_id(notice.public_id)
        self.extra_headers = {
            "Date": format_datetime(notice.created_at.astimezone(UTC)),
            "Message-ID": self.msgId,
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        }
        if thread:
            # A message that never was: every mail about the request answers it, so mail programs show one thread.
            root = _message_id(f"request.{thread}")
            self.extra_headers |= {"In-Reply-To": root, "References": root}

    def _message(self) -> MIMEBase:
        message = MIMEMultipart("alternative", boundary=self._boundary)
        message.policy = policy.compat32.clone(linesep="\r\n")
        headers: dict[str, Any] = {
            "Subject": _header("Subject", self.subject),
            "From": _mailbox("From", self._names["From"], str(self.sender)),
            "To": _mailbox("To", self._names["To"], str(self.recipients[0])),
            **(self.extra_headers or {}),
        }
        for name, value in headers.items():
            message[name] = value
        message.attach(_text(self.body or "", "plain"))
        message.attach(_text(self.html or "", "html"))
        return message


def _text(content: str, subtype: str) -> MIMEBase:
    # Quoted-printable: no server rewrites it on the way, and "=_" of the boundary cannot occur in it.
    charset = Charset("utf-8")
    charset.body_encoding = QP
    part = MIMENonMultipart("text", subtype, charset="utf-8")
    part.set_payload(content, charset)
    return part


def _header(name: str, text: str) -> Header:
    return Header(text, "us-ascii" if _is_plain(text) else "utf-8", header_name=name)


def _is_plain(text: str) -> bool:
    # What only looks like an encoded word is encoded, so that it is read as it was written; and so is what has
    # no place to be folded at.
    return text.isascii() and "=?" not in text and all(len(word) <= 50 for word in text.split())


def _mailbox(header: str, name: str, address: str) -> Header:
    if not name:
        return Header(address, "us-ascii", header_name=header)
    if _is_plain(name):
        return Header(f'"{quote(name)}" <{address}>', "us-ascii", header_name=header)
    encoded = Header(name, "utf-8", header_name=header)
    encoded.append(f"<{address}>", "us-ascii")
    return encoded


def _address(given: str) -> str:
    """The address in ASCII, its domain in IDNA. Raises Unmailable."""
    local, _, domain = given.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode()
    except UnicodeError:
        ascii_domain = ""
    if (
        not local.isascii()
        or not local.isprintable()
        or not ascii_domain
        or any(sign in given for sign in ' <>,;:"()\\')
    ):
        raise Unmailable(f"“{one_line(given)}” is an address that no mail can be sent to from here.")
    return f"{local}@{ascii_domain}"


def _sender_address() -> str:
    return parseaddr(settings().mail_default_sender)[1]


def _message_id(name: str) -> str:
    host = urlsplit(settings().base_url).hostname or "localhost"
    return f"<{name}@{f'[IPv6:{host}]' if ':' in host else host}>"


def _times(facts: Facts) -> Times:
    """The recipient's zone, and the moment of the cause as "now", so that a retry says the same."""
    own = facts.person.time_zone if facts.person else None
    return Times(zone(own or facts.organisation.time_zone), facts.notice.created_at)


def _why(facts: Facts) -> str:
    """Why the reader gets the mail, and who looks after the app."""
    notice, step, organisation = facts.notice, facts.step, _line(facts.organisation.name)
    if notice.kind == "invitation":
        return f"You get this mail because an admin of {organisation} added {_recipient(facts)} to {NAME}."
    if notice.kind == "password-reset":
        return (
            f"You get this mail because somebody asked to set a new password for {_recipient(facts)}. "
            "If that was not you, there is nothing you need to do: your password stays as it is."
        )
    if notice.kind == "test":
        return "You get this mail because you asked for it on the page Admin, Mail."
    assert facts.app
    app = _line(facts.app.name)
    if notice.kind == "grant-removed":
        if notice.role == "other":
            return f"You get this mail because you look after {app}."
        why = f"you had {app}"
    elif notice.role == "other":
        why = f"this address is set to be told how requests for {app} end"
    elif notice.kind == "app-added":
        why = f"you added {app}"
    elif notice.role == "requester":
        asked = facts.request is not None and facts.person is not None and facts.request.asked_by_id == facts.person.id
        why = f"you asked for {app}" if asked else f"{app} was asked for in your name"
    elif step is not None and step.tier == Tier.OWNER:
        why = f"you look after {app}"
    elif step is not None and step.tier == Tier.ADMINS:
        why = "you are an admin"
    elif step is not None and step.group_name:
        why = f"you are in the group {_line(step.group_name)}, which decides on {app}"
    else:
        why = f"you were asked to decide on {app}" if notice.kind != "approval-asked" else f"you decide on {app}"
    owner = f"{_line(facts.owner)} looks" if facts.owner else "The admins look"
    return f"You get this mail because {why}. {owner} after {app}."


def _recipient(facts: Facts) -> str:
    return facts.person.email if facts.person else facts.notice.address or ""


def _chain(facts: Facts) -> list[chain.Link]:
    request, app, requester = facts.request, facts.app, facts.for_person
    assert request and app and requester
    found = chain.links(
        app=app,
        requester=Who(requester.id, requester.public_id, requester.name),
        asked_at=request.created_at,
        state=request.state,
        settled_at=request.settled_at,
        steps=facts.steps,
        times=_times(facts),
        reader=facts.person.id if facts.person else None,
    )
    return [replace(one, title=_line(one.title), lines=tuple(map(_line, one.lines))) for one in found]


def _deciders(step: ChainStep, reader: int) -> str:
    """ "you", "you or Chloe Tan", "you or one of 13 others" """
    if step.asked_count > len(step.asked):
        return f"you or one of {step.asked_count - 1} others"
    return _line(chain.names(step, reader, first=False)) or "you"


def _silence(step: ChainStep) -> str:
    """ "Nobody in Finance answered", "Ana Moreau did not answer" """
    if step.tier != Tier.APPROVER:
        return "Nobody answered"
    return (
        f"{_line(step.person.name)} did not answer" if step.person else f"Nobody in {_line(step.group_name)} answered"
    )


def _decided(facts: Facts) -> ChainStep | None:
    """The step whose decision ended the request."""
    return max(
        (one for one in facts.steps if one.decided_by is not None and one.decided_at is not None),
        key=lambda one: one.position,
        default=None,
    )


def _who_decided(facts: Facts, step: ChainStep) -> dict[str, Any]:
    assert step.decided_by and step.decided_at
    override = step.channel == "admin"
    return {
        "decider": _line(step.decided_by.name),
        "decider_first": _first(step.decided_by.name),
        "denied": step.verdict == Verdict.DENIED,
        "when": _times(facts).due(step.decided_at),
        "comment": step.comment,
        "override": override,
        "yes": "approved it as an admin"
        if override
        else "gave the last yes"
        if len(facts.steps) > 1
        else "approved it",
        "for_group": _line(step.group_name) if step.tier == Tier.APPROVER and not override else "",
    }


def _values(facts: Facts, sheet: Sheet) -> list[Row]:
    rows = []
    for one in sheet.visible:
        if one.current is None:
            value = "for you to set" if _sets(facts) and one.visibility is Visibility.WRITE else "not set"
        else:
            value = _line(shown(one.current.value)) + _by(facts, one.current.by)
            if _sets(facts) and one.visibility is Visibility.WRITE:
                value += "; you can change it"
        rows.append(Row(_line(one.entitlement.name), value))
    return rows


def _sets(facts: Facts) -> bool:
    return facts.notice.kind == "approval-asked"


def _by(facts: Facts, by: int | None) -> str:
    if by is None:
        return ""
    asked = facts.request is None or by in (facts.request.asked_by_id, facts.request.for_person_id)
    you = facts.person is not None and by == facts.person.id
    return f", {'chosen' if asked else 'set'} by {'you' if you else _first(facts.names.get(by, ''))}"


def _comments(facts: Facts, label: str, *, but: ChainStep | None = None) -> list[Row]:
    """What was said with each decision; `label` takes the first name and the verdict."""
    return [
        Row(label.format(_first(one.decided_by.name), one.verdict), _lines(one.comment), said=True)
        for one in facts.steps
        if one.decided_by is not None and one.comment and one is not but
    ]


def _own_words(facts: Facts) -> list[Row]:
    assert facts.request
    return [Row("You wrote", _lines(facts.request.message), said=True)] if facts.request.message else []


def _launch(url: str) -> str:
    return url if urlsplit(url).scheme in ("https", "http") else ""


def _request_link(facts: Facts) -> str:
    assert facts.request
    return links.url(f"/requests/{facts.request.public_id}")


def _password_link(facts: Facts) -> str:
    assert facts.person
    token = links.password_token(facts.person.public_id, facts.notice.round, facts.notice.created_at)
    return links.url(f"/password/{token}")


def _line(text: str) -> str:
    """One line that cannot turn the words around it."""
    return one_line(text.translate(_TURNING))


def _first(name: str) -> str:
    return (_line(name).split() or [""])[0]


def _wrap(text: str, indent: str = "", first: str | None = None) -> str:
    """Text of a mail, its own line breaks kept, with no line longer than a mail program shows well."""
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        start = first if first is not None and not lines else indent
        # Long words are addresses, which break when they are cut.
        lines += textwrap.wrap(
            line, TEXT_WIDTH, initial_indent=start, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        ) or [""]  # fmt: skip
    return "\n".join(lines)


def _lines(text: str) -> str:
    """Somebody's own words with their line breaks, and nothing else that moves or turns text."""
    return "".join(sign for sign in text.translate(_TURNING) if sign in "\t\n" or unicodedata.category(sign) != "Cc")


def _row(row: Row) -> str:
    label = f"{row.label}: ".ljust(LABEL_WIDTH)
    words = f"“{row.value}”" if row.said else row.value
    return _wrap(words, " " * LABEL_WIDTH, label)
