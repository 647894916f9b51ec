"""The details of an app that the person has, and giving it back."""

from flask import abort, flash, make_response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from webapp.delivery import outbox
from webapp.extensions import db
from webapp.operations import returns
from webapp.operations.errors import Invalid
from webapp.queries import my_app
from webapp.web import access, htmx
from webapp.web.presentation import now
from webapp.web.signin import me, people

from .views import bp


@bp.get("/apps/<public_id>")
@people
def details(public_id: str) -> AnyResponse:
    """The dialog with the fields, since when, and who approved it."""
    return _details(public_id)


@bp.post("/apps/<public_id>/return")
@people
def give_back(public_id: str) -> AnyResponse:
    """Ends the person's own access."""
    grant, app = access.own_grant(public_id, me())
    reason = request.form.get("reason", "")
    try:
        returns.give_back(grant, actor=me(), reason=reason, now=now())
    except Invalid as error:
        db.session.rollback()
        return _details(public_id, reason=reason, errors=error.fields, status=422)
    outbox.commit()
    flash(f"{app.name} given back. {'The owner has' if app.owner else 'The admins have'} been notified.")
    if htmx.is_fragment():
        return htmx.redirect_whole_page(make_response("", 200), "/")
    return redirect("/", 303)


def _details(
    public_id: str, *, reason: str = "", errors: dict[str, str] | None = None, status: int = 200
) -> AnyResponse:
    mine = my_app.find(public_id, me()) or abort(404)
    return htmx.dialog("dashboard", "app", status, mine=mine, reason=reason, errors=errors or {})
