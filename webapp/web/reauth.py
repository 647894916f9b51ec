"""Who changes rules or people, or takes data along, has given their password in the last 15 minutes.

It is asked for in place. The answer to what was sent is a form that holds all of it in hidden fields; with the right
password it goes to the same address once more, and is done. An address that only reads cannot take a password: its
form goes to /account/proof, which leads back.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, make_response, render_template, request, session
from werkzeug.datastructures import ImmutableMultiDict

from webapp import clock, passwords
from webapp.database.transactions import reading
from webapp.delivery import outbox
from webapp.operations import people as operations
from webapp.web import htmx, signin
from webapp.web.attempts import Count, TooMany, give_back, take
from webapp.web.security import SAFE, here, own_path
from webapp.web.signin import SignedIn, signed_in

PROVED_FOR = timedelta(minutes=15)
ALIKE = timedelta(minutes=1)  # by how much the clocks of two machines may differ
# No form of ours has another field of this name.
FIELD = "your_password"
PROOF = "/account/proof"
WRONG = "Incorrect password. Try again."

View = TypeVar("View", bound=Callable[..., Any])


def in_this_session() -> Count:
    """Whoever found an open browser cannot try passwords for long, here or on the account's page. Another browser of
    the same person has a count of its own."""
    return Count("password", str(session.get("_user_id", "")), ((10, 15 * 60),))


def fresh(view: View) -> View:
    """Below the audience: the view runs for a person who has lately given their password, or gives it now."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        answer = _ask_if_stale()
        return answer if answer is not None else view(*args, **kwargs)

    guarded.fresh = True  # type: ignore[attr-defined]
    return cast(View, guarded)


def _ask_if_stale() -> Response | None:
    user = cast(SignedIn, signed_in())
    given = request.form.get(FIELD)
    fields = [(name, value) for name, value in request.form.items(multi=True) if name != FIELD]
    request.form = ImmutableMultiDict(fields)  # no view sees the password, or could show it
    proved = user.session.proved_at
    # Not later than now either: a clock that was set back must not make it last.
    if proved is not None and -ALIKE <= clock.now() - proved <= PROVED_FOR:
        return None
    if given is None:
        return _ask(401)
    return ask_unless_right(given)


def ask_unless_right(given: str, then: str = "") -> Response | None:
    """None if it is the password: this session has proved itself, and a new transaction has asked for the right to go
    on. Else the question again; `then` is the address that it leads to, if what asked only reads."""
    try:
        wrong = _prove(given)
    except TooMany as error:
        answer = _ask(429, f"{error} If you do not know your password, reset it with a link by email.", then)
        answer.headers["Retry-After"] = str(error.seconds)
        return answer
    return _ask(401, wrong, then) if wrong else None


def _prove(given: str) -> str:
    """What is wrong, or "". Commits. Raises TooMany."""
    if not given:
        return "Enter your password."
    taken = take(in_this_session())
    user = cast(SignedIn, signed_in())
    person = user.person
    with reading():
        fits = passwords.fits(person.password_hash, given)
    if not fits or person.password_hash is None:
        return WRONG
    give_back(taken)
    # Hashing took a while, in which this person may have lost the right to do this, or this session.
    signin.ask_again()
    operations.confirm_password(person.id, round=person.password_round, hash=person.password_hash)
    operations.prove(user.session.public_id, person_id=person.id, now=clock.now())
    outbox.commit()
    signin.ask_again()
    return ""


def _ask(status: int, wrong: str = "", then: str = "") -> Response:
    """The question, with all that was sent: a dialog for htmx, else a page."""
    if request.method in SAFE:
        then = here()
    carried = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
    whole = not htmx.is_fragment()
    with reading():
        body = render_template(
            "auth/again.html" if whole else "auth/_again.html",
            action=PROOF if then else here(),
            carried=[("next", then)] if then else carried,
            files=[] if then else sorted(request.files),
            reads=bool(then),
            field=FIELD,
            wrong=wrong,
            back=own_path(request.referrer),
        )
    response = make_response(body, status)
    return response if whole else htmx.retarget(response, "#dialog", "innerHTML")
