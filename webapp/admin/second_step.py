"""An admin resets the second step of somebody who lost their phone and their recovery codes."""

from flask import Response
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.operations import factors as operations
from webapp.operations.errors import Conflict
from webapp.web import htmx
from webapp.web.reauth import require_recent_password
from webapp.web.signin import admins, me

from .people import answer, load, person_page
from .views import bp, commit, fragment, undo


@bp.get("/people/<public_id>/second-step-reset")
@admins
def second_step_reset(public_id: str) -> Response:
    """The dialog that asks before the reset."""
    return _ask(public_id, 200)


@bp.post("/people/<public_id>/second-step-reset")
@admins
@require_recent_password
def reset_second_step(public_id: str) -> AnyResponse:
    """From now on the password alone signs the person in; they are told by email."""
    someone = load(public_id).person
    try:
        operations.reset(someone, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        return _ask(public_id, 409, str(error))
    commit()
    return answer(public_id, f"Second step reset. {someone.name} has been notified.")


def _ask(public_id: str, status: int, refused: str = "") -> Response:
    if htmx.is_fragment():
        return fragment("admin/_second_step_reset.html", status, card=load(public_id), refused=refused)
    return person_page(public_id, status, page="admin/person.html", modal="second-step-reset", refused=refused)
