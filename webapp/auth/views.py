"""Sign in, sign out, set a password with an emailed link."""

import time
from urllib.parse import quote

from flask import Blueprint, Response, abort, flash, make_response, redirect, render_template, request, session
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, links, passkeys, passwords
from webapp.auth import limits
from webapp.auth.forms import ForgotPassword, NewPassword, SignIn, as_stored, errors_of
from webapp.database.transactions import reading
from webapp.delivery import outbox
from webapp.extensions import db, settings
from webapp.models import Person
from webapp.operations import factors
from webapp.operations import people as people_operations
from webapp.operations.errors import Conflict
from webapp.queries import accounts, first_steps, identities
from webapp.queries import factors as factor_queries
from webapp.web import devices, provider_sign_out, signin
from webapp.web.attempts import Count, TooMany, give_back, take
from webapp.web.security import hide_from_caches_and_referers, local_path
from webapp.web.signin import anyone, signed_in
from webapp.workflow.states import SignInMethod

bp = Blueprint("auth", __name__)

NOT_WITH_PASSWORD = "Only emergency admins use a password here. Choose another way to sign in."  # nosec
WRONG = "The email address or password is incorrect. Try again or reset your password."
HAS_LINKS = "If this address belongs to an account, use the link in the newest email from us."
# Where the cookie has the id of the sign-in that waits for a second factor: it is no session.
STATE = "sign_in_state"
# Minimum response time, longer than an outbox write, so that timing does not reveal whether an account exists.
FORGOT_SECONDS = 0.3


# ---------- Sign in and out ----------


@bp.get("/sign-in")
@anyone
def sign_in_page() -> AnyResponse:
    """The sign-in page. Redirects to `next` if already signed in."""
    target = local_path(request.args.get("next"))
    if signed_in() is not None:
        return redirect(target, 303)
    return _sign_in_page(SignIn(formdata=None, email=as_stored(request.args.get("email")), next=target))


@bp.post("/sign-in")
@anyone
def sign_in() -> AnyResponse:
    """Unknown, deactivated and invited people get the same response, after the same time, as a wrong password."""
    form = SignIn()
    if not form.validate():
        return _sign_in_page(form, 422)
    email = form.email.data
    try:
        device = devices.known(email)
        taken = take(*(limits.of_device(device) if device else _limits_of_unknown_browser(email)))
        with reading():
            person = accounts.by_email(email)
            allowed = person is None or may_use_password(person)
        if device and not (person and device.still_knows(person.password_round)):
            taken += take(*_limits_of_unknown_browser(email))
    except TooMany as error:
        return retry_later(_sign_in_page(form, 429, password=f"{error} {limits.OR_RESET}"), error)
    fits = passwords.fits(person.password_hash if person else None, form.password.data)
    if person is None or person.password_hash is None or not fits:
        return _sign_in_page(form, 422, password=WRONG)
    if not allowed:
        return _sign_in_page(form, 422, password=NOT_WITH_PASSWORD)
    hash = person.password_hash
    if passwords.outdated(hash):
        hash = passwords.hash_password(form.password.data)
    people_operations.confirm_password(person.id, round=person.password_round, hash=hash)
    give_back(taken)
    return after_password(person, round=person.password_round, remember=form.remember.data, target=form.next.data or "")


def after_password(person: Person, *, round: int, remember: bool, target: str) -> AnyResponse:
    """Signs the person in whose password was right, or asks for their second factor first. Commits."""
    if factor_queries.is_asked(person.id):
        signin.end()
        session[STATE] = factors.begin_state(
            "factor", person_id=person.id, round=round, remember=remember, now=clock.now()
        )
        outbox.commit()
        target = local_path(target)
        return redirect("/sign-in/code" if target == "/" else f"/sign-in/code?next={quote(target, safe='/')}", 303)
    return signed_in_by(SignInMethod.PASSWORD, person, round=round, remember=remember, target=target)


def signed_in_by(method: SignInMethod, person: Person, *, round: int, remember: bool, target: str) -> AnyResponse:
    """Begins the session, and goes to the first page. Commits."""
    signin.begin(person.id, remember=remember, method=method)
    target = first_page(person, local_path(target))
    outbox.commit()
    response = make_response(redirect(target, 303))
    devices.remember(response, person.email, round)
    return response


def first_page(person: Person, target: str) -> str:
    """The first page after sign-in: for admins of a new installation its first steps, until done or hidden."""
    if target == "/" and person.is_admin and not first_steps.read().is_over:
        return "/admin/first-steps"
    return target


def _limits_of_unknown_browser(email: str) -> tuple[Count, ...]:
    """Count a sign-in from this address, and return the limits for a wrong password from an unknown browser."""
    take(limits.any_from_here())
    return limits.of_stranger(email)


