"""People who leave: their deactivation, and the way back."""

from flask import Response, request
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.operations import grants
from webapp.operations import people as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import holdings, tokens
from webapp.queries import leaving as queries
from webapp.queries.people_list import PersonCard
from webapp.web import htmx
from webapp.web.reauth import require_recent_password
from webapp.web.signin import admins, me

from . import questions
from .people import answer, change, load, person_page
from .views import bp, commit, fragment, undo


@bp.get("/people/<public_id>/deactivation")
@admins
def deactivation(public_id: str) -> Response:
    """The dialog that explains what a deactivation does."""
    return _deactivation(public_id, 200)


def _deactivation(public_id: str, status: int, *, refused: str = "", **typed: object) -> Response:
    card = load(public_id)
    values: dict[str, object] = {
        "refused": refused, "asked": _deactivation_stamp(card), "listed": holdings.listed(card.person.id),
        "services": tokens.services_made_by(card.person.id, now=clock.now()), **typed
    }  # fmt: skip
    if htmx.is_fragment():
        return fragment("admin/_deactivation.html", status, card=card, **values)
    return person_page(public_id, status, page="admin/person.html", modal="deactivation", **values)


def _deactivation_stamp(card: PersonCard) -> str:
    """The stamp of the dialog; the apps to remove are listed in the form itself."""
    person = card.person
    return questions.stamp(person.id, person.active, person.is_admin, card.pending, card.steps, card.shared_steps)


@bp.post("/people/<public_id>/deactivation")
@admins
@require_recent_password
def deactivate(public_id: str) -> AnyResponse:
    """Deactivate a person. With `remove`, also remove their access to the listed apps, for a reason."""
    card = load(public_id)
    someone = card.person
    reason, remove = request.form.get("reason", ""), request.form.get("remove") == "1"
    if questions.is_outdated(_deactivation_stamp(card)):
        undo()
        return _deactivation(public_id, 409, refused=questions.CHANGED, remove=remove, reason=reason)
    try:
        operations.deactivate(someone, actor=me(), now=clock.now())
        if remove:
            grants.remove_all(someone, shown=request.form.getlist("shown"), actor=me(), reason=reason, now=clock.now(),
                              deactivated=True)  # fmt: skip
    except Invalid as error:
        undo()
        return _deactivation(public_id, 422, remove=remove, reason=reason, errors=error.fields)
    except Conflict as error:
        undo()
        return _deactivation(public_id, 409, refused=str(error), remove=remove, reason=reason)
    commit()
    return answer(public_id, f"{someone.name} deactivated and signed out of all sessions.")


@bp.post("/people/<public_id>/reactivation")
@admins
@require_recent_password
def reactivate(public_id: str) -> AnyResponse:
    return change(
        public_id,
        lambda someone: operations.reactivate(someone, actor=me(), now=clock.now()),
        "{name} reactivated.",
    )


@bp.get("/people/<public_id>/left-to-do")
@admins
def left_to_do(public_id: str) -> Response:
    """What is left to do for somebody who leaves; each line leads to where it is done."""
    card = load(public_id)
    return fragment("admin/left_to_do.html", card=card, left=queries.left_to_do(card.person, now=clock.now()))
