"""The page on which a signed-in person allows a terminal that shows a code to act for them (RFC 8628)."""

from flask import Response, flash, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.database.transactions import reading
from webapp.delivery import outbox
from webapp.models import DeviceCode
from webapp.operations import device_codes as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import device_codes as queries
from webapp.web.attempts import Count, TooMany, give_back, take
from webapp.web.reauth import require_recent_password
from webapp.web.signin import me, people, recheck_right
from webapp.workflow.errors import NotYourTurn
from webapp.workflow.scopes import SCOPE_TEXTS

from .views import bp

UNKNOWN = "No terminal is waiting with this code. Compare it with the terminal. A code works for 10 minutes and once."


@bp.get("/device")
@people
def device() -> Response:
    """The form for the code; with a code that waits, what its terminal asks for."""
    code = request.args.get("code", "")
    if not code.strip():
        return _enter()
    try:
        return _ask(_waiting(code))
    except TooMany as error:
        return _too_many(code, error)
    except Conflict as error:
        return _enter(404, code, str(error))


@bp.post("/device/<code>/approval")
@people
@require_recent_password
def approve_device(code: str) -> AnyResponse:
    """Allow the terminal what was ticked, of what was shown."""
    try:
        row = _to_settle(code)
    except TooMany as error:
        return _too_many(code, error)
    except Conflict as error:
        return _enter(404, code, str(error))
    days = operations.days_for(row)
    try:
        operations.approve(row, person=me(), scopes=request.form.getlist("scope"), days=days, now=clock.now())
    except (Invalid, NotYourTurn) as error:
        sentence = error.fields.get("scopes") if isinstance(error, Invalid) else ""
        with reading():
            return _ask(row, 422, sentence or str(error))
    outbox.commit()
    return redirect("/device/done", 303)


@bp.post("/device/<code>/denial")
@people
def deny_device(code: str) -> AnyResponse:
    """Refuse: the terminal is told, and gets no token."""
    try:
        row = _to_settle(code)
    except TooMany as error:
        return _too_many(code, error)
    except Conflict as error:
        return _enter(404, code, str(error))
    operations.deny(row, person=me(), now=clock.now())
    outbox.commit()
    flash("Denied. The terminal was not given access to your account.")
    return redirect("/", 303)


@bp.get("/device/done")
@people
def device_done() -> Response:
    """Says that the terminal goes on."""
    return make_response(render_template("auth/device_done.html"))


def _waiting(code: str) -> DeviceCode:
    """The terminal that waits with this code. Raises Conflict if there is none, and TooMany after ten such codes, so
    that nobody tries them all."""
    taken = take(Count("device-guess", str(me().id), ((10, 15 * 60),)))
    row = queries.by_user_code(code, now=clock.now())
    if row is None:
        raise Conflict(UNKNOWN)
    give_back(taken)
    return row


def _to_settle(code: str) -> DeviceCode:
    """The same, before a change."""
    with reading():
        row = _waiting(code)
    recheck_right()
    return row


def _enter(status: int = 200, code: str = "", error: str = "") -> Response:
    return make_response(render_template("auth/device.html", code=code[:20], error=error), status)


def _too_many(code: str, error: TooMany) -> Response:
    answer = _enter(429, code, str(error))
    answer.headers["Retry-After"] = str(error.seconds)
    return answer


def _ask(row: DeviceCode, status: int = 200, error: str = "") -> Response:
    person = me()
    scopes = operations.scopes_for(row, person)
    body = render_template(
        "auth/device_confirm.html",
        device=row,
        scopes=[(one.value, f"{SCOPE_TEXTS[one]} ({one.value})") for one in scopes],
        ticked=request.form.getlist("scope") if error else [one.value for one in scopes],
        is_for_admins=len(scopes) < len(row.scopes),
        days=operations.days_for(row),
        is_elsewhere=row.address != (request.remote_addr or ""),
        error=error,
    )
    return make_response(body, status)
