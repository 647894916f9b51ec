"""A case: one request with its app, its rules and its steps, as every operation on it needs them."""

from dataclasses import dataclass

from sqlalchemy import and_, bindparam, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import AccessRequest, App, Decision, Person, PolicyRevision, Step, db_now
from webapp.workflow import state_machine
from webapp.workflow.policy import Policy
from webapp.workflow.policy_codec import loads
from webapp.workflow.states import RequestState, StepState, Verdict


@dataclass(slots=True)
class Case:
    """Rows as loaded; `overdue` are the ids of open steps whose due instant is past on the database's clock, `verdicts`
    those so far on the open step, by person."""

    request: AccessRequest
    app: App
    policy: Policy
    steps: list[Step]
    overdue: frozenset[int]
    asked_by: Person
    for_person: Person
    verdicts: dict[int, Verdict]

    def snapshot(self) -> state_machine.Request:
        """The same as values for the workflow."""
        return state_machine.Request(
            id=self.request.id,
            version=self.request.version,
            state=RequestState(self.request.state),
            asked_by=self.request.asked_by_id,
            for_person=self.request.for_person_id,
            steps=tuple(
                state_machine.Step(
                    step.id, step.position, StepState(step.state), step.id in self.overdue, step.needed,
                    self.verdicts if step is self.open_step else {},
                )
                for step in self.steps
            ),
        )  # fmt: skip

    @property
    def open_step(self) -> Step | None:
        return next((step for step in self.steps if step.state == StepState.OPEN.value), None)

    @property
    def excluded(self) -> frozenset[int]:
        """Who does not decide the open step: the requester, and who has decided it already."""
        return self.request.requesters | self.verdicts.keys()

    @property
    def is_overdue(self) -> bool:
        """Whether the deadline has passed while the request is still stored as pending; the next sweep expires it."""
        step = self.open_step
        return step is not None and step.id in self.overdue


_ASKER, _RECEIVER = aliased(Person), aliased(Person)
# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_REQUEST = (
    select(AccessRequest, App, PolicyRevision.body, _ASKER, _RECEIVER)
    .join(App, App.id == AccessRequest.app_id)
    .join(PolicyRevision, PolicyRevision.id == AccessRequest.policy_revision_id)
    .join(_ASKER, _ASKER.id == AccessRequest.asked_by_id)
    .join(_RECEIVER, _RECEIVER.id == AccessRequest.for_person_id)
    .execution_options(populate_existing=True)
)
_BY_PUBLIC_ID = _REQUEST.where(AccessRequest.public_id == bindparam("public_id"))
_BY_ID = _REQUEST.where(AccessRequest.id == bindparam("id"))
# A row for each verdict on the open step, and one for every step without.
_STEPS = (
    select(Step, (Step.due_at <= db_now()).label("overdue"), Decision.person_id, Decision.verdict)
    .outerjoin(Decision, and_(Decision.step_id == Step.id, Step.state == StepState.OPEN.value))
    .where(Step.request_id == bindparam("request"))
    .order_by(Step.position, Step.id, Decision.id)
    .execution_options(populate_existing=True)
)


def load(*, public_id: str | None = None, id: int | None = None) -> Case | None:
    """The case, in two statements; None if there is no such request.

    On PostgreSQL each statement sees what is committed when it begins. Settled between the two, a request would be
    pending without an open step; then both are read again.
    """
    case = _load(public_id, id)
    if case is not None and case.request.state == RequestState.PENDING.value and case.open_step is None:
        case = _load(public_id, id)
    return case


def _load(public_id: str | None, id: int | None) -> Case | None:
    if id is None:
        row = db.session.execute(_BY_PUBLIC_ID, {"public_id": public_id}).first()
    else:
        row = db.session.execute(_BY_ID, {"id": id}).first()
    if row is None:
        return None
    steps = db.session.execute(_STEPS, {"request": row[0].id}).all()
    return Case(
        request=row[0],
        app=row[1],
        policy=loads(row[2]),
        steps=list(dict.fromkeys(one.Step for one in steps)),
        overdue=frozenset(one.Step.id for one in steps if one.overdue and one.Step.state == StepState.OPEN.value),
        asked_by=row[3],
        for_person=row[4],
        verdicts={one.person_id: Verdict(one.verdict) for one in steps if one.verdict is not None},
    )


def reload(case: Case) -> Case:
    """The case as it stands now; for telling the loser of a race."""
    fresh = load(id=case.request.id)
    assert fresh is not None  # requests are never deleted
    return fresh
