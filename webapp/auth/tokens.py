"""The person's own API tokens: the list, a new one, and how they end."""

from typing import Any

from flask import Response, abort, flash, make_response, redirect, render_template
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db, settings
from webapp.models import ApiToken, Organisation
from webapp.operations import tokens as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import tokens as queries
from webapp.web import htmx, token_forms
from webapp.web.presentation import now
from webapp.web.reauth import require_recent_password
from webapp.web.security import hide_from_caches_and_referers
from webapp.web.signin import me, people
from webapp.web.token_forms import TokenForm

from .views import bp

HOME = "/account/tokens"


@bp.get("/account/tokens")
@people
def tokens() -> Response:
    """The person's tokens in use."""
    return _page()


@bp.get("/account/tokens/new")
@people
def new_token() -> Response:
    """The dialog that makes a token."""
    return _new(token_forms.proposed(operations.days_allowed(me())), {}, 200)


@bp.post("/account/tokens")
@people
@require_recent_password
def create_token() -> Response:
    """Makes a token and shows it, once: the same form again is refused, because its name is in use."""
    form = token_forms.typed(operations.days_allowed(me()))
    try:
        made, secret = operations.create(
            name=form.name, scopes=form.scopes, days=form.days, networks=form.networks, person=me(), actor=me(),
            now=clock.now(), unique=True,
        )  # fmt: skip
    except Invalid as error:
        _undo()
        return _new(form, error.fields, 422)
    _commit()
    values: dict[str, Any] = {"made": made, "secret": secret, "home": HOME, "base_url": settings().base_url}
    if htmx.is_fragment():
        answer = _answer("auth/_token_made.html", 200, **_list(), **values)
    else:
        answer = _page(modal=True, **values)
    return hide_from_caches_and_referers(answer)


@bp.get("/account/tokens/<public_id>/ending")
@people
def token_to_end(public_id: str) -> Response:
    """The dialog that asks before a token ends."""
    return _ending(_own(public_id), "", 200)


@bp.post("/account/tokens/<public_id>/ending")
@people
def end_token(public_id: str) -> AnyResponse:
    """Ends a token at once."""
    token = _own(public_id)
    try:
        message = token_forms.end(token, me(), actor=me())
    except Conflict as error:
        _undo()
        return _ending(_own(public_id), str(error), 409)
    _commit()
    if htmx.is_fragment():
        return _answer("auth/_tokens.html", 200, message=message, **_list())
    flash(message)
    return redirect(HOME, 303)


def _own(public_id: str) -> ApiToken:
    token = queries.own(public_id, me().id)
    if token is None:
        abort(404)
    return token


def _new(form: TokenForm, errors: dict[str, str], status: int) -> Response:
    allowed = db.session.get_one(Organisation, 1).tokens_decide_signed_in
    not_decided = [] if allowed else queries.apps_that_ask_to_sign_in(me().id)
    values: dict[str, Any] = {
        "form": form,
        "errors": errors,
        "choices": token_forms.choices_for_person(is_admin=me().is_admin, not_decided=not_decided),
        "organisation": db.session.get_one(Organisation, 1).name,
    }
    if htmx.is_fragment():
        return _answer("auth/_new_token.html", status, **values)
    return _page(status, modal=True, **values)


def _ending(token: ApiToken, refused: str, status: int) -> Response:
    if htmx.is_fragment():
        return _answer("auth/_token_ending.html", status, ending=token, refused=refused)
    return _page(status, modal=True, ending=token, refused=refused)


def _page(status: int = 200, **values: Any) -> Response:
    return _answer("auth/tokens.html", status, **_list(), **values)


def _list() -> dict[str, Any]:
    return {
        "lines": queries.of_person(me().id, now=now()),
        "allowed": db.session.get_one(Organisation, 1).tokens_allowed,
        "now": now(),
    }


def _answer(template: str, status: int, **values: Any) -> Response:
    return make_response(render_template(template, **values), status)


def _commit() -> None:
    """Commits first, so that rendering the response does not hold the write lock."""
    outbox.commit()
    choose("read")


def _undo() -> None:
    db.session.rollback()
    choose("read")
