"""Reauthentication: views that change rules or people, or export data, need a password entered, or a passkey used, in
the last 15 minutes.

Whoever comes from a provider of single sign-on signs in there once more, in another tab, and continues in the form.

The password is asked for in place: the response to the POST is a form that carries all submitted fields as hidden
fields; with the right password it repeats the POST. A GET cannot carry a password, so its form posts to /account/proof,
which redirects back.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, make_response, render_template, request, session
from werkzeug.datastructures import ImmutableMultiDict

from webapp import clock, passkeys, passwords
from webapp.database.transactions import reading
from webapp.delivery import outbox
from webapp.operations import people as operations
from webapp.queries import identities
from webapp.queries.factors import has_passkey
from webapp.web import htmx, passkey_answers, signin
from webapp.web.attempts import Count, TooMany, give_back, take
from webapp.web.security import SAFE, here, own_path
from webapp.web.signin import SignedIn, signed_in

RECENT = timedelta(minutes=15)
CLOCK_SKEW = timedelta(minutes=1)  # by how much the clocks of two machines may differ
# No form has another field of this name.
FIELD = "your_password"
PASSKEY_FIELD = "your_passkey"
REAUTH_PATH = "/account/proof"
WRONG = "Incorrect password. Try again."

View = TypeVar("View", bound=Callable[..., Any])


def in_this_session() -> Count:
    """Limit password attempts in one session, here and on the account page, in case someone else uses the browser.
    Each session has its own count."""
    return Count("password", str(session.get("_user_id", "")), ((10, 15 * 60),))


def require_recent_password(view: View) -> View:
    """Decorator below the audience: run the view only if the password was entered recently or is sent with the form."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        answer = _prompt_unless_recent()
        return answer if answer is not None else view(*args, **kwargs)

    guarded.requires_recent_password = True  # type: ignore[attr-defined]
    return cast(View, guarded)


def _prompt_unless_recent() -> Response | None:
    user = cast(SignedIn, signed_in())
    given, passkey = request.form.get(FIELD), request.form.get(PASSKEY_FIELD, "")
    own = (FIELD, PASSKEY_FIELD)
    fields = [(name, value) for name, value in request.form.items(multi=True) if name not in own]
    request.form = ImmutableMultiDict(fields)  # so that no view can read or show the password
    if _is_recent(user):
        return None
    if given is None:
        return _prompt(401)
    return reauthenticate(given, passkey)


def _is_recent(user: SignedIn) -> bool:
    confirmed = user.session.reauthenticated_at
    # Refuse instants in the future: a clock that was set back must not extend the 15 minutes.
    return confirmed is not None and -CLOCK_SKEW <= clock.now() - confirmed <= RECENT


def reauthenticate(given: str, passkey: str = "", then: str = "") -> Response | None:
    """Check the passkey if there is one, else the password. Return None if it is right: the session is marked, and the
    right is checked again in a new transaction. Otherwise return the prompt; `then` is where a GET continues."""
    try:
        error = _error_of_passkey(passkey) if passkey else _error_of(given)
    except TooMany as limit:
        answer = _prompt(429, f"{limit} If you do not know your password, reset it with a link by email.", then)
        answer.headers["Retry-After"] = str(limit.seconds)
        return answer
    return _prompt(401, error, then) if error else None


def _error_of(given: str) -> str:
    """Check the password and record it in the session. Return the error, or "". Commits. Raises TooMany."""
    user = cast(SignedIn, signed_in())
    person = user.person
    if not given:
        if _is_recent(user):  # they have signed in again at their provider, in another tab
            return ""
        with reading():
            by_provider = bool(identities.buttons_of(person.id))
        return "Sign in again first, or enter your password." if by_provider else "Enter your password."
    taken = take(in_this_session())
    with reading():
        fits = passwords.fits(person.password_hash, given)
    if not fits or person.password_hash is None:
        return WRONG
    give_back(taken)
    # Hashing takes a while, in which this person may have lost the right or the session.
    signin.recheck_right()
    operations.confirm_password(person.id, round=person.password_round, hash=person.password_hash)
    operations.reauthenticate(user.session.public_id, person_id=person.id, now=clock.now())
    outbox.commit()
    signin.recheck_right()
    return ""


def _can_use_passkey() -> bool:
    return passkeys.are_available() and has_passkey(cast(SignedIn, signed_in()).person.id)


def _error_of_passkey(answer: str) -> str:
    """The same for what a passkey of this person has signed. A guess is of no use here, so nothing is counted."""
    user = cast(SignedIn, signed_in())
    found = passkey_answers.signed_by(answer, "confirm", user.person.id)
    if found is not None:
        operations.reauthenticate(user.session.public_id, person_id=user.person.id, now=clock.now())
    outbox.commit()
    signin.recheck_right()
    return "" if found is not None else passkey_answers.REFUSED


def _prompt(status: int, error: str = "", then: str = "") -> Response:
    """The password form with all submitted fields: a dialog for htmx, else a page."""
    if request.method in SAFE:
        then = here()
    carried = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
    whole = not htmx.is_fragment()
    with reading():
        person = cast(SignedIn, signed_in()).person
        body = render_template(
            "auth/reauth.html" if whole else "auth/_reauth.html",
            action=REAUTH_PATH if then else here(),
            carried=[("next", then)] if then else carried,
            files=[] if then else sorted(request.files),
            reads=bool(then),
            field=FIELD,
            passkey_field=PASSKEY_FIELD if _can_use_passkey() else "",
            error=error,
            back=own_path(request.referrer),
            buttons=identities.buttons_of(person.id),
            has_password=person.password_hash is not None,
        )
    response = make_response(body, status)
    return response if whole else htmx.retarget(response, "#dialog", "innerHTML")
