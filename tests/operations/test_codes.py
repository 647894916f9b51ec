"""Wrong codes are counted, new codes are rationed."""

from datetime import timedelta

import pytest
from sqlalchemy.orm.attributes import set_committed_value

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import asked, events, mails
from webapp import clock, links
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db, keyring
from webapp.models import AccessRequest, Invitation, Person
from webapp.operations import approval_codes, groups, proofs
from webapp.operations.errors import Conflict
from webapp.workflow.errors import NotYourTurn, Settled

NOON = clock.now().replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
def made(company: Company) -> AccessRequest:
    return factories.request(company.rita, factories.app("Salesforce", company.finance))


def invitation_of(person: Person) -> Invitation:
    choose("write")
    return db.session.query(Invitation).filter_by(person_id=person.id).populate_existing().one()


def guess_wrong(made: AccessRequest, person: Person) -> int | None:
    """The tries left; None where it was not counted."""
    invitation = invitation_of(person)
    try:
        approval_codes.count_wrong_code(factories.case_of(made), invitation, now=NOON)
    except Conflict:
        return None
    finally:
        outbox.commit()
    return approval_codes.WRONG_CODES - invitation.wrong_codes


def new_code(made: AccessRequest, person: Person, *, days: int = 0) -> None:
    try:
        approval_codes.mail_new_code(factories.case_of(made), invitation_of(person), now=NOON + timedelta(days=days))
    finally:
        outbox.commit()


def test_after_five_wrong_codes_the_code_path_is_closed(made: AccessRequest, company: Company) -> None:
    assert [guess_wrong(made, company.ben) for _ in range(7)] == [4, 3, 2, 1, 0, None, None]
    assert invitation_of(company.ben).wrong_codes == 5
    # Each person's own: Chloe still has all her tries.
    assert guess_wrong(made, company.chloe) == 4


def test_a_new_code_opens_the_path_again_with_another_link_and_code(made: AccessRequest, company: Company) -> None:
    before = invitation_of(company.ben)
    old = (links.code(before.public_id, before.round, before.key_id), before.round)
    for _ in range(5):
        guess_wrong(made, company.ben)
    sent, lines = len(mails()), len(events())
    new_code(made, company.ben)
    after = invitation_of(company.ben)
    assert (after.round, after.wrong_codes, after.live) == (2, 0, True)
    assert links.code(after.public_id, after.round, after.key_id) != old[0]
    assert mails(sent) == [("approval-asked", "approver", "ben")]
    (line,) = events()[lines:]
    assert (line["kind"], line["actor"], line["facts"]) == ("code.renewed", company.ben.id, {"round": 2})
    assert asked(made) == {"ben": 2, "chloe": 1}


def test_a_wrong_code_of_an_earlier_round_counts_nothing(made: AccessRequest, company: Company) -> None:
    stale = invitation_of(company.ben)
    db.session.expunge(stale)
    new_code(made, company.ben)
    with pytest.raises(Conflict):
        approval_codes.count_wrong_code(factories.case_of(made), stale, now=NOON)
    outbox.commit()
    assert invitation_of(company.ben).wrong_codes == 0


def test_a_wrong_code_that_comes_after_the_decision_counts_nothing(made: AccessRequest, company: Company) -> None:
    for _ in range(4):
        guess_wrong(made, company.ben)
    factories.decide(made, company.chloe)
    sent, lines = len(mails()), len(events())
    assert guess_wrong(made, company.ben) is None
    assert invitation_of(company.ben).wrong_codes == 4
    assert (mails(sent), events()[lines:]) == ([], [])


@pytest.mark.parametrize("change", ["closed", "renewed"])
def test_a_right_code_that_was_closed_or_renewed_meanwhile_decides_nothing(
    made: AccessRequest, company: Company, change: str
) -> None:
    invitation = invitation_of(company.ben)
    db.session.expunge(invitation)
    proof = proofs.of_link(invitation, invitation.round, code="123456")
    if change == "renewed":
        new_code(made, company.ben)
    else:
        for _ in range(approval_codes.WRONG_CODES - 1):
            guess_wrong(made, company.ben)
        choose("write")
        proofs.hold(proof)
        db.session.rollback()
        guess_wrong(made, company.ben)
    choose("write")
    with pytest.raises(Conflict, match="This code no longer works"):
        proofs.hold(proof)


def test_three_new_codes_a_day_and_three_more_tomorrow(made: AccessRequest, company: Company) -> None:
    for _ in range(3):
        new_code(made, company.ben)
    sent = len(mails())
    with pytest.raises(Conflict, match="limit of 3 new codes a day"):
        new_code(made, company.ben)
    assert invitation_of(company.ben).round == 4
    assert len(mails()) == sent
    new_code(made, company.chloe)
    for _ in range(3):
        new_code(made, company.ben, days=1)
    with pytest.raises(Conflict):
        new_code(made, company.ben, days=1)
    assert invitation_of(company.ben).round == 7


def test_of_two_clicks_one_sends(made: AccessRequest, company: Company) -> None:
    stale = invitation_of(company.ben)
    db.session.expunge(stale)
    new_code(made, company.ben)
    with pytest.raises(Conflict, match="already sent you a new code"):
        approval_codes.mail_new_code(factories.case_of(made), as_it_was(stale), now=NOON)
    db.session.rollback()
    assert invitation_of(company.ben).round == 2


def as_it_was(stale: Invitation) -> Invitation:
    """The session's own row, still saying what it said when it was loaded."""
    row = invitation_of(db.session.get_one(Person, stale.person_id))
    set_committed_value(row, "round", stale.round)
    set_committed_value(row, "live", stale.live)
    return row


def test_whoever_left_the_group_gets_no_new_code(made: AccessRequest, company: Company) -> None:
    stale = invitation_of(company.ben)
    db.session.expunge(stale)
    groups.remove_member(company.finance, company.ben, actor=company.adam, now=clock.now())
    outbox.commit()
    with pytest.raises(NotYourTurn):
        approval_codes.mail_new_code(factories.case_of(made), as_it_was(stale), now=NOON)
    db.session.rollback()


def test_no_new_code_for_what_is_settled_or_overdue(made: AccessRequest, company: Company) -> None:
    factories.overdue(made)
    with pytest.raises(Settled):
        new_code(made, company.ben)
    other = factories.request(company.otto, factories.app("Zoom", company.ana))
    factories.decide(other, company.ana)
    with pytest.raises(Settled):
        new_code(other, company.ana)


def test_an_invitation_remembers_the_key_of_its_round(made: AccessRequest, company: Company) -> None:
    assert invitation_of(company.ben).key_id == keyring().current
