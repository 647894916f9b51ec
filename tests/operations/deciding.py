"""What the tests of deciding share."""

from tests.helpers import factories
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.models import AccessRequest, Person
from webapp.operations import decisions
from webapp.operations.proofs import SIGNED_IN
from webapp.workflow.states import Verdict

APPROVED, DENIED = Verdict.APPROVED, Verdict.DENIED


def decide(made: AccessRequest, actor: Person, verdict: Verdict = APPROVED, **words: object) -> None:
    choose("write")
    options = {"proof": SIGNED_IN, "now": clock.now(), "comment": "No." if verdict is DENIED else ""} | words
    decisions.decide(factories.case_of(made), actor=actor, verdict=verdict, **options)  # type: ignore[arg-type]
    outbox.commit()
