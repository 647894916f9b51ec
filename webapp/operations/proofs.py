"""What shows that a decision is its person's own: a session or token, the code of an approval email, or a
remembered browser."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from webapp import links
from webapp.extensions import db
from webapp.models import Invitation
from webapp.queries.cases import Case
from webapp.workflow.actor import AnyActor
from webapp.workflow.errors import NotYourTurn
from webapp.workflow.states import Assurance, Channel

from .approval_codes import WRONG_CODES, count_wrong_code
from .errors import CodeRefused, Conflict, LinkClosed, SignInRequired


@dataclass(frozen=True, slots=True)
class Proof:
    """`channel` is recorded with the decision, None: the actor's. Behind a link: its `invitation`, its `round`, and the
    `code` as it was typed; None where the browser is remembered."""

    channel: Channel | None = None
    invitation: Invitation | None = None
    round: int = 0
    code: str | None = None


# The session or the token that the view has checked before it calls for the actor.
SIGNED_IN = Proof()
# An admin's session, to decide in place of the approvers.
STEP_IN = Proof(Channel.ADMIN)


def of_link(invitation: Invitation, round: int, *, code: str | None) -> Proof:
    """The proof of somebody who followed a link of that round."""
    return Proof(Channel.CODE, invitation, round, code)


def channel_of(proof: Proof, actor: AnyActor) -> Channel:
    """How the decision reaches us; recorded with it. Raises NotYourTurn for who has no channel."""
    channel = proof.channel or actor.channel
    if channel is None:
        raise NotYourTurn("Only a person can decide.")
    return channel


def check(proof: Proof, case: Case, *, now: datetime) -> None:
    """Raises LinkClosed when the link does not decide the open step, SignInRequired, CodeRefused, or Conflict."""
    invitation, step = proof.invitation, case.open_step
    if invitation is None:
        return
    # Another person's step, or an earlier email's link, only shows the request.
    is_open = step is not None and step.id == invitation.step_id and not case.is_overdue
    if not is_open or not invitation.live or invitation.round != proof.round:
        raise LinkClosed
    if case.policy.assurance is Assurance.SIGN_IN:
        raise SignInRequired
    if proof.code is None:
        return
    if invitation.wrong_codes >= WRONG_CODES:
        raise CodeRefused
    if not proof.code.strip():
        raise CodeRefused(is_missing=True)
    code = links.well_formed(proof.code)
    if code is None:
        raise CodeRefused("Enter the 6-digit code. It is below the button in the email.")
    if not links.code_matches(code, invitation.public_id, invitation.round, invitation.key_id):
        count_wrong_code(case, invitation, now=now)
        raise CodeRefused("Incorrect code. Use the code from the latest email.", is_counted=True)


def hold(proof: Proof) -> None:
    """Locks the invitation whose code was right, once the request is locked, so that codes guessed side by side count
    like codes guessed one after the other. Raises Conflict when others closed the code meanwhile."""
    if proof.invitation is None or proof.code is None:
        return
    row = db.session.execute(
        select(Invitation.round, Invitation.wrong_codes).where(Invitation.id == proof.invitation.id).with_for_update()
    ).one()
    if row.round != proof.round or row.wrong_codes >= WRONG_CODES:
        raise Conflict("This code no longer works. Get a new one or sign in.")
