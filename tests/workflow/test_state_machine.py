"""Every state of a request times every event, without an app, a database or a clock."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.workflow import state_machine
from webapp.workflow.errors import NotYourTurn, ReasonMissing, SelfApproval, Settled, WorkflowError
from webapp.workflow.state_machine import Request, Step
from webapp.workflow.states import Channel, RequestState, StepState, Verdict

RITA, FOR, ANA, OTTO, ADAM = 1, 2, 3, 4, 5
FINAL = [state for state in RequestState if state.is_final]
EVENTS = ("approve", "deny", "cancel", "expire")


def pending(of: int, position: int, *, overdue: bool = False) -> Request:
    """A request of `of` steps whose step at `position` is open. The ids are not the positions."""
    states = [StepState.APPROVED] * position + [StepState.OPEN] + [StepState.WAITING] * (of - position - 1)
    steps = tuple(
        Step(100 + 7 * place, place, state, overdue and state is StepState.OPEN) for place, state in enumerate(states)
    )
    return Request(9, 4, RequestState.PENDING, RITA, FOR, steps)


def settled(state: RequestState, of: int = 2) -> Request:
    step_state = {
        RequestState.APPROVED: StepState.APPROVED,
        RequestState.DENIED: StepState.DENIED,
        RequestState.EXPIRED: StepState.EXPIRED,
        RequestState.CANCELLED: StepState.SKIPPED,
    }[state]
    return Request(9, 4, state, RITA, FOR, tuple(Step(100 + 7 * place, place, step_state) for place in range(of)))


def happen(event: str, request: Request, **changes: object) -> state_machine.Outcome:
    if event == "cancel":
        return state_machine.cancel(request)
    if event == "expire":
        return state_machine.expire(request)
    verdict = Verdict.APPROVED if event == "approve" else Verdict.DENIED
    words: dict[str, object] = {"actor": ANA, "deciders": {ANA}, "reason": "Because." if event == "deny" else ""}
    return state_machine.decide(request, verdict=verdict, **(words | changes))  # type: ignore[arg-type]


POSITIONS = [(of, position) for of in (1, 2, 3, 10) for position in range(of)]


@pytest.mark.parametrize(("of", "position"), POSITIONS)
def test_approving_opens_the_next_step_or_approves_the_request(of: int, position: int) -> None:
    request = pending(of, position)
    outcome = happen("approve", request)
    step = request.steps[position]
    assert outcome.settled_step == step.id
    if position + 1 < of:
        following = request.steps[position + 1]
        assert outcome.state is RequestState.PENDING
        assert outcome.moves == ((step.id, StepState.APPROVED), (following.id, StepState.OPEN))
        assert outcome.opened == following.id
    else:
        assert outcome.state is RequestState.APPROVED
        assert outcome.moves == ((step.id, StepState.APPROVED),)
        assert outcome.opened is None


@pytest.mark.parametrize(
    ("event", "state", "step_state", "overdue"),
    [
        ("deny", RequestState.DENIED, StepState.DENIED, False),
        ("cancel", RequestState.CANCELLED, StepState.SKIPPED, False),
        ("cancel", RequestState.CANCELLED, StepState.SKIPPED, True),
        ("expire", RequestState.EXPIRED, StepState.EXPIRED, True),
    ],
)
@pytest.mark.parametrize(("of", "position"), POSITIONS)
def test_an_end_settles_the_open_step_and_skips_those_that_wait(
    of: int, position: int, event: str, state: RequestState, step_state: StepState, overdue: bool
) -> None:
    request = pending(of, position, overdue=overdue)
    outcome = happen(event, request)
    assert outcome.state is state
    assert outcome.opened is None
    assert outcome.settled_step == request.steps[position].id
    assert dict(outcome.moves) == {request.steps[position].id: step_state} | {
        step.id: StepState.SKIPPED for step in request.steps[position + 1 :]
    }


@pytest.mark.parametrize(("state", "event"), list(itertools.product(FINAL, EVENTS)))
def test_what_is_settled_stays_settled_and_says_how(state: RequestState, event: str) -> None:
    with pytest.raises(Settled) as refusal:
        happen(event, settled(state))
    word = {"approved": "approved", "denied": "denied", "expired": "expired", "cancelled": "cancelled"}[state]
    assert word in str(refusal.value)


@pytest.mark.parametrize(("of", "position"), POSITIONS)
def test_a_step_that_is_not_due_does_not_expire(of: int, position: int) -> None:
    with pytest.raises(Settled):
        happen("expire", pending(of, position))


@pytest.mark.parametrize("event", ["approve", "deny"])
@pytest.mark.parametrize(("of", "position"), POSITIONS)
def test_nobody_decides_what_is_overdue_not_even_an_admin(of: int, position: int, event: str) -> None:
    request = pending(of, position, overdue=True)
    with pytest.raises(Settled, match="deadline"):
        happen(event, request)
    with pytest.raises(Settled, match="deadline"):
        happen(event, request, actor=ADAM, channel=Channel.ADMIN, reason="Urgent.")


@pytest.mark.parametrize(
    ("event", "actor", "channel", "state"),
    list(itertools.product(["approve", "deny"], [RITA, FOR], Channel, RequestState)),
)
def test_nobody_decides_their_own_request_by_any_channel_in_any_state(
    event: str, actor: int, channel: Channel, state: RequestState
) -> None:
    request = pending(2, 0) if state is RequestState.PENDING else settled(state)
    with pytest.raises(SelfApproval):
        happen(event, request, actor=actor, deciders={RITA, FOR, ANA}, channel=channel, reason="Mine.")


@pytest.mark.parametrize(
    ("event", "channel"), list(itertools.product(["approve", "deny"], [Channel.BROWSER, Channel.CODE, Channel.API]))
)
def test_only_those_who_may_decide_now_decide(event: str, channel: Channel) -> None:
    for deciders in (set[int](), {ANA}):
        with pytest.raises(NotYourTurn):
            happen(event, pending(2, 0), actor=OTTO, deciders=deciders, channel=channel)


@pytest.mark.parametrize("event", ["approve", "deny"])
def test_a_verdict_meant_for_another_step_is_refused(event: str) -> None:
    request = pending(3, 1)
    for step in request.steps:
        if step.state is StepState.OPEN:
            assert happen(event, request, step_id=step.id).settled_step == step.id
        else:
            with pytest.raises(Settled, match="already been decided"):
                happen(event, request, step_id=step.id)
    with pytest.raises(Settled):
        happen(event, request, step_id=0)


def waiting_for(needed: int, **verdicts: Verdict) -> Request:
    """A request of two steps whose open one needs so many approvals and has these verdicts."""
    people = {"ana": ANA, "otto": OTTO, "adam": ADAM}
    request = pending(2, 0)
    first = replace(request.steps[0], needed=needed, verdicts={people[name]: one for name, one in verdicts.items()})
    return replace(request, steps=(first, request.steps[1]))


@pytest.mark.parametrize("channel", [Channel.BROWSER, Channel.CODE, Channel.API])
def test_a_step_stays_open_until_it_has_all_the_approvals_it_needs(channel: Channel) -> None:
    for request in (waiting_for(2), waiting_for(3, otto=Verdict.APPROVED)):
        outcome = happen("approve", request, channel=channel)
        assert (outcome.state, outcome.moves, outcome.settled_step) == (RequestState.PENDING, (), None)
    two = {"otto": Verdict.APPROVED, "adam": Verdict.APPROVED}
    for request in (waiting_for(1), waiting_for(2, otto=Verdict.APPROVED), waiting_for(3, **two)):
        outcome = happen("approve", request, channel=channel)
        assert (outcome.settled_step, outcome.opened) == (100, 107)


def test_one_denial_ends_the_request_however_many_approved() -> None:
    outcome = happen("deny", waiting_for(3, otto=Verdict.APPROVED, adam=Verdict.APPROVED))
    assert outcome.state is RequestState.DENIED
    assert dict(outcome.moves) == {100: StepState.DENIED, 107: StepState.SKIPPED}


@pytest.mark.parametrize("channel", list(Channel))
@pytest.mark.parametrize("event", ["approve", "deny"])
def test_nobody_decides_a_step_twice(event: str, channel: Channel) -> None:
    with pytest.raises(Settled, match="You have already decided"):
        happen(event, waiting_for(2, ana=Verdict.APPROVED), channel=channel, reason="Once more.")


def test_an_admin_who_approved_the_step_does_not_approve_the_rest_too() -> None:
    with pytest.raises(NotYourTurn, match="Another admin"):
        state_machine.approve_remaining_steps(waiting_for(2, adam=Verdict.APPROVED), actor=ADAM, reason="All.")
    outcome = state_machine.approve_remaining_steps(waiting_for(2, ana=Verdict.APPROVED), actor=ADAM, reason="All.")
    assert outcome.state is RequestState.APPROVED


def test_an_admins_override_stands_for_all_the_approvals() -> None:
    outcome = happen("approve", waiting_for(3), actor=ADAM, channel=Channel.ADMIN, reason="They are away.")
    assert (outcome.settled_step, outcome.opened) == (100, 107)


@pytest.mark.parametrize("reason", ["", " ", "\n\t", " "])
def test_a_denial_needs_a_reason_and_an_approval_does_not(reason: str) -> None:
    with pytest.raises(ReasonMissing):
        happen("deny", pending(2, 0), reason=reason)
    assert happen("approve", pending(2, 0), reason=reason).state is RequestState.PENDING


@pytest.mark.parametrize("event", ["approve", "deny"])
def test_an_admins_override_needs_a_reason_and_no_turn(event: str) -> None:
    with pytest.raises(ReasonMissing):
        happen(event, pending(2, 0), actor=ADAM, channel=Channel.ADMIN, reason=" ")
    outcome = happen(event, pending(2, 0), actor=ADAM, deciders=(), channel=Channel.ADMIN, reason="Ana is away.")
    assert outcome.settled_step == pending(2, 0).steps[0].id


def test_a_pending_request_without_an_open_step_refuses_out_loud() -> None:
    broken = Request(9, 4, RequestState.PENDING, RITA, FOR, (Step(1, 0, StepState.WAITING),))
    for event in EVENTS:
        with pytest.raises(Settled):
            happen(event, broken)


def test_the_next_step_is_the_one_with_the_lowest_position_whatever_the_order_of_the_rows() -> None:
    steps = (Step(3, 2, StepState.WAITING), Step(1, 0, StepState.OPEN), Step(2, 1, StepState.WAITING))
    assert happen("approve", Request(9, 1, RequestState.PENDING, RITA, FOR, steps)).opened == 2


# Sequences of events: what must hold whatever happens in which order.

_ORDER = {StepState.WAITING: 0, StepState.OPEN: 1}  # everything else is final: 2
_PEOPLE = st.sampled_from([RITA, FOR, ANA, OTTO, ADAM])
_STEPS = st.sampled_from([None, 100, 107, 114, 121])
_EVENT = st.tuples(
    st.sampled_from([*EVENTS, "late"]), _PEOPLE, _STEPS, st.sampled_from(["", " ", "Why."]), st.sampled_from(Channel)
)


def rank(state: StepState) -> int:
    return _ORDER.get(state, 2)


def after(request: Request, outcome: state_machine.Outcome, verdicts: dict[int, Verdict]) -> Request:
    """The request after the outcome; `verdicts` are those so far on the step that was open."""
    moves = dict(outcome.moves)
    assert len(moves) == len(outcome.moves), "no step moves twice"
    steps = tuple(
        replace(
            one,
            state=moves.get(one.id, one.state),
            overdue=False,
            verdicts=verdicts if one.state is StepState.OPEN else one.verdicts,
        )
        for one in request.steps
    )
    return Request(request.id, request.version + 1, outcome.state, request.asked_by, request.for_person, steps)


@settings(max_examples=400, deadline=None)
@given(of=st.integers(1, 4), needed=st.integers(1, 2), events=st.lists(_EVENT, max_size=25))
def test_any_sequence_of_events_keeps_the_books_straight(
    of: int, needed: int, events: list[tuple[str, int, int | None, str, Channel]]
) -> None:
    request = pending(of, 0)
    request = replace(request, steps=tuple(replace(one, needed=needed) for one in request.steps))
    closed: set[int] = set()
    ends = 0
    for event, actor, step_id, reason, channel in events:
        before = request
        if event == "late":
            request = replace(
                request, steps=tuple(replace(one, overdue=one.state is StepState.OPEN) for one in request.steps)
            )
            continue
        try:
            if event in ("cancel", "expire"):
                outcome = happen(event, request)
            else:
                outcome = happen(
                    event, request, actor=actor, deciders={ANA, OTTO}, step_id=step_id, reason=reason, channel=channel
                )
        except WorkflowError:
            continue
        verdicts: dict[int, Verdict] = {}
        if event in ("approve", "deny"):
            assert actor not in (RITA, FOR)
            step = before.open_step
            assert step is not None and actor not in step.verdicts
            verdicts = {**step.verdicts, actor: Verdict.APPROVED if event == "approve" else Verdict.DENIED}
            if outcome.settled_step is None:
                assert (outcome.state, outcome.moves) == (RequestState.PENDING, ())
                assert len(verdicts) < needed
            else:
                assert outcome.settled_step == step.id and step.id not in closed
                assert event == "deny" or channel is Channel.ADMIN or len(verdicts) == needed
                closed.add(step.id)
        request = after(before, outcome, verdicts)
        ends += request.state.is_final
        for old, new in zip(before.steps, request.steps, strict=True):
            assert rank(new.state) >= rank(old.state)
            assert new.state is old.state or rank(old.state) < 2
        opens = [one for one in request.steps if one.state is StepState.OPEN]
        assert len(opens) == (0 if request.state.is_final else 1)
        if request.state.is_final:
            assert all(rank(one.state) == 2 for one in request.steps)
    assert ends <= 1
