"""What people do with requests: submit, decide, cancel, ask again; and what time does: expire."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, exists, insert, or_, select, tuple_, update
from sqlalchemy import case as sql_case

from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import (
    LIVE_GRANT,
    AccessRequest,
    App,
    Audience,
    Comment,
    Decision,
    Grant,
    Invitation,
    Membership,
    Notice,
    Person,
    PolicyRevision,
    Step,
    db_now,
)
from webapp.models.requests import dump_values
from webapp.queries import cases, directory, domains, own_access
from webapp.queries.cases import Case
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.runtime import failpoints
from webapp.text import clean, sha256, word_list
from webapp.workflow import state_machine
from webapp.workflow.approvers import Deciders, require_deciders, who_decides
from webapp.workflow.entitlements import SetValue, Sheet, fill, shown
from webapp.workflow.entitlements import missing as missing_words
from webapp.workflow.errors import BadValues, NotYourTurn, Settled
from webapp.workflow.policy import MESSAGE_LIMIT, Approver, OutcomeRule, loads
from webapp.workflow.states import Channel, RequestState, StepState, Verdict

from . import _invitations, _often, _vouched
from ._sql import changed, run, run_if_free, unless_taken
from ._values import Given, cleaned, for_the_record, taken
from .errors import Conflict, Invalid, too_long

ASK_AGAIN_AFTER = timedelta(hours=24)
SENT_TWICE_WITHIN = timedelta(minutes=1)
REASON_LIMIT = 500
CODES_A_DAY = 3
WRONG_CODES = 5
# "Mail it to me again": the same mail, so rarely that a scanner which presses every button when a mail comes in
# causes none.
SAME_MAILS_A_DAY = 3
SAME_MAIL_AFTER = timedelta(minutes=10)
SAME_MAIL = '{"same": true}'
TOO_LATE = "This request has changed: someone else has decided, or the deadline has passed. Here is its current state."


def add(app: App, revision: PolicyRevision, *, person: Person, now: datetime) -> Grant:
    """Gives an app that needs no approval; raises Conflict when the person has it, the rule has changed, or it was they
    who opened the app to themselves and somebody else could give it to them."""
    policy = revision.snapshot()
    if policy.approval_required:
        raise Conflict(f"{app.name} now needs approval. Select Request instead.")
    values = policy.defaults()
    missing = policy.missing(values)
    if missing:  # a rule from before such ones were refused
        raise Conflict(
            f"{app.name} cannot be added: the field {missing[0].name} has no default. Ask an admin to set one."
        )
    directory.lock()
    stands = _check_what_stands(app, revision, person, now=now)
    own = own_access.of(app, revision, person.id) if stands.may_have_opened else None
    if own is not None and not own.is_alone:
        raise Conflict(own.refusal)
    _often.check_grant(app, stands.lately, now=now)
    grant = Grant(app_id=app.id, person_id=person.id, created_at=now, state="active")
    grant.values = values
    with unless_taken(Conflict(f"You already have {app.name}.")):
        db.session.add(grant)
    audit.record(EventKind.GRANT_ADDED, at=now, actor=person.id, app=app.id, person=person.id, before=None,
                 after=for_the_record(policy, grant.values), **({"alone": True} if own else {}))  # fmt: skip
    outbox.post([_invitations.notice("app-added", "requester", now=now, person_id=person.id, grant_id=grant.id)])
    return grant


def submit(
    app: App, revision: PolicyRevision, *, person: Person, message: str, given: Given, now: datetime
) -> AccessRequest:
    """Asks for an app. The rule in force is frozen into the request.

    Raises Invalid or BadValues for input, NobodyCanDecide, and Conflict when the person has the app, has asked
    for it already, or the rule has changed under the form.
    """
    policy = revision.snapshot()
    if not policy.approval_required:
        raise Conflict(f"{app.name} no longer needs approval. Select Add to get access.")
    message = clean(message)
    if len(message) > MESSAGE_LIMIT:
        raise Invalid(message=too_long(message, MESSAGE_LIMIT))
    if policy.comment_required and not message:
        raise Invalid(message="Enter a reason. The approver needs it to decide.")
    values = policy.defaults()
    sheet = policy.sheet_for_requester(values)
    filled = fill(sheet.fields, cleaned(given), by=person.id, at=now.isoformat(timespec="seconds"))
    values = taken(sheet, values, filled)
    directory.lock()
    stands = _check_what_stands(app, revision, person, now=now)
    _often.check_request(app, stands.lately, now=now)
    owner = stands.owner
    found = directory.look_up([*(step.approver for step in policy.steps), owner])
    deciders = require_deciders(
        tuple(step.approver for step in policy.steps),
        owner=owner,
        directory=found.directory,
        without=frozenset({person.id}),
    )
    request = AccessRequest(
        app_id=app.id,
        asked_by_id=person.id,
        for_person_id=person.id,
        policy_revision_id=revision.id,
        message=message,
        words=word_list(message),
        created_at=now,
    )
    request.values = values
    with unless_taken(Conflict(f"You already have a pending request for {app.name}.")):
        db.session.add(request)
    audit.record(
        EventKind.REQUEST_SUBMITTED,
        at=now,
        actor=person.id,
        request=request.id,
        app=app.id,
        person=person.id,
        revision=revision.id,
        message=sha256(message) if message else None,
        before=None,
        after=for_the_record(policy, values),
    )
    _invitations.lay_out(request.id, policy, deciders[0], now=now)
    return request


# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_WHAT_STANDS = select(
    exists()
    .where(Grant.app_id == bindparam("app"), Grant.person_id == bindparam("person"), Grant.state.in_(LIVE_GRANT))
    .label("has"),
    select(AccessRequest.id)
    .where(
        AccessRequest.app_id == bindparam("app"),
        AccessRequest.for_person_id == bindparam("person"),
        AccessRequest.state == RequestState.PENDING.value,
    )
    .scalar_subquery()
    .label("asked"),
    exists().where(Person.id == bindparam("person"), Person.active).label("active"),
    or_(
        App.requestable_by_id == bindparam("person"),
        App.audience_by_id == bindparam("person"),
        exists().where(PolicyRevision.app_id == bindparam("app"), PolicyRevision.created_by_id == bindparam("person")),
        exists().where(
            Audience.app_id == bindparam("app"),
            Membership.group_id == Audience.group_id,
            Membership.person_id == bindparam("person"),
            Membership.added_by_id == bindparam("person"),
        ),
    ).label("may_have_opened"),
    App.requestable,
    App.archived_at,
    App.policy_revision_id,
    App.owner_person_id,
    App.owner_group_id,
    *_often.COLUMNS,
).where(App.id == bindparam("app"))


@dataclass(frozen=True, slots=True)
class Stands:
    """The app's owner, whether the person did anything that could have opened the app to themselves, and how often they
    had or requested it lately."""

    owner: Approver | None
    may_have_opened: bool
    lately: Any


def _check_what_stands(app: App, revision: PolicyRevision, person: Person, *, now: datetime) -> Stands:
    """What may have changed under the form, looked up again under the lock.

    An earlier request whose time is over ends here, where no sweep has come by yet: it is in nobody's way.
    Raises Conflict when the person has the app, has asked for it, is deactivated, or the app or its rule changed.
    """
    row = run(_WHAT_STANDS, {"app": app.id, "person": person.id, "since": now - _often.DAY}).one()
    if row.has:
        raise Conflict(f"You already have {app.name}.")
    if row.asked is not None and not expire_overdue(now=now, only=row.asked):
        raise Conflict(f"You already have a pending request for {app.name}.")
    if not row.active:
        raise Conflict("Your account is deactivated. Contact an admin.")
    if not row.requestable or row.archived_at is not None:
        raise Conflict(f"{app.name} can no longer be requested.")
    if row.policy_revision_id != revision.id:
        raise Conflict(f"The rules of {app.name} have just changed. Check your request and send it again.")
    is_owned = row.owner_person_id is not None or row.owner_group_id is not None
    owner = Approver(row.owner_person_id, row.owner_group_id) if is_owned else None
    return Stands(owner, bool(row.may_have_opened), row)


def decide(
    case: Case,
    *,
    actor: Person,
    verdict: Verdict,
    comment: str = "",
    given: Given | None = None,
    step_id: int | None = None,
    channel: Channel,
    now: datetime,
) -> Case:
    """One person's verdict on the open step, with the entitlements that the step may write.

    `step_id` is the step the person was looking at. Raises the workflow's errors, BadValues, Invalid, or Conflict
    when somebody else was faster; the caller must have taken `directory.lock()` before loading the case.
    """
    comment = clean(comment)
    if len(comment) > MESSAGE_LIMIT:
        field = "reason" if verdict is Verdict.DENIED else "comment"
        raise Invalid(**{field: too_long(comment, MESSAGE_LIMIT)})
    snapshot = case.snapshot()
    step = case.open_step
    following = next((one for one in case.steps if one.state == StepState.WAITING.value), None)
    found = directory.look_up([one.approver for one in (step, following) if one is not None] + [case.app.owner])
    without = frozenset({case.request.asked_by_id, case.request.for_person_id})

    def deciders_of(one: Step) -> Deciders:
        return who_decides(one.approver, owner=case.app.owner, directory=found.directory, without=without)

    outcome = state_machine.decide(
        snapshot,
        actor=actor.id,
        verdict=verdict,
        deciders=deciders_of(step).people if step else (),
        step_id=step_id,
        reason=comment,
        channel=channel,
    )
    assert step is not None  # state_machine.decide refuses a request without an open step
    if channel is Channel.ADMIN and actor.id not in found.directory.admins:
        raise NotYourTurn("Only an admin can decide for the approvers.")
    values = case.request.values
    if verdict is Verdict.APPROVED:
        sheet = case.policy.sheet_for_step(step.position, values)
        if given is None:
            _require_complete(sheet)
        else:
            filled = fill(sheet.fields, cleaned(given), by=actor.id, at=now.isoformat(timespec="seconds"))
            values = taken(sheet, values, filled)
    carry_out(case, outcome, step, actor=actor, verdict=verdict, comment=comment, channel=channel, values=values,
              now=now)  # fmt: skip
    if following is not None and outcome.opened == following.id:
        _invitations.open_step(case.request.id, following, deciders_of(following), now=now)
    return case


def carry_out(
    case: Case,
    outcome: state_machine.Outcome,
    step: Step,
    *,
    actor: Person,
    verdict: Verdict,
    comment: str,
    channel: Channel,
    values: dict[str, SetValue],
    now: datetime,
) -> None:
    """What the workflow said of one verdict: request and step move, it is recorded, the app given, people told.

    Raises Conflict when somebody else was faster.
    """
    _move(case, outcome, actor=actor.id, now=now, values=values, step=step)
    _record_decision(case, step, outcome, actor=actor, verdict=verdict, comment=comment, channel=channel,
                     values=values, now=now)  # fmt: skip
    asked = _invitations.asked_people([case.request.id]).get(case.request.id, []) if outcome.state.is_final else []
    freed = _invitations.close_invitations([step.id])
    notices: list[dict[str, Any]] = []
    if outcome.state is RequestState.APPROVED:
        _grant(case, values, actor=actor, now=now)
        outbox.post(_vouched.notices(case, actor=actor, now=now))
    if outcome.state.is_final:
        notices = _outcome_notices(
            outcome.state,
            case.policy.outcomes[outcome.state],
            case.request.id,
            requesters=(case.request.for_person_id, case.request.asked_by_id),
            approvers=(person for person, _, _ in asked if person != actor.id),
            outside=domains.outside(case.policy.outcomes[outcome.state].others),
            now=now,
        )
    told = {actor.id, *(one["person_id"] for one in notices)}
    notices += [
        _invitations.notice("request-settled", "approver", now=now, person_id=person, request_id=case.request.id,
                       step_id=step.id)
        for person in freed
        if person not in told
    ]  # fmt: skip
    outbox.post(notices)


def _require_complete(sheet: Sheet) -> None:
    """For a verdict without a form: what this step has to set must be set already. Raises BadValues."""
    missing = [one.entitlement for one in sheet.writable if one.entitlement.required and one.current is None]
    if missing:
        raise BadValues({one.id: missing_words(one) for one in missing})


_DECISION = insert(Decision.metadata.tables["decisions"])


def _record_decision(
    case: Case,
    step: Step,
    outcome: state_machine.Outcome,
    *,
    actor: Person,
    verdict: Verdict,
    comment: str,
    channel: Channel,
    values: dict[str, SetValue],
    now: datetime,
) -> None:
    names = {one.id: one.name for one in case.policy.entitlements}
    before = case.request.values
    differs = [key for key in names if before.get(key) != values.get(key)]
    was_set = {names[key]: shown(values[key].value) if key in values else "" for key in differs}
    decision = {
        "step_id": step.id,
        "person_id": actor.id,
        "verdict": verdict.value,
        "channel": channel.value,
        "comment": comment,
        "set_json": json.dumps(was_set, ensure_ascii=False),
        "created_at": now,
    }
    run(_DECISION, decision)
    audit.record(
        EventKind.STEP_APPROVED if verdict is Verdict.APPROVED else EventKind.STEP_DENIED,
        at=now,
        actor=actor.id,
        request=case.request.id,
        app=case.app.id,
        person=case.request.for_person_id,
        step=step.position,
        channel=channel.value,
        comment=sha256(comment) if comment else None,
        before=for_the_record(case.policy, {key: before[key] for key in differs if key in before}),
        after=for_the_record(case.policy, {key: values[key] for key in differs if key in values}),
        state=outcome.state.value,
        **({"vouched": True} if _vouched.is_vouched(case, actor) else {}),
    )


def cancel(case: Case, *, actor: Person, reason: str = "", now: datetime) -> None:
    """Ends a pending request; everyone who was asked is told. Raises Invalid, Settled or Conflict."""
    outcome = state_machine.cancel(case.snapshot())
    reason = clean(reason)
    if len(reason) > REASON_LIMIT:
        raise Invalid(reason=too_long(reason, REASON_LIMIT))
    _move(case, outcome, actor=actor.id, now=now, note=reason, step=case.open_step)
    ended = {case.request.id: (case.app.id, case.for_person)}
    _tell_cancelled(ended, [one.id for one in case.steps], actor=actor, reason=reason, now=now)


def cancel_all(ids: Iterable[int], *, actor: Person, reason: str, now: datetime) -> int:
    """`cancel` for many at once, in as many statements as for one. Returns how many were pending still."""
    reason = clean(reason)[:500]
    rows = db.session.execute(
        select(AccessRequest, Person)
        .join(Person, Person.id == AccessRequest.for_person_id)
        .where(AccessRequest.id.in_(ids), AccessRequest.state == RequestState.PENDING.value)
        .order_by(AccessRequest.id)
        .with_for_update(of=AccessRequest)
        .execution_options(populate_existing=True)
    ).all()
    if not rows:
        return 0
    pending = _held(request for request, _ in rows)
    closed = [step for one in pending.values() for step, _ in state_machine.cancel(one).moves]
    changed(
        update(AccessRequest)
        .where(AccessRequest.id.in_(pending), AccessRequest.state == RequestState.PENDING.value)
        .values(state=RequestState.CANCELLED.value, version=AccessRequest.version + 1, settled_at=now,
                settled_by_id=actor.id, settled_note=reason)
    )  # fmt: skip
    changed(_SETTLE_STEPS, steps=closed, new_state=StepState.SKIPPED.value, at=now)
    ended = {request.id: (request.app_id, person) for request, person in rows}
    _tell_cancelled(ended, closed, actor=actor, reason=reason, now=now)
    return len(rows)


def _tell_cancelled(
    ended: Mapping[int, tuple[int, Person]], steps: Iterable[int], *, actor: Person, reason: str, now: datetime
) -> None:
    """Events, mails and closed invitations for requests that were cancelled: id → (app id, who it was for)."""
    asked = _invitations.asked_people(ended)
    _invitations.close_invitations(steps)
    notices: list[dict[str, Any]] = []
    for id, (app_id, person) in ended.items():
        audit.record(EventKind.REQUEST_CANCELLED, at=now, actor=actor.id, request=id, app=app_id, person=person.id,
                     reason=sha256(reason) if reason else None)  # fmt: skip
        told = dict.fromkeys(who for who, _, _ in asked.get(id, ()))
        if person.active:
            told[person.id] = None
        notices += [
            _invitations.notice("request-cancelled", "requester" if who == person.id else "approver", now=now,
                           person_id=who, request_id=id)
            for who in told
            if who != actor.id
        ]  # fmt: skip
    outbox.post(notices)


def remind(case: Case, *, actor: Person, now: datetime) -> None:
    """ "Ask again": mails those who are asked once more, at most once a day. Raises Settled or Conflict."""
    step = case.open_step
    if state_machine.require_open(case.snapshot()).overdue or step is None:
        raise Settled("The deadline for this decision has passed.")
    if (case.request.asked_again_at or case.request.created_at) > now - ASK_AGAIN_AFTER:
        raise Conflict(
            "A reminder or the request itself was sent less than 24 hours ago. You can send one reminder a day."
        )
    if (
        changed(
            update(AccessRequest)
            .where(
                AccessRequest.id == case.request.id,
                AccessRequest.state == RequestState.PENDING.value,
                AccessRequest.version == case.request.version,
            )
            .values(version=AccessRequest.version + 1, asked_again_at=now)
        )
        != 1
    ):
        raise Conflict(TOO_LATE)
    audit.record(EventKind.REQUEST_REMINDED, at=now, actor=actor.id, request=case.request.id, app=case.app.id)
    live = db.session.execute(
        select(Invitation.id, Invitation.person_id, Invitation.round).where(
            Invitation.step_id == step.id, Invitation.live
        )
    ).all()
    _invitations.ask([(one.id, one.person_id, one.round) for one in live], case.request.id, step.id, now=now,
                data_json='{"again": true}')  # fmt: skip


def comment(case: Case, *, actor: Person, body: str, now: datetime) -> None:
    """Writes a comment on a request and mails it to those concerned. Raises Invalid.

    The same words of the same person within a minute are a form that was sent twice: they stand once.
    """
    body = clean(body)
    if not body:
        raise Invalid(comment="Enter a comment.")
    if len(body) > MESSAGE_LIMIT:
        raise Invalid(comment=too_long(body, MESSAGE_LIMIT))
    # Held, so that the second of two forms that come at once sees the first one's words.
    db.session.execute(select(AccessRequest.id).where(AccessRequest.id == case.request.id).with_for_update())
    same = exists().where(
        Comment.request_id == case.request.id,
        Comment.person_id == actor.id,
        Comment.body == body,
        Comment.created_at > now - SENT_TWICE_WITHIN,
    )
    is_same, number, first = db.session.execute(select(same, *_often.comments(case.request.id, actor, now=now))).one()
    if is_same:
        return
    _often.check_comment(number, first, now=now)
    said = Comment(request_id=case.request.id, person_id=actor.id, body=body, created_at=now)
    db.session.add(said)
    db.session.flush()
    audit.record(
        EventKind.REQUEST_COMMENTED,
        at=now,
        actor=actor.id,
        request=case.request.id,
        app=case.app.id,
        comment=sha256(body),
    )
    step = case.open_step
    people = dict.fromkeys((case.request.for_person_id, case.request.asked_by_id), "requester")
    for person in _who_answers(case):
        people.setdefault(person, "approver")
    outbox.post(
        [
            _invitations.notice(
                "request-comment",
                role,
                now=now,
                person_id=person,
                request_id=case.request.id,
                step_id=step.id if step is not None and role == "approver" else None,
                data_json=json.dumps({"comment": said.id}),
            )
            for person, role in people.items()
            if person != actor.id
        ]
    )


def _who_answers(case: Case) -> Sequence[int]:
    """Who may decide the open step; once the request is settled, who decided it."""
    if case.open_step is not None:
        asked = select(Invitation.person_id).where(Invitation.step_id == case.open_step.id, Invitation.live)
        return db.session.scalars(asked.order_by(Invitation.id)).all()
    decided = select(Decision.person_id).join(Step, Step.id == Decision.step_id)
    return db.session.scalars(decided.where(Step.request_id == case.request.id).order_by(Decision.id)).all()


def count_wrong_code(case: Case, invitation: Invitation, *, now: datetime) -> int | None:
    """Counts one well-formed wrong code; returns the tries left, or None where there is none to count any more: it was
    decided meanwhile, or others closed the code. With the last try the code path closes, and the approver, who may
    not be the one who types, is told by mail.

    The caller commits before it refuses.
    """
    count = db.session.scalar(
        update(Invitation)
        .where(Invitation.id == invitation.id, Invitation.round == invitation.round, Invitation.live,
               Invitation.wrong_codes < WRONG_CODES)
        .values(wrong_codes=Invitation.wrong_codes + 1)
        .returning(Invitation.wrong_codes),
        execution_options={"synchronize_session": False},
    )  # fmt: skip
    if count == WRONG_CODES:
        audit.record(EventKind.CODE_CLOSED, at=now, actor=None, request=case.request.id, person=invitation.person_id,
                     round=invitation.round)  # fmt: skip
        outbox.post(
            [
                _invitations.notice("code-closed", "approver", now=now, person_id=invitation.person_id,
                               request_id=case.request.id, step_id=invitation.step_id, invitation_id=invitation.id,
                               round=invitation.round)
            ]
        )  # fmt: skip
    return WRONG_CODES - count if count is not None else None


def mail_same_code(case: Case, invitation: Invitation, *, now: datetime) -> None:
    """The mail of this round once more, with the same link and code: what the approver has goes on working.
    Raises Settled, NotYourTurn or Conflict."""
    step = state_machine.require_open(case.snapshot())
    if step.overdue or step.id != invitation.step_id:
        raise Settled("The deadline for this decision has passed.")
    asked_for = invitation.round
    # Held, so that of two clicks the second sees the mail of the first.
    db.session.refresh(invitation, with_for_update=True)
    if not invitation.live:
        raise NotYourTurn("You are no longer an approver for this request.")
    if invitation.round != asked_for:
        raise Conflict("We have already sent you a new code.")
    # Of which kind they are is looked at here: SQLite would go through all of that kind, not through the request's few.
    notices = db.session.execute(
        select(Notice.kind, Notice.created_at, Notice.data_json)
        .where(
            Notice.request_id == case.request.id,
            Notice.invitation_id == invitation.id,
            Notice.created_at > now - timedelta(days=1),
        )
        .order_by(Notice.id)
    )
    mailed = [row for row in notices if row.kind == "approval-asked"]
    if mailed and mailed[-1].created_at > now - SAME_MAIL_AFTER:
        raise Conflict(
            "We sent the email less than 10 minutes ago. Wait a little and check your spam folder, or sign in instead."
        )
    if sum(row.data_json == SAME_MAIL for row in mailed) >= SAME_MAILS_A_DAY:
        raise Conflict(
            f"We have sent this email {SAME_MAILS_A_DAY} more times today, which is the limit. Use the code from any "
            "of them or sign in."
        )
    audit.record(EventKind.CODE_MAILED_AGAIN, at=now, actor=invitation.person_id, request=case.request.id)
    _invitations.ask([(invitation.id, invitation.person_id, invitation.round)], case.request.id, step.id, now=now,
                data_json=SAME_MAIL)  # fmt: skip


def mail_new_code(case: Case, invitation: Invitation, *, now: datetime) -> None:
    """A new round: a new link and code by mail, the old ones stop deciding; at most three a day.
    Raises Settled, NotYourTurn or Conflict."""
    step = state_machine.require_open(case.snapshot())
    if step.overdue or step.id != invitation.step_id:
        raise Settled("The deadline for this decision has passed.")
    today, asked_for = now.date().isoformat(), invitation.round
    if not _invitations.renew(
        [
            Invitation.id == invitation.id,
            Invitation.round == asked_for,
            (Invitation.codes_day != today) | (Invitation.codes_mailed < CODES_A_DAY),
        ],
        now=now,
        asked_by=invitation.person_id,
        codes_mailed=sql_case((Invitation.codes_day == today, Invitation.codes_mailed + 1), else_=1),
        codes_day=today,
    ):
        db.session.refresh(invitation)
        if not invitation.live:
            raise NotYourTurn("You are no longer an approver for this request.")
        if invitation.round != asked_for:
            raise Conflict("We have already sent you a new code.")
        if invitation.codes_day != today or invitation.codes_mailed < CODES_A_DAY:
            raise Settled("The deadline for this decision has passed.")
        raise Conflict(
            f"You have reached the limit of {CODES_A_DAY} new codes a day. Try the code in your latest email or sign "
            "in."
        )


_MOVE = (
    update(AccessRequest)
    .where(
        AccessRequest.id == bindparam("request"),
        AccessRequest.state == RequestState.PENDING.value,
        AccessRequest.version == bindparam("seen"),
    )
    .values(
        version=AccessRequest.version + 1,
        state=bindparam("new_state"),
        values_json=bindparam("new_values"),
        settled_at=bindparam("at"),
        settled_by_id=bindparam("actor"),
        settled_note=bindparam("note"),
    )
)
# The due instant decides, sweeper or no sweeper, on the database's clock.
_MOVE_IN_TIME = _MOVE.where(
    exists().where(Step.id == bindparam("step"), Step.state == StepState.OPEN.value, Step.due_at > db_now())
)
_SETTLE_STEPS = (
    update(Step)
    .where(Step.id.in_(bindparam("steps", expanding=True)))
    .values(state=bindparam("new_state"), settled_at=bindparam("at"))
)


def _move(
    case: Case,
    outcome: state_machine.Outcome,
    *,
    actor: int | None,
    now: datetime,
    values: dict[str, SetValue] | None = None,
    note: str = "",
    step: Step | None,
) -> None:
    """The conditional UPDATE that every transition begins with, then the steps; raises Conflict for the loser."""
    final = outcome.state.is_final
    move = {
        "request": case.request.id,
        "seen": case.request.version,
        "new_state": outcome.state.value,
        "new_values": case.request.values_json if values is None else dump_values(values),
        "at": now if final else None,
        "actor": actor if final else None,
        "note": note if final else "",
    }
    if step is None or outcome.state is RequestState.CANCELLED:
        moved = changed(_MOVE, **move)
    else:
        moved = changed(_MOVE_IN_TIME, step=step.id, **move)
    if moved != 1:
        raise Conflict(TOO_LATE)
    closing: dict[StepState, list[int]] = {}
    for step_id, state in outcome.moves:
        if state is not StepState.OPEN:
            closing.setdefault(state, []).append(step_id)
    for state, ids in closing.items():
        changed(_SETTLE_STEPS, steps=ids, new_state=state.value, at=now)


def _grant(case: Case, values: dict[str, SetValue], *, actor: Person, now: datetime) -> None:
    """The person has the app now; if a grant appeared meanwhile, its entitlements are brought up to date."""
    person, app = case.request.for_person_id, case.app.id
    existing = db.session.scalars(
        select(Grant)
        .where(Grant.app_id == app, Grant.person_id == person, Grant.state.in_(LIVE_GRANT))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if existing is None:
        given = run_if_free(Grant.metadata.tables["grants"], app_id=app, person_id=person, request_id=case.request.id,
                            created_at=now, state="active", values_json=dump_values(values))  # fmt: skip
        if not given:
            raise Conflict("The app was added at the same time. Check the request and decide again.")
        kind, before = EventKind.GRANT_ADDED, None
    else:
        before = for_the_record(case.policy, existing.values)
        existing.values = values
        kind = EventKind.GRANT_UPDATED
    audit.record(kind, at=now, actor=actor.id, request=case.request.id, app=app, person=person,
                 before=before, after=for_the_record(case.policy, values))  # fmt: skip


def _outcome_notices(
    state: RequestState,
    rule: OutcomeRule,
    request_id: int,
    *,
    requesters: Iterable[int],
    approvers: Iterable[int],
    outside: Collection[str],
    now: datetime,
) -> list[dict[str, Any]]:
    """The mails that the frozen rule sets for this outcome, one for each recipient. `outside`: addresses of a rule from
    before they were looked at, or whose domain is no longer allowed; nothing is sent there."""
    roles: dict[int, str] = dict.fromkeys(approvers, "approver") if rule.approvers else {}
    if rule.requester:
        roles |= dict.fromkeys(requesters, "requester")
    kind = f"request-{state.value}"
    return [
        _invitations.notice(kind, role, now=now, person_id=person, request_id=request_id)
        for person, role in roles.items()
    ] + [
        _invitations.notice(kind, "other", now=now, address=address, request_id=request_id)
        for address in dict.fromkeys(rule.others)
        if address not in outside
    ]


def expire_overdue(*, now: datetime, limit: int = 500, only: int | None = None) -> int:
    """Ends up to `limit` requests whose open step is overdue, or `only` that one; returns how many were looked at
    (0: none left).

    Set-based: one conditional UPDATE … RETURNING, and only what came back gets events and mails.
    """
    query = (
        select(AccessRequest.id, AccessRequest.version, AccessRequest.app_id, AccessRequest.asked_by_id,
               AccessRequest.for_person_id, AccessRequest.policy_revision_id)
        .join(Step, and_(Step.request_id == AccessRequest.id, Step.state == StepState.OPEN.value))
        .where(Step.due_at <= db_now(), AccessRequest.state == RequestState.PENDING.value)
        .order_by(Step.due_at)
        .limit(limit)
        .with_for_update(of=AccessRequest, skip_locked=True)
    )  # fmt: skip
    if only is not None:
        query = query.where(AccessRequest.id == only)
    overdue = db.session.execute(query).all()
    if not overdue:
        return 0
    pending = _held(overdue)
    outcomes: dict[int, state_machine.Outcome] = {}
    for id, request in pending.items():
        with suppress(Settled):
            outcomes[id] = state_machine.expire(request)
    expired = set(
        db.session.scalars(
            update(AccessRequest)
            .where(
                tuple_(AccessRequest.id, AccessRequest.version).in_(
                    [(row.id, row.version) for row in overdue if row.id in outcomes]
                ),
                AccessRequest.state == RequestState.PENDING.value,
            )
            .values(state=RequestState.EXPIRED.value, version=AccessRequest.version + 1, settled_at=now)
            .returning(AccessRequest.id),
            execution_options={"synchronize_session": False},
        )
    )
    failpoints.at("expiry.in-batch")
    rows = [row for row in overdue if row.id in expired]
    moves: dict[StepState, list[int]] = {}
    for row in rows:
        for step_id, state in outcomes[row.id].moves:
            moves.setdefault(state, []).append(step_id)
    for state, ids in moves.items():
        changed(_SETTLE_STEPS, steps=ids, new_state=state.value, at=now)
    _tell_expired(rows, {row.id: pending[row.id].steps[0] for row in rows}, now=now)
    return len(overdue)


def _held(rows: Iterable[Any]) -> dict[int, state_machine.Request]:
    """request id → the pending request that we hold, with its open and waiting steps in order as they are now.

    The join that found them may have seen a step that an approval settled just before we got hold of its request.
    """
    held = {row.id: row for row in rows}
    steps: dict[int, list[state_machine.Step]] = {id: [] for id in held}
    for row in db.session.execute(
        select(Step.id, Step.request_id, Step.position, Step.state, (Step.due_at <= db_now()).label("overdue"))
        .where(Step.request_id.in_(held), Step.state.in_((StepState.OPEN.value, StepState.WAITING.value)))
        .order_by(Step.position, Step.id)
    ):
        steps[row.request_id].append(state_machine.Step(row.id, row.position, StepState(row.state), bool(row.overdue)))
    return {
        id: state_machine.Request(
            id, row.version, RequestState.PENDING, row.asked_by_id, row.for_person_id, tuple(steps[id])
        )
        for id, row in held.items()
    }


def _tell_expired(rows: Sequence[Any], steps: Mapping[int, state_machine.Step], *, now: datetime) -> None:
    """Events, mails and closed invitations for a batch of expired requests."""
    if not rows:
        return
    policies = {
        row.id: loads(row.body)
        for row in db.session.execute(
            select(PolicyRevision.id, PolicyRevision.body).where(
                PolicyRevision.id.in_({row.policy_revision_id for row in rows})
            )
        )
    }
    asked = _invitations.asked_people(row.id for row in rows)
    outside = domains.outside(
        address for policy in policies.values() for address in policy.outcomes[RequestState.EXPIRED].others
    )
    notices: list[dict[str, Any]] = []
    for row in rows:
        notices += _outcome_notices(
            RequestState.EXPIRED,
            policies[row.policy_revision_id].outcomes[RequestState.EXPIRED],
            row.id,
            requesters=(row.for_person_id, row.asked_by_id),
            approvers=(person for person, _, _ in asked.get(row.id, ())),
            outside=outside,
            now=now,
        )
        audit.record(
            EventKind.REQUEST_EXPIRED,
            at=now,
            actor=None,
            request=row.id,
            app=row.app_id,
            person=row.for_person_id,
            step=steps[row.id].position,
        )
    outbox.post(notices)
    _invitations.close_invitations(step.id for step in steps.values())


def reload(case: Case) -> Case:
    """The case as it stands now; for telling the loser of a race."""
    fresh = cases.load(id=case.request.id)
    assert fresh is not None  # requests are never deleted
    return fresh
