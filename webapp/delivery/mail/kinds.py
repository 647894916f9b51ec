"""One function per email, rendered from templates/email/<kind>/. The same notice gives the same bytes each time, but
for its date."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from webapp import links
from webapp.models import Invitation
from webapp.notices import NoticeKind
from webapp.queries.chains import ChainStep
from webapp.queries.mail_context import MailContext
from webapp.workflow.states import Assurance, RequestState

from .account_kinds import api_token, invitation, password_reset, security_changed, test, webhook_paused
from .compose import compose
from .mime import Mail, Unmailable
from .wording import (
    NAME,
    Row,
    chain_of,
    comments,
    deciders,
    deciding_step,
    first_name,
    line,
    own_words,
    silent,
    times_of,
    values,
    who_decided,
)

log = logging.getLogger("countersign.mail")


def render(facts: MailContext, *, sent_at: datetime | None = None) -> Mail:
    """The email of a notice, dated `sent_at`, else with its notice. Raises Unmailable and BadSender; ValueError for
    an unknown kind."""
    message = RENDERERS[NoticeKind(facts.notice.kind)](facts)
    if sent_at is not None:
        message.set_date(sent_at)
    return message


def shown(facts: MailContext) -> Mail | None:
    """The email as the log shows it; None if it cannot be made, which the worker reports, too."""
    try:
        return render(facts)
    except Exception:
        log.exception("An email cannot be shown.", extra={"notice": facts.notice.public_id})
        return None


def approval_asked(facts: MailContext) -> Mail:
    """To one approver: who requests what, why, the deadline, the link, and the code if the rules allow one."""
    request, app, rule, invitation, step = facts.request, facts.app, facts.policy, facts.invitation, facts.step
    assert request and app and rule and invitation and step and facts.person and step.due_at
    token, code = facts.stand_in or _link_and_code(facts.notice.round, invitation)
    return compose(
        facts,
        link=links.url(f"/decide/{token}"),
        code=code if rule.assurance is Assurance.CODE else "",
        again=bool(facts.notice.data.get("again")),
        note=_note(facts, with_code=rule.assurance is Assurance.CODE),
        due=times_of(facts).due(step.due_at),
        deciders=deciders(step, facts.person.id),
        message=request.message,
        rows=values(facts, rule.sheet_for_step(step.position, request.values)) + comments(facts, "{} {}"),
        chain=chain_of(facts),
    )


def _note(facts: MailContext, *, with_code: bool) -> str:
    """Why the reader gets this email again; "" for the first one."""
    data = facts.notice.data
    if data.get("again"):
        return f"This is a reminder from {first_name(facts.asked_by.name) if facts.asked_by else NAME}."
    if data.get("same"):
        kept = "The link and code have not changed." if with_code else "The link has not changed."
        return f"You asked us to send this email again. {kept}"
    if data.get("new_code"):
        if with_code:
            return "Here is your new code. Earlier links and codes no longer work."
        return "Here is your new link. Earlier links no longer work."
    return ""


def _link_and_code(round: int, invitation: Invitation) -> tuple[str, str]:
    try:
        return (
            links.approval_token(invitation.public_id, round, invitation.key_id),
            links.code(invitation.public_id, round, invitation.key_id),
        )
    except KeyError:
        raise Unmailable("Not sent: the secret key that signed its link has been removed.") from None


def code_closed(facts: MailContext) -> Mail:
    """To the approver whose code was locked after wrong attempts, which someone else may have made."""
    invitation, step = facts.invitation, facts.step
    assert invitation and step and step.due_at
    token, _ = facts.stand_in or _link_and_code(facts.notice.round, invitation)
    return compose(
        facts,
        link=links.url(f"/decide/{token}"),
        when=times_of(facts).due(facts.notice.created_at),
        due=times_of(facts).due(step.due_at),
    )


def request_approved(facts: MailContext) -> Mail:
    """To the requester: you have access. To approvers and other addresses: the requester has access."""
    last = deciding_step(facts)
    assert facts.policy and facts.app and facts.request
    sheets = {"requester": facts.policy.sheet_for_requester, "other": facts.policy.sheet_for_owner}
    sheet = sheets.get(facts.notice.role)
    rows = values(facts, sheet(facts.request.values)) if sheet else []
    return _outcome(
        facts,
        RequestState.APPROVED,
        step=last,
        rows=rows + (comments(facts, "{} wrote") if facts.notice.role != "other" else []),
        launch=_launch(facts.app.launch_url),
    )


def request_denied(facts: MailContext) -> Mail:
    """To the requester: who denied it and why, and how to request it again."""
    last = deciding_step(facts)
    assert facts.policy and facts.request
    rows: list[Row] = []
    if facts.notice.role == "requester":
        rows = own_words(facts) + values(facts, facts.policy.sheet_for_requester(facts.request.values))
    if facts.notice.role != "other":
        rows += comments(facts, "{} wrote", but=last)
    return _outcome(facts, RequestState.DENIED, step=last, rows=rows)


def request_expired(facts: MailContext) -> Mail:
    """The deadline passed without a decision."""
    step = next((one for one in facts.steps if one.state == "expired"), None)
    assert facts.policy and facts.request
    rows: list[Row] = []
    if facts.notice.role == "requester":
        rows = own_words(facts) + values(facts, facts.policy.sheet_for_requester(facts.request.values))
    if facts.notice.role != "other":
        rows += comments(facts, "{} wrote")
    due = step.due_at if step else facts.request.settled_at
    assert due is not None
    return _outcome(
        facts,
        RequestState.EXPIRED,
        step=step,
        rows=rows,
        due=times_of(facts).due(due),
        silent=silent(step),
    )


def request_cancelled(facts: MailContext) -> Mail:
    """To everyone who was asked, and to the requester when someone else cancelled it."""
    request = facts.request
    assert request and request.settled_at and facts.for_person
    by = request.settled_by_id
    return _outcome(
        facts,
        RequestState.CANCELLED,
        step=None,
        rows=[],
        by=line(facts.names.get(by, "")) if by not in (None, request.asked_by_id, request.for_person_id) else "",
        when=times_of(facts).due(request.settled_at),
        reason=request.settled_note,
    )


def request_settled(facts: MailContext) -> Mail:
    """To the other members of a group: one of them decided, so there is nothing left to do."""
    step = facts.step
    assert step and step.decided_by
    return compose(
        facts,
        link=_request_link(facts),
        rows=[],
        chain=chain_of(facts),
        **who_decided(facts, step),
    )


def request_comment(facts: MailContext) -> Mail:
    """A comment on a request, to the others who take part in it."""
    comment = facts.comment
    if comment is None:
        raise Unmailable("Not sent: the comment no longer exists.")
    return compose(
        facts,
        link=_request_link(facts),
        writer=line(facts.names.get(comment.person_id, "")),
        when=times_of(facts).due(comment.created_at),
        comment=comment.body,
        chain=chain_of(facts),
    )


def access_to_check(facts: MailContext) -> Mail:
    """To the other admins: everyone who approved set their password with a link that the requester had sent."""
    last = deciding_step(facts)
    assert last and last.decided_by
    return compose(facts, link=_request_link(facts), **who_decided(facts, last))


def app_added(facts: MailContext) -> Mail:
    """To the person who added an app that needs no approval."""
    assert facts.app and facts.policy and facts.grant
    launch = _launch(facts.app.launch_url)
    rule = facts.policy.outcomes.get(RequestState.APPROVED)
    return compose(
        facts,
        link=launch or links.url("/"),
        launch=launch,
        when=times_of(facts).due(facts.grant.created_at),
        words=rule.message if rule else "",
        rows=values(facts, facts.policy.sheet_for_requester(facts.grant.values)),
    )


def grant_removed(facts: MailContext) -> Mail:
    """To the person who had access, and to the owner: it was removed, by whom and why."""
    assert facts.app and facts.grant and facts.grant.removed_at
    return compose(
        facts,
        link=links.url("/catalog") if facts.notice.role == "requester" else "",
        by=line(facts.names.get(facts.grant.removed_by_id or 0, "")) or "An admin",
        holder=line(facts.names.get(facts.grant.person_id, "")),
        when=times_of(facts).due(facts.grant.removed_at),
        reason=facts.grant.removed_reason,
    )


def grant_added(facts: MailContext) -> Mail:
    """To the person who has access now, the owners and the approvers: it was granted without a request."""
    assert facts.app and facts.grant and facts.policy
    yours = facts.notice.role == "requester"
    launch = _launch(facts.app.launch_url) if yours else ""
    return compose(
        facts,
        link=launch or links.url("/") if yours else "",
        launch=launch,
        by=line(facts.names.get(facts.grant.given_by_id or 0, "")) or "An admin",
        holder=line(facts.names.get(facts.grant.person_id, "")),
        when=times_of(facts).due(facts.grant.created_at),
        reason=facts.grant.given_reason,
        # An approver may see some fields only, so the email to others has none.
        rows=values(facts, facts.policy.sheet_for_requester(facts.grant.values)) if yours else [],
    )


def grants_removed(facts: MailContext) -> Mail:
    """To a person who had several apps, and to an owner of several of them: they were removed, by whom and why."""
    assert facts.grant and facts.grant.removed_at
    return compose(
        facts,
        link=links.url("/catalog") if facts.notice.role == "requester" else "",
        by=line(facts.names.get(facts.grant.removed_by_id or 0, "")) or "An admin",
        holder=line(facts.names.get(facts.grant.person_id, "")),
        when=times_of(facts).due(facts.grant.removed_at),
        reason=facts.grant.removed_reason,
        apps=[line(name) for name in facts.apps],
    )


def grant_returned(facts: MailContext) -> Mail:
    """To the owner, or to the admins: someone gave the app back, with a reason if there is one."""
    assert facts.app and facts.grant and facts.grant.removed_at
    return compose(
        facts,
        link=links.url(f"/admin/apps/{facts.app.public_id}/people"),
        holder=line(facts.names.get(facts.grant.person_id, "")),
        when=times_of(facts).due(facts.grant.removed_at),
        reason=facts.grant.removed_reason,
    )


# Each function carries the name of its kind.
RENDERERS: dict[NoticeKind, Callable[[MailContext], Mail]] = {
    NoticeKind(function.__name__.replace("_", "-")): function
    for function in (
        approval_asked, code_closed, request_approved, request_denied, request_expired, request_cancelled,
        request_settled, request_comment, access_to_check, app_added, grant_added, grant_removed, grants_removed,
        grant_returned, invitation, password_reset, api_token, security_changed, webhook_paused, test,
    )
}  # fmt: skip


def _outcome(
    facts: MailContext,
    state: RequestState,
    *,
    step: ChainStep | None,
    rows: list[Row],
    launch: str = "",
    **context: Any,
) -> Mail:
    """What the emails about a closed request have in common. Other addresses get no link: no one signs in there."""
    assert facts.policy and facts.request
    rule = facts.policy.outcomes.get(state)
    role = facts.notice.role
    yours = role == "requester" and facts.person is not None and facts.person.id == facts.request.for_person_id
    if step is not None and step.decided_by is not None:
        context |= who_decided(facts, step)
    return compose(
        facts,
        link=launch if launch and yours else "" if role == "other" else _request_link(facts),
        launch=launch,
        words=rule.message if rule else "",
        rows=rows,
        chain=chain_of(facts),
        **context,
    )


def _launch(url: str) -> str:
    return url if urlsplit(url).scheme in ("https", "http") else ""


def _request_link(facts: MailContext) -> str:
    assert facts.request
    return links.url(f"/requests/{facts.request.public_id}")
