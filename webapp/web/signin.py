"""Who is signed in: a random session row's id in the signed cookie, loaded with its person in one statement.

Each view says who may use it (`anyone`, `people`, `any_app_owner`, `owners_of_app`, `admins`); the start fails for a
route that does not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import quote

from flask import Flask, Response, abort, g, make_response, redirect, request, session
from flask_login import UserMixin, current_user, login_user, logout_user
from sqlalchemy import and_, bindparam, not_, select

from webapp import clock
from webapp.extensions import db, login
from webapp.models import Organisation, Person, PersonSession
from webapp.models.people import logo_url
from webapp.operations import people as people_operations
from webapp.operations.origin import Origin
from webapp.queries import directory, factors, ownership, sessions
from webapp.queries.approvals import waiting_for
from webapp.runtime import trace
from webapp.runtime.jsonlog import mask
from webapp.web import htmx, rights
from webapp.web.security import SAFE, here, own_path

REMEMBERED_SESSION_LASTS = timedelta(days=30)
SESSION_LASTS = timedelta(hours=12)
SEEN_EVERY = timedelta(minutes=10)

# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_SIGNED_IN = (
    select(
        PersonSession,
        Person,
        select(Organisation.time_zone).scalar_subquery().label("organisation_zone"),
        select(Organisation.logo_hash).scalar_subquery().label("logo_hash"),
        waiting_for(Person.id).label("waiting"),
        ownership.owns_any(Person.id).label("owns"),
        # Whom a provider lets in gives their second factor there.
        and_(
            Person.is_admin,
            PersonSession.provider_id.is_(None),
            select(Organisation.second_step_for_admins).scalar_subquery(),
            not_(factors.has_any(Person.id)),
        ).label("lacks_second_step"),
    )
    .join(Person, Person.id == PersonSession.person_id)
    .where(
        PersonSession.public_id == bindparam("public_id"),
        PersonSession.kind == "sign_in",
        PersonSession.ended_at.is_(None),
        PersonSession.expires_at > bindparam("now"),
        Person.active,
    )
)

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class SignedIn(UserMixin):  # type: ignore[misc]
    """A signed-in person as Flask-Login sees them."""

    person: Person
    session: PersonSession
    time_zone: str
    waiting: int
    owns: bool  # whether they own an app
    logo_url: str = ""  # of their organisation's logo
    lacks_second_step: bool = False  # an admin who has to set one up first

    def get_id(self) -> str:
        return self.session.public_id


def init(app: Flask) -> None:
    login.session_protection = None  # the session row's id is random, and it can be revoked
    login.user_loader(load)


def load(public_id: str) -> SignedIn | None:
    """The session with its person, their time zone, how many requests wait for them and whether they own an app: one
    statement."""
    values = {"public_id": public_id, "now": clock.now()}
    row = db.session.execute(_SIGNED_IN, values, execution_options={"populate_existing": True}).first()
    if row is None:
        return None
    trace.about(actor=row.Person.public_id)
    zone = row.Person.time_zone or row.organisation_zone or "UTC"
    return SignedIn(row.Person, row.PersonSession, zone, row.waiting, bool(row.owns), logo_url(row.logo_hash),
                    bool(row.lacks_second_step))  # fmt: skip


def signed_in() -> SignedIn | None:
    """The signed-in person of this request, or None."""
    return cast(SignedIn, current_user) if current_user.is_authenticated else None


def forget() -> None:
    """Render the page about a failure as signed out, so that it does not query the database again."""
    g.broken = True
    g._login_user = login.anonymous_user()  # where Flask-Login keeps whom it has found, for its own templates too


def me() -> Person:
    """The signed-in person; only in views that are not for `anyone`."""
    return cast(Person, current_user.person)


def begin(person_id: int, *, remember: bool, method: str = "", origin: Origin | None = None) -> None:
    """Sign the person in. The old session cookie and its CSRF token are replaced, and a session that was signed in here
    before is ended. `method`: a SignInMethod; `origin`: the provider that they come from. Whoever has a second factor
    has given it by now, or their provider asks for its own."""
    _end_row()
    lasts = REMEMBERED_SESSION_LASTS if remember else SESSION_LASTS
    row = people_operations.start_session(
        person_id,
        kind="sign_in",
        method=method,
        browser=request.user_agent.string,
        address=request.remote_addr or "",
        lasts=lasts,
        now=clock.now(),
        origin=origin,
    )
    db.session.flush()
    session.clear()
    g.pop("csrf_token", None)
    session.permanent = remember
    person = db.session.get_one(Person, person_id)
    trace.about(actor=person.public_id)
    login_user(SignedIn(person, row, "UTC", 0, owns=False))


def end() -> None:
    """Signs this browser out."""
    _end_row()
    logout_user()
    session.clear()


def _end_row() -> None:
    user = signed_in()
    if user is not None:
        people_operations.end_session(user.session.public_id, person_id=user.person.id, now=clock.now())


# ---------- Who may use a view ----------


def lock_signed_in(*, alone: bool = False) -> None:
    """Lock and load the signed-in person in the transaction of the change, so that their rights stay valid until the
    commit.

    A transaction that removes an admin's right, an owner, a membership or an account waits for this one, or came first
    and is seen; so does one that ends the session or sets the password. With `alone` the view may change people, groups
    and owners.
    """
    public_id = str(session.get("_user_id", ""))
    directory.lock(exclusive=alone)
    user = None
    if public_id:
        # A separate statement: one that waits for a lock would read the other rows as they were before.
        sessions.lock_person_of(public_id)
        user = load(public_id)
    g._login_user = user or login.anonymous_user()  # where Flask-Login keeps whom it has found


def recheck_right() -> None:
    """Checks in the new transaction that the person may still use this view: call it after `with reading()`, a commit
    or a rollback, before anything is changed. Ends the request if they may not."""
    g.check_audience()


def _audience(name: str, guard: Callable[[], Response | None] | None, *, alone: bool = False) -> Callable[[View], View]:
    def check_audience() -> None:
        writes = request.method not in SAFE
        if writes:
            rights.need(guard is not None)
            lock_signed_in(alone=alone)
        if guard is not None and (answer := guard()) is not None:
            abort(answer)
        if writes:
            rights.note_held()

    def mark(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.check_audience = check_audience
            if guard is not None:
                check_audience()
            return view(*args, **kwargs)

        guarded.audience = name  # type: ignore[attr-defined]
        return cast(View, guarded)

    return mark


def _sign_in_first() -> Response | None:
    user = signed_in()
    if user is not None:
        _note_seen(user.session)
        return None
    back = _back()
    location = "/sign-in" if back == "/" else f"/sign-in?next={quote(back, safe='/')}"
    if request.headers.get("HX-Request") == "true":
        return htmx.redirect_whole_page(make_response("Your session has ended. Sign in again.", 401), location)
    return cast(Response, redirect(location, 303))


def _back() -> str:
    """The page to return to after sign-in: this one, or the page that a form or fragment is on."""
    if request.method in SAFE and not htmx.is_fragment():
        return here()
    page = own_path(htmx.current_page() or request.referrer)
    return "/" if mask(page) != page else page  # never a link's token


def _note_seen(row: PersonSession) -> None:
    # Only together with a change that is committed anyway, because a GET never writes.
    if request.method not in SAFE and clock.now() - row.seen_at > SEEN_EVERY:
        row.seen_at = clock.now()


def _admin_only() -> Response | None:
    answer = _sign_in_first()
    if answer is None and not me().is_admin:
        abort(404)
    return answer or _second_step_first()


def _second_step_first() -> Response | None:
    """Leads an admin who lacks it to where a second step is set up, before anything of the admin side."""
    user = signed_in()
    if user is None or not user.lacks_second_step:
        return None
    location = "/account/security"
    if request.headers.get("HX-Request") == "true":
        return htmx.redirect_whole_page(make_response("Set up a second step first.", 403), location)
    return cast(Response, redirect(location, 303))


def _any_app_owner_only() -> Response | None:
    user = signed_in()
    answer = _sign_in_first()
    if user is not None and not (user.person.is_admin or user.owns):
        abort(404)
    return answer or _second_step_first()


def _app_owner_only() -> Response | None:
    user = signed_in()
    answer = _sign_in_first()
    public_id = cast(dict[str, str], request.view_args)["public_id"]
    if user is not None and not (user.person.is_admin or ownership.owns(public_id, user.person.id)):
        abort(404)
    return answer or _second_step_first()


anyone = _audience("anyone", None)
people = _audience("people", _sign_in_first)
# Owners of any app, and admins: for lists, which then hold only the apps of the reader.
any_app_owner = _audience("any_app_owner", _any_app_owner_only, alone=True)
# Owners of the app whose `public_id` is in the address, and admins.
owners_of_app = _audience("owners_of_app", _app_owner_only, alone=True)
admins = _audience("admins", _admin_only, alone=True)


def check_every_route_has_an_audience(app: Flask) -> None:
    """Raises RuntimeError naming the views that do not say who may use them."""
    bare = [name for name, view in app.view_functions.items() if not hasattr(view, "audience")]
    if bare:
        raise RuntimeError(f"These views do not say who may use them: {', '.join(sorted(bare))}")
