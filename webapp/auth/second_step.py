"""The second step of a sign-in: a code of the authenticator app, or a recovery code, after the right password."""

from collections import defaultdict
from typing import Any

from flask import Response, flash, make_response, redirect, render_template, request, session
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, links, passkeys
from webapp.auth import limits
from webapp.database.transactions import reading
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.operations import factors as operations
from webapp.operations import people as people_operations
from webapp.queries import factors as queries
from webapp.web import devices
from webapp.web.attempts import TooMany, give_back, take
from webapp.web.security import local_path
from webapp.web.signin import anyone
from webapp.workflow.states import SignInMethod

from .views import STATE, bp, may_use_password, retry_later, signed_in_by

OVER = "This sign-in has ended. Sign in again."
WRONG_RECOVERY = "This recovery code is not right, or has already been used."


@bp.get("/sign-in/code")
@anyone
def second_step() -> AnyResponse:
    """Asks for the second factor of whoever has just given the password in this browser."""
    waiting = queries.waiting(session.get(STATE, ""), now=clock.now())
    return _page(waiting) if waiting is not None else _over()


@bp.post("/sign-in/code")
@anyone
def give_second_factor() -> AnyResponse:
    """Signs in with a code of the app, or a recovery code; five attempts, then the password is asked for again."""
    now = clock.now()
    with reading():
        waiting = queries.waiting(session.get(STATE, ""), now=now)
    if waiting is None or not may_use_password(waiting.person):
        return _over()
    person, state = waiting.person, waiting.state
    recovery, code = request.form.get("recovery", "").strip(), links.well_formed(request.form.get("code", ""))
    if not recovery and code is None:
        with reading():
            return _page(waiting, 422, code="Enter the 6 digits that your authenticator app shows.")
    device = devices.known(person.email)
    try:
        taken = take(
            *limits.of_factor(person.email, device if device and device.still_knows(state.password_round) else None)
        )
    except TooMany as error:
        with reading():
            return retry_later(_page(waiting, 429, **{"recovery" if recovery else "code": str(error)}), error)
    if not operations.take_try(state.public_id, now=now):
        return _over()
    if recovery:
        right = operations.use_recovery_code(person.id, recovery, actor=person, now=now)
    else:
        right = operations.use_authenticator(person.id, code or "", now=now)
    if not right:
        outbox.commit()
        return _wrong(waiting.state.public_id, recovery=bool(recovery))
    # Of two who send codes at the same moment for the same sign-in, one wins.
    if not operations.end_state(state.public_id, kind="factor", now=now):
        db.session.rollback()
        return _over()
    # Raises if the password was set since `waiting` was read.
    people_operations.confirm_password(person.id, round=state.password_round, hash=person.password_hash or "")
    give_back(taken)
    return signed_in_by(
        SignInMethod.RECOVERY_CODE if recovery else SignInMethod.AUTHENTICATOR,
        person,
        round=state.password_round,
        remember=state.remember,
        target=request.form.get("next", ""),
    )


def _wrong(public_id: str, *, recovery: bool) -> AnyResponse:
    with reading():
        waiting = queries.waiting(public_id, now=clock.now())
        left = operations.STATE_TRIES - waiting.state.tries if waiting is not None else 0
        if waiting is None or left <= 0:
            session.pop(STATE, None)
            flash("That was not right five times. Enter your password again.", "error")
            return redirect("/sign-in", 303)
        sentence = WRONG_RECOVERY if recovery else operations.WRONG_CODE
        more = f"{sentence} {left} {'attempt' if left == 1 else 'attempts'} left."
        return _page(waiting, 422, **{"recovery" if recovery else "code": more})


def _over() -> AnyResponse:
    session.pop(STATE, None)
    flash(OVER, "error")
    return redirect("/sign-in", 303)


def _page(waiting: Any, status: int = 200, **errors: str) -> Response:
    given = request.form if request.method == "POST" else request.args
    body = render_template(
        "auth/second_step.html",
        person=waiting.person,
        has=queries.of(waiting.person.id),
        errors=defaultdict(str, errors),
        passkeys=passkeys.are_available(),
        next=local_path(given.get("next")),
    )
    return make_response(body, status)
