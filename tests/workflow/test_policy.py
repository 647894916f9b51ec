"""A rule as text: canonical, stable and the same when it comes back."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.workflow.entitlements import Entitlement, SetValue
from webapp.workflow.errors import BadPolicy
from webapp.workflow.policy import Approver, OutcomeRule, Policy, StepRule
from webapp.workflow.policy_codec import FORM, digest, dumps, loads
from webapp.workflow.states import Assurance, RequestState, Visibility

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_SEE = st.dictionaries(_TEXT, st.sampled_from(Visibility), max_size=4)
_APPROVERS = st.one_of(
    st.builds(lambda key: Approver(person=key), st.integers(1, 2**53)),
    st.builds(lambda key: Approver(group=key), st.integers(1, 2**53)),
)
_VALUES = st.one_of(st.none(), _TEXT, st.booleans(), st.integers(-(10**12), 10**12), st.lists(_TEXT, max_size=3))
_POLICIES = st.builds(
    Policy,
    approval_required=st.booleans(),
    steps=st.lists(st.builds(StepRule, _APPROVERS, st.none() | st.integers(1, 90), _SEE), max_size=5).map(tuple),
    days=st.integers(1, 90),
    assurance=st.sampled_from(Assurance),
    comment_required=st.booleans(),
    entitlements=st.lists(
        st.builds(
            Entitlement,
            id=_TEXT,
            name=_TEXT,
            kind=st.sampled_from(["choice", "choices", "text", "number", "yes_no"]),
            options=st.lists(_TEXT, max_size=3).map(tuple),
            required=st.booleans(),
            default=_VALUES,
            help=_TEXT,
            requester=st.sampled_from(Visibility),
        ),
        max_size=4,
    ).map(tuple),
    outcomes=st.dictionaries(
        st.sampled_from([RequestState.APPROVED, RequestState.DENIED, RequestState.EXPIRED]),
        st.builds(
            OutcomeRule,
            st.booleans(),
            st.booleans(),
            st.lists(_TEXT, max_size=3).map(tuple),
            _TEXT,
            st.lists(_TEXT, max_size=3).map(tuple),
        ),
        min_size=3,
    ),
)
ROLE = Entitlement("role", "Role", "choice", ("Reader", "Writer"), required=True)


@settings(max_examples=200, deadline=None)
@given(_POLICIES)
def test_a_rule_comes_back_as_it_was_saved(policy: Policy) -> None:
    text = dumps(policy)
    assert loads(text) == policy
    assert dumps(loads(text)) == text


@settings(max_examples=100, deadline=None)
@given(_POLICIES)
def test_equal_rules_are_equal_text_whatever_the_order_of_their_mappings(policy: Policy) -> None:
    plain = json.loads(dumps(policy))
    shuffled = {key: plain[key] for key in reversed(plain)}
    shuffled["outcomes"] = {key: shuffled["outcomes"][key] for key in reversed(shuffled["outcomes"])}
    for step in shuffled["steps"]:
        step["visibility"] = {key: step["visibility"][key] for key in reversed(step["visibility"])}
    again = loads(json.dumps(shuffled))
    assert dumps(again) == dumps(policy)
    assert digest(dumps(again)) == digest(dumps(policy))


FORMS = Path(__file__).parent / "policy_forms"
DIGESTS = {
    1: "c235772ac4f35d4e14c3277c954822a8c4395138e195d8927234e6907897a97f",
    2: "0f5f9fed51a1299dbc1326b290bee634d0820c18e47affd76f896ad805481de5",
}


def test_the_text_of_each_form_is_kept_byte_for_byte() -> None:
    """Revisions are kept for ever: whoever changes what is written adds a form, its text here, and reads the others."""
    assert sorted(int(path.stem) for path in FORMS.iterdir()) == sorted(DIGESTS) == list(range(1, FORM + 1))
    for form, hash in DIGESTS.items():
        assert digest((FORMS / f"{form}.json").read_text()) == hash


@pytest.mark.parametrize("form", DIGESTS)
def test_each_form_is_read_as_the_same_rule_and_only_the_newest_is_written(form: int) -> None:
    policy = loads((FORMS / f"{form}.json").read_text())
    first, second = policy.steps
    assert (first.approver, first.days, first.visibility) == (Approver(person=7), None, {"role": Visibility.WRITE})
    assert (second.approver, second.days, second.visibility) == (Approver(group=2), 5, {})
    assert policy.entitlements == (ROLE,) and policy.outcomes == Policy().outcomes
    assert dumps(policy) == (FORMS / f"{FORM}.json").read_text()


def test_a_step_of_the_first_form_has_the_same_id_wherever_it_stood() -> None:
    plain = json.loads((FORMS / "1.json").read_text())
    turned = plain | {"steps": plain["steps"][::-1]}
    steps = loads(json.dumps(plain)).steps
    assert loads(json.dumps(turned)).steps == steps[::-1] and len({step.id for step in steps}) == 2


def test_a_step_without_an_id_gets_one_that_no_other_step_has() -> None:
    policy = Policy(steps=(StepRule(ANA, id="2"), StepRule(BEN), StepRule(Approver(person=9))))
    assert [step.id for step in policy.steps] == ["2", "1", "3"]


def test_a_rule_of_a_later_form_is_refused_with_a_sentence() -> None:
    with pytest.raises(BadPolicy, match="form 99"):
        loads(json.dumps(json.loads(dumps(Policy())) | {"schema": 99}))


def test_a_step_has_exactly_one_approver() -> None:
    for wrong in ({}, {"person": 1, "group": 1}):
        with pytest.raises(BadPolicy):
            Approver(**wrong)


ANA, BEN = Approver(person=1), Approver(person=2)


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (Policy(days=0), "1 to 90"),
        (Policy(days=91), "1 to 90"),
        (Policy(days=-3), "1 to 90"),
        (Policy(steps=(StepRule(ANA, 0),)), "1 to 90"),
        (Policy(steps=(StepRule(ANA, 91),)), "1 to 90"),
        (Policy(steps=(StepRule(ANA), StepRule(BEN), StepRule(ANA))), "already in another step"),
        (Policy(steps=tuple(StepRule(Approver(person=one)) for one in range(1, 12))), "up to 10"),
        (Policy(steps=(StepRule(ANA),), entitlements=(ROLE,)), "no one can edit it"),
        (
            Policy(steps=(StepRule(ANA, visibility={"role": Visibility.READ}),), entitlements=(ROLE,)),
            "no one can edit it",
        ),
        (
            Policy(approval_required=False, entitlements=(ROLE,)),
            "Role is required but has no default. Without approval",
        ),
        (Policy(approval_required=False, entitlements=(replace(ROLE, requester=Visibility.WRITE),)), "Add a default"),
        (
            Policy(
                approval_required=False,
                steps=(StepRule(ANA, visibility={"role": Visibility.WRITE}),),
                entitlements=(ROLE,),
            ),
            "or make it optional",
        ),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_a_sentence(policy: Policy, sentence: str) -> None:
    with pytest.raises(BadPolicy, match=sentence):
        policy.check()


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(days=1),
        Policy(days=90, steps=(StepRule(ANA, 90), StepRule(BEN, 1))),
        Policy(steps=(StepRule(Approver(person=1)), StepRule(Approver(group=1)))),
        Policy(steps=(StepRule(ANA, visibility={"role": Visibility.WRITE}),), entitlements=(ROLE,)),
        Policy(approval_required=False, entitlements=(replace(ROLE, default="Reader"),)),
        Policy(approval_required=False, entitlements=(replace(ROLE, required=False),)),
    ],
)
def test_a_rule_that_works_is_taken(policy: Policy) -> None:
    policy.check()


def test_what_is_required_and_not_set_is_missing() -> None:
    policy = Policy(entitlements=(ROLE, replace(ROLE, id="seat", required=False)))
    assert policy.missing({}) == (ROLE,)
    assert policy.missing({"role": SetValue("Reader")}) == ()


def test_a_step_has_its_own_time_limit_or_the_rules() -> None:
    policy = Policy(days=3, steps=(StepRule(ANA, 10), StepRule(BEN)))
    assert [policy.days_for(0), policy.days_for(1)] == [10, 3]


def test_each_reader_sees_the_fields_of_their_role_only() -> None:
    seat = Entitlement("seat", "Seat", "text", requester=Visibility.WRITE, default="A1")
    policy = Policy(
        steps=(StepRule(ANA, visibility={"role": Visibility.WRITE}), StepRule(BEN)), entitlements=(ROLE, seat)
    )
    values = policy.defaults() | {"role": SetValue("Reader", 4, "2026-01-01T00:00:00+00:00")}

    def seen(sheet: object) -> list[str]:
        return [one.entitlement.id for one in sheet.visible]  # type: ignore[attr-defined]

    assert policy.defaults() == {"seat": SetValue("A1")}
    assert seen(policy.sheet_for_requester(values)) == ["seat"]
    assert seen(policy.sheet_for_step(0, values)) == ["role"]
    assert seen(policy.sheet_for_step(1, values)) == []
    owner = policy.sheet_for_owner(values)
    assert seen(owner) == ["role", "seat"]
    assert owner.writable == ()
    assert [one.current for one in owner.fields] == [values["role"], values["seat"]]
