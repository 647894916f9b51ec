"""The demo company: people, apps and ninety days of requests, made by the real operations."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from sqlalchemy import exists, select, update

from webapp.delivery import outbox
from webapp.extensions import db, settings
from webapp.models import (
    AccessRequest,
    ApiToken,
    App,
    EntitlementField,
    Grant,
    Group,
    Notice,
    Organisation,
    Person,
    PolicyRevision,
    Step,
    db_now,
)
from webapp.operations import apps, comments, decisions, expiry, grants, groups, people, reporting, requests, tokens
from webapp.operations.entitlements import frozen
from webapp.operations.proofs import Proof
from webapp.passwords import hash_password
from webapp.queries import cases, directory
from webapp.queries.cases import Case
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import sha256
from webapp.workflow.actor import SYSTEM, Actor
from webapp.workflow.policy import Approver, OutcomeRule, Policy, StepRule
from webapp.workflow.states import Channel, RequestState, StepState, Verdict

from . import company, history, hooks, programs
from .diary import Diary
from .history import Act, Asked, AskedAgain, Cancelled, No, Override, Said, Silence, Values, Yes
from .programs import Program
from .sent_emails import DAYS, SentEmails

PASSWORD = "countersign-demo"  # nosec
# A sweep finds an overdue step within half a minute.
SWEEP = timedelta(seconds=11)


def seed(*, now: datetime) -> str:
    """Fills an empty installation and commits; changes nothing where there are people. Says what it did."""
    hash = hash_password(PASSWORD)  # slow, so before the transaction
    directory.lock(exclusive=True)
    if db.session.scalar(select(exists().where(Person.id > 0))):
        is_ours = db.session.scalar(select(exists().where(Person.email == _email("Rita"))))
        db.session.rollback()
        if is_ours:
            return "The demo company is here already; nothing was changed."
        return "There are people in this installation already, so nothing was changed."
    story = _Story(Diary(now, company.TIME_ZONE), hash, mailed=settings().mailbox)
    story.found()
    story.tell()
    story.set_the_clocks()
    outbox.commit()
    story.emails.deliver(settings().data / "mailbox")
    if settings().mailbox:
        told = hooks.add(story.people[company.ADMIN], now=now)
        told.store(settings().data / "webhooks")
    return (
        f"The demo company is ready: {len(story.people)} people, {len(story.apps)} apps and "
        f"{len(story.requests)} requests. Sign in as {_email('Rita')} with the password {PASSWORD}."
    )


def _email(first_name: str) -> str:
    return f"{first_name.lower()}@example.com"


class _Story:
    """Plays the company's history in the order in which it happened, so that the audit record tells it so."""

    def __init__(self, diary: Diary, hash: str, *, mailed: bool) -> None:
        self.diary = diary
        self.hash = hash
        self.people: dict[str, Person] = {}
        self.groups: dict[str, Group] = {}
        self.apps: dict[str, App] = {}
        self.requests: list[AccessRequest] = []
        self.tokens: dict[str, ApiToken] = {}
        # step id → when it opened, as the story has it
        self.opened: dict[int, datetime] = {}
        self.emails = SentEmails(diary.now - DAYS if mailed else diary.now + DAYS, self.opened)
        self.plan: list[tuple[datetime, Callable[[datetime], None]]] = []

    # -- the company ------------------------------------------------------------------------------------------

    def found(self) -> None:
        now = self.diary.day(64, "08:30")
        organisation = db.session.get_one(Organisation, 1)
        before = {"time_zone": organisation.time_zone}
        organisation.name, organisation.time_zone = company.NAME, company.TIME_ZONE
        audit.record(EventKind.ORGANISATION_CHANGED, at=now, actor=SYSTEM, before=before,
                     after={"time_zone": company.TIME_ZONE})  # fmt: skip
        for first_name, (name, about) in company.PEOPLE.items():
            is_admin = first_name == company.ADMIN
            admin = self.people.get(company.ADMIN, SYSTEM)
            person = people.create(
                email=_email(first_name), name=name, actor=admin, now=now, is_admin=is_admin, about=about
            )
            people.set_password(person.id, hash=self.hash, round=0, now=now)
            self.people[first_name] = person
            now += timedelta(minutes=2)
        admin = self.people[company.ADMIN]
        for first_name, (department, manager) in company.REPORTING.items():
            reporting.set_department(self.people[first_name], department, actor=admin, now=now)
            if manager:
                reporting.set_manager(self.people[first_name], self.people[manager], actor=admin, now=now)
        for name, members in company.GROUPS.items():
            self.groups[name] = groups.create(name=name, actor=admin, now=now)
            for member in members:
                groups.add_member(self.groups[name], self.people[member], actor=admin, now=now)
            now += timedelta(minutes=1)
        for product in company.PRODUCTS:
            self.apps[product.name] = self._make(product, now)
            now += timedelta(minutes=2)

    def _make(self, product: company.Product, now: datetime) -> App:
        admin = self.people[company.ADMIN]
        app = apps.create(
            name=product.name,
            actor=admin,
            now=now,
            description=product.description,
            category=product.category,
            icon=product.icon,
            launch_url=product.launch_url,
            note=product.note,
            owner=self._approver(product.owner),
        )
        rows = [_row(app, position, field) for position, field in enumerate(product.fields)]
        db.session.add_all(rows)
        db.session.flush()
        policy = Policy(
            approval_required=bool(product.approvers),
            days=product.days,
            assurance=product.assurance,
            comment_required=product.comment_required,
            entitlements=tuple(frozen(row) for row in rows),
            steps=tuple(
                StepRule(
                    self._approver(name),
                    visibility={
                        row.public_id: field.steps[position] for row, field in zip(rows, product.fields, strict=True)
                    },
                )
                for position, name in enumerate(product.approvers)
            ),
        )
        if product.welcome:
            approved = OutcomeRule(message=product.welcome, others=("crm-licences@example.com",))
            policy = replace(policy, outcomes={**policy.outcomes, RequestState.APPROVED: approved})
        # The admin has the open apps, too, which he could not add if he had opened them himself.
        by = admin if product.approvers else SYSTEM
        apps.save_policy(app, policy, actor=by, now=now)
        if product.audience:
            apps.set_audience(app, groups=[self.groups[name].id for name in product.audience], actor=by, now=now)
        db.session.flush()  # set_requestable reads the row again
        apps.set_requestable(app, requestable=True, actor=by, now=now)
        return app

    def _approver(self, name: str) -> Approver:
        return Approver(group=self.groups[name].id) if name in self.groups else Approver(person=self.people[name].id)

    # -- what happened ----------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Plans everything, then does it in the order of its instants."""
        first_day = self.diary.day(63, "09:00")
        for number, person in enumerate(self.people):
            for name in company.ON_THE_FIRST_DAY:
                self._plan(first_day + timedelta(minutes=number), self._adding(person, name))
        for product in company.PRODUCTS:
            if not product.requestable:
                self._plan(first_day + timedelta(hours=1), self._closing(product.name))
        for one in history.added(self.diary):
            self._plan(one.at, self._adding(one.who, one.app))
        for request in history.asked(self.diary):
            self._plan_request(request)
        self._plan(self.diary.day(22, "12:00"), self._deactivate_paul)
        for program in programs.programs(self.diary):
            self._plan(program.made, self._making(program))
            if program.ended is not None:
                self._plan(program.ended, self._ending(program))
        for loss in history.removed(self.diary):
            self._plan(loss.at, self._removing(loss))
        for trouble in history.stuck(self.diary):
            self._plan(trouble.at, self._sticking(trouble))
        for at, act in sorted(self.plan, key=lambda one: one[0]):
            self.emails.before(at)
            act(at)
            db.session.flush()
            self.emails.after(at)

    def _plan(self, at: datetime, act: Callable[[datetime], None]) -> None:
        self.plan.append((at, act))

    def _plan_request(self, asked: Asked) -> None:
        """The acts' instants: in working hours, and before the step's time is over."""
        made: list[AccessRequest] = []
        product = next(one for one in company.PRODUCTS if one.name == asked.app)
        time_limit = timedelta(days=product.days)
        self._plan(asked.at, lambda now: made.append(self._submit(asked, now)))
        opened = asked.at
        for act in asked.acts:
            if isinstance(act, Silence):
                self._plan(opened + time_limit + SWEEP, lambda now: self._expire(made[0], now))
                return
            latest = min(opened + time_limit - timedelta(minutes=30), self.diary.now - timedelta(minutes=1))
            at = self.diary.at_work(opened + timedelta(hours=act.after), latest)
            self._plan(at, lambda now, act=act: self._act(made[0], act, now))  # type: ignore[misc]
            if isinstance(act, Yes):
                opened = at

    def _submit(self, asked: Asked, now: datetime) -> AccessRequest:
        app = self.apps[asked.app]
        revision = db.session.get_one(PolicyRevision, app.policy_revision_id)
        given = _given(revision.snapshot(), asked.values)
        person = self.people[asked.who]
        by = Actor.of(person, channel=Channel.API, token=self.tokens[asked.program].id) if asked.program else person
        request = requests.submit(app, revision, actor=by, message=asked.why, given=given, now=now)
        self.requests.append(request)
        self._note_opened(request, now)
        return request

    def _act(self, request: AccessRequest, act: Act, now: datetime) -> None:
        case = _case(request)
        match act:
            case Yes():
                self._decide(case, act.by, Verdict.APPROVED, act.comment, act.values, act.channel, now)
            case No():
                self._decide(case, act.by, Verdict.DENIED, act.reason, {}, act.channel, now)
            case Override():
                self._decide(case, act.by, Verdict.APPROVED, act.reason, None, Channel.ADMIN, now)
            case Cancelled():
                requests.cancel(case, actor=case.for_person, reason=act.reason, now=now)
            case Said():
                comments.add(case, actor=self.people[act.by], body=act.words, now=now)
            case AskedAgain():
                requests.remind(case, actor=case.for_person, now=now)
            case Silence():
                self._expire(request, now)
            case _:
                assert_never(act)

    def _decide(
        self,
        case: Case,
        by: str,
        verdict: Verdict,
        comment: str,
        values: Values | None,
        channel: Channel,
        now: datetime,
    ) -> None:
        decisions.decide(
            case,
            actor=self.people[by],
            verdict=verdict,
            comment=comment,
            given=None if values is None else _given(case.policy, values),
            proof=Proof(channel),
            now=now,
        )
        self._note_opened(case.request, now)

    def _note_opened(self, request: AccessRequest, now: datetime) -> None:
        step = _case(request).open_step
        if step is not None:
            self.opened[step.id] = now

    def _expire(self, request: AccessRequest, now: datetime) -> None:
        db.session.execute(
            update(Step)
            .where(Step.request_id == request.id, Step.state == StepState.OPEN.value)
            .values(due_at=db_now(-60)),
            execution_options={"synchronize_session": False},
        )
        expiry.expire_overdue(now=now)

    def _adding(self, who: str, name: str) -> Callable[[datetime], None]:
        def add(now: datetime) -> None:
            app = self.apps[name]
            revision = db.session.get_one(PolicyRevision, app.policy_revision_id)
            grants.add_directly(app, revision, actor=self.people[who], now=now)

        return add

    def _closing(self, name: str) -> Callable[[datetime], None]:
        """Everybody has it, so it goes out of the catalog."""

        def close(now: datetime) -> None:
            apps.set_requestable(self.apps[name], requestable=False, actor=self.people[company.ADMIN], now=now)

        return close

    def _removing(self, loss: history.Removed) -> Callable[[datetime], None]:
        def remove(now: datetime) -> None:
            grant = self._grant(loss.who, loss.app)
            admin = self.people[loss.by]
            grant.state, grant.removed_at, grant.removed_by_id = "removed", now, admin.id
            grant.removed_reason = loss.reason
            audit.record(
                EventKind.GRANT_REMOVED,
                at=now,
                actor=admin,
                app=grant.app_id,
                person=grant.person_id,
                reason=sha256(loss.reason),
            )

        return remove

    def _sticking(self, trouble: history.Stuck) -> Callable[[datetime], None]:
        def stick(now: datetime) -> None:
            grant = self._grant(trouble.who, trouble.app)
            grant.state = trouble.state
            kind = EventKind.GRANT_FAILED if trouble.state == "failed" else EventKind.GRANT_PROVISIONING
            audit.record(kind, at=now, actor=SYSTEM, request=grant.request_id, app=grant.app_id,
                         person=grant.person_id)  # fmt: skip

        return stick

    def _grant(self, who: str, app: str) -> Grant:
        return db.session.scalars(
            select(Grant).where(
                Grant.person_id == self.people[who].id, Grant.app_id == self.apps[app].id, Grant.state == "active"
            )
        ).one()

    def _making(self, program: Program) -> Callable[[datetime], None]:
        def make(now: datetime) -> None:
            person = self.people[program.who] if program.who else None
            made = programs.make(program, person, admin=self.people[company.ADMIN], now=now)
            self.tokens[program.name] = made

        return make

    def _ending(self, program: Program) -> Callable[[datetime], None]:
        def end(now: datetime) -> None:
            tokens.revoke(self.tokens[program.name], actor=self.people[company.ADMIN], now=now)

        return end

    def _deactivate_paul(self, now: datetime) -> None:
        people.deactivate(self.people["Paul"], actor=self.people[company.ADMIN], now=now)

    def set_the_clocks(self) -> None:
        """The operations opened every step now, by the database's clock, and posted every email; it was then."""
        db.session.flush()
        days = dict(db.session.execute(select(Step.id, Step.days).where(Step.id.in_(self.opened))).all())
        db.session.execute(
            update(Step),
            [
                {"id": step, "opened_at": opened, "due_at": opened + timedelta(days=days[step])}
                for step, opened in self.opened.items()
            ],
        )
        db.session.execute(
            update(Notice).values(state="sent", tries=1, due_at=Notice.created_at, settled_at=Notice.created_at),
            execution_options={"synchronize_session": False},
        )


def _row(app: App, position: int, field: company.Field) -> EntitlementField:
    return EntitlementField(
        app_id=app.id,
        position=position,
        name=field.name,
        kind=field.kind,
        options=json.dumps(field.options, ensure_ascii=False),
        required=field.required,
        default=None if field.default is None else json.dumps(field.default, ensure_ascii=False),
        help=field.help,
        requester=field.requester.value,
    )


def _given(policy: Policy, values: Values) -> dict[str, tuple[str, ...]]:
    """What a form would send for these values."""
    ids = {one.name: one.id for one in policy.entitlements}
    return {ids[name]: (value,) if isinstance(value, str) else value for name, value in values.items()}


def _case(request: AccessRequest) -> Case:
    case = cases.load(id=request.id)
    assert case is not None  # requests are never deleted
    return case