def retry_later(response: Response, error: TooMany) -> Response:
    """Add Retry-After to a response that redisplays the form."""
    response.headers["Retry-After"] = str(error.seconds)
    return response


@bp.post("/sign-out")
@anyone
def sign_out() -> AnyResponse:
    """Ends the session of this browser; a second click is no error."""
    left = provider_sign_out.leaving()
    signin.end()
    outbox.commit()
    flash("You have signed out.")
    return redirect(provider_sign_out.next_page(left), 303)


def may_use_password(person: Person) -> bool:
    """Whether this person may sign in with a password: everybody, unless that was switched off."""
    return (person.is_emergency_admin and person.is_admin) or identities.passwords_for_all()


def show_refused(status: int, sentence: str) -> Response:
    """The sign-in page, with what is wrong with the passkey."""
    form = SignIn(formdata=None, next=request.form.get("next", ""))
    return _sign_in_page(form, status, passkey=sentence)


def _sign_in_page(form: SignIn, status: int = 200, **errors: str) -> Response:
    body = render_template(
        "auth/sign_in.html",
        form=form,
        errors=errors_of(form) | errors,
        next=local_path(form.next.data),
        demo=settings().demo,
        passkeys=passkeys.are_available(),
        # A refused try asks the database nothing, so its page shows the form alone.
        ways=identities.Ways() if status == 429 else identities.ways(),
    )
    return make_response(body, status)


# ---------- A new password by an emailed link ----------


@bp.get("/password/forgot")
@anyone
def forgot_password() -> Response:
    """The form for the email address; with `sent`, a page that says an email was sent if the account exists."""
    if "sent" in request.args:
        return make_response(render_template("auth/link_sent.html"))
    return _forgot(ForgotPassword(formdata=None, email=as_stored(request.args.get("email"))))


@bp.post("/password/forgot")
@anyone
def ask_for_link() -> AnyResponse:
    """Gives the same response, after the same time, whether the account exists or not."""
    form = ForgotPassword()
    if not form.validate():
        return _forgot(form, 422)
    try:
        take(limits.links_from_here())
    except TooMany as error:
        return retry_later(_forgot(form, 429, email=str(error)), error)
    try:
        take(limits.links_for(form.email.data))
    except TooMany as error:
        return retry_later(_forgot(form, 429, email=f"{error} {HAS_LINKS}"), error)
    began = time.monotonic()
    with reading():
        person = accounts.by_email(form.email.data)
        if person is not None and not may_use_password(person):
            person = None
    if person is not None:
        people_operations.mail_forgotten_password(person, now=clock.now())
        outbox.commit()
    time.sleep(max(0.0, began + FORGOT_SECONDS - time.monotonic()))
    return redirect("/password/forgot?sent=1", 303)


@bp.get("/password/<token>")
@anyone
def new_password(token: str) -> Response:
    """The form for the person that the link was sent to, even if someone else is signed in here."""
    person = _behind(token)
    if person is None:
        return _dead_link()
    return _new_password(NewPassword(formdata=None), person)


@bp.post("/password/<token>")
@anyone
def set_password(token: str) -> AnyResponse:
    """Sets the password once, ends the person's other sessions and signs them in here."""
    form = NewPassword()
    with reading():
        signed_in()
        person = _behind(token)
    if person is None:
        return _dead_link()
    if not form.validate():
        return _new_password(form, person, 422)
    hash = passwords.hash_password(form.password.data)
    try:
        people_operations.set_password(person.id, hash=hash, round=person.password_round, now=clock.now())
    except Conflict:
        db.session.rollback()
        return _dead_link()
    # Whoever reads the mailbox has the link, but not the second factor.
    response = after_password(person, round=person.password_round + 1, remember=False, target="/")
    flash("Password set." if STATE in session else f"Password set. Welcome, {person.first_name}.")
    return hide_from_caches_and_referers(make_response(response))


def _behind(token: str) -> Person | None:
    # Query even for forged tokens, so that timing reveals nothing (see access.behind_link).
    person = accounts.behind_password_link(*(links.verify_password_link(token) or ("", 0)))
    if person is not None and not may_use_password(person):
        flash(NOT_WITH_PASSWORD, "wait")
        abort(redirect("/sign-in", 303))
    return person


def _forgot(form: ForgotPassword, status: int = 200, **errors: str) -> Response:
    return make_response(render_template("auth/forgot.html", form=form, errors=errors_of(form) | errors), status)


def _new_password(form: NewPassword, person: Person, status: int = 200) -> Response:
    body = render_template("auth/new_password.html", errors=errors_of(form), person=person)
    return hide_from_caches_and_referers(make_response(body, status))


def _dead_link() -> Response:
    # The same page for forged, old and used links, so that it reveals nothing.
    return hide_from_caches_and_referers(make_response(render_template("auth/dead_link.html"), 404))
