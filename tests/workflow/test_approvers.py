"""Who may decide: the approver, else the owner, else the admins; never the requester."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.workflow.approvers import Deciders, Directory, require_deciders, who_decides
from webapp.workflow.errors import NobodyCanDecide
from webapp.workflow.policy import Approver
from webapp.workflow.states import Tier

RITA, ANA, BEN, CHLOE, OLGA, ADAM = range(1, 7)
FINANCE, EMPTY = 1, 2
DIRECTORY = Directory(
    active=frozenset({RITA, ANA, BEN, CHLOE, OLGA, ADAM}),
    members={FINANCE: (BEN, CHLOE)},
    admins=(ADAM,),
)


@pytest.mark.parametrize(
    ("approver", "owner", "without", "expected"),
    [
        (Approver(person=ANA), None, {RITA}, Deciders(Tier.APPROVER, (ANA,))),
        (Approver(group=FINANCE), None, {RITA}, Deciders(Tier.APPROVER, (BEN, CHLOE))),
        (Approver(group=FINANCE), None, {BEN}, Deciders(Tier.APPROVER, (CHLOE,))),
        (Approver(group=FINANCE), Approver(person=OLGA), {BEN, CHLOE}, Deciders(Tier.OWNER, (OLGA,))),
        (Approver(group=EMPTY), Approver(group=FINANCE), {RITA}, Deciders(Tier.OWNER, (BEN, CHLOE))),
        (Approver(person=ANA), Approver(person=OLGA), {ANA}, Deciders(Tier.OWNER, (OLGA,))),
        (Approver(person=ANA), Approver(person=ANA), {ANA}, Deciders(Tier.ADMINS, (ADAM,))),
        (Approver(person=99), Approver(person=OLGA), {RITA}, Deciders(Tier.OWNER, (OLGA,))),
        (Approver(person=99), Approver(person=98), {RITA}, Deciders(Tier.ADMINS, (ADAM,))),
        (Approver(person=ANA), None, {ANA, ADAM}, Deciders(Tier.NOBODY, ())),
        # A group's key that is a person's key, too, is still a group's.
        (Approver(group=ANA), Approver(person=OLGA), {RITA}, Deciders(Tier.OWNER, (OLGA,))),
    ],
)
def test_the_first_tier_with_somebody_left_decides(
    approver: Approver, owner: Approver | None, without: set[int], expected: Deciders
) -> None:
    assert who_decides(approver, owner=owner, directory=DIRECTORY, without=frozenset(without)) == expected


def test_a_step_that_nobody_can_decide_stops_the_request() -> None:
    with pytest.raises(NobodyCanDecide, match="no approver who can decide"):
        require_deciders(
            (Approver(person=ANA), Approver(person=99)),
            owner=None,
            directory=Directory(active=frozenset({ANA})),
            without=frozenset({RITA}),
        )


def test_a_rule_without_a_step_has_nobody() -> None:
    with pytest.raises(NobodyCanDecide):
        require_deciders((), owner=Approver(person=OLGA), directory=DIRECTORY, without=frozenset({RITA}))


_KEYS = st.integers(1, 6)
_APPROVERS = st.one_of(_KEYS.map(lambda key: Approver(person=key)), _KEYS.map(lambda key: Approver(group=key)))


@given(
    approver=_APPROVERS,
    owner=st.none() | _APPROVERS,
    active=st.frozensets(_KEYS),
    members=st.dictionaries(_KEYS, st.lists(_KEYS, unique=True).map(tuple)),
    admins=st.lists(_KEYS, unique=True).map(tuple),
    without=st.frozensets(_KEYS, min_size=1, max_size=2),
)
def test_the_requester_is_never_among_the_deciders(
    approver: Approver,
    owner: Approver | None,
    active: frozenset[int],
    members: dict[int, tuple[int, ...]],
    admins: tuple[int, ...],
    without: frozenset[int],
) -> None:
    found = who_decides(approver, owner=owner, directory=Directory(active, members, admins), without=without)
    assert not set(found.people) & without
    assert (found.tier is Tier.NOBODY) is (not found.people)
