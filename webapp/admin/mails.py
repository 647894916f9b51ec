"""The email log: every email and its state; and the banner about delivery problems."""

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from flask import Response, abort, flash, g, url_for
from redis.exceptions import RedisError
from sqlalchemy import Select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.delivery import mail as emails
from webapp.extensions import broker, settings
from webapp.notices import NOTICE_KINDS, kind_of
from webapp.operations import mails as operations
from webapp.operations.errors import Conflict
from webapp.queries import logged_email, stops
from webapp.queries import outbox_lines as queries
from webapp.queries.outbox_lines import EmailLine
from webapp.web import access, error_pages, framed, htmx
from webapp.web.signin import admins, me, signed_in
from webapp.wording import count

from . import filters
from .views import bp, commit, fragment, go, undo

TABS = (
    ("", "All"),
    ("due", "Queued"),
    ("trying", "Retrying"),
    ("dead", "Failed"),
    ("held", "On hold"),
    ("sent", "Sent"),
    ("obsolete", "Skipped"),
)
# How often a list with emails in motion refreshes itself before it stops, in case nobody is watching.
LOOKS = 60
SOON = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class MailSearch:
    """The filters of the address."""

    q: str
    state: str
    kind: str
    since: date | None
    until: date | None

    def at(self, **key: object) -> str:
        """The query string with some of it changed."""
        return filters.query(asdict(self) | key)

    @property
    def is_narrowed(self) -> bool:
        """Whether some emails of the state are not shown."""
        return bool(self.q or self.kind or self.since or self.until)


def _search() -> MailSearch:
    return MailSearch(
        q=filters.word("q"),
        state=filters.one_of("state", tuple(queries.STATES)),
        kind=filters.one_of("kind", tuple(NOTICE_KINDS)),
        since=filters.day("since"),
        until=filters.day("until"),
    )


@bp.get("/mail")
@admins
def mails() -> Response:
    """Every email, newest first. `look` counts how often the page has refreshed itself."""
    search = _search()
    page = queries.page(
        _matching(search), search.state, before=filters.key("before"), after=filters.key("after")
    )  # fmt: skip
    look = min(filters.key("look"), LOOKS)
    template = "admin/_mail.html" if htmx.is_fragment() else "admin/mail.html"
    return fragment(
        template,
        page=page,
        search=search,
        tabs=TABS,
        kinds=[(kind.value, row.title) for kind, row in NOTICE_KINDS.items()],
        server=_server(),
        stop=stops.current(),
        look=look,
        looks_again=look < LOOKS and not (page.newer and filters.key("before")) and any(map(_moves, page.items)),
    )


def _matching(search: MailSearch) -> Select[Any]:
    return queries.matching(
        search.state, search.q.split()[:8], kind=search.kind, since=filters.begin(search.since),
        until=filters.end(search.until),
    )  # fmt: skip


def _moves(mail: EmailLine) -> bool:
    """Whether the state of the email will change soon."""
    return mail.state in ("due", "sending") or (mail.state == "trying" and mail.at < clock.now() + SOON)


def _server() -> str:
    here = settings()
    if here.mailbox:
        return "Emails are kept in the local Mailbox and are not delivered. Set MAIL_SERVER to deliver them."
    return (
        f"Emails are sent through {here.mail_server}:{here.mail_port}. You can change this with environment variables."
    )


@bp.get("/mail/<public_id>")
@admins
def mail(public_id: str) -> Response:
    """One email: its state, every attempt, and its content without link and code."""
    found = logged_email.load(public_id) or abort(404)
    message = emails.shown(found.facts)
    look = min(filters.key("look"), LOOKS)
    template = "admin/_mail_state.html" if htmx.is_fragment() else "admin/mail_open.html"
    answer = fragment(
        template,
        mail=found.line,
        notice=found.notice,
        attempts=found.attempts,
        person=found.facts.person,
        message=message,
        kind=kind_of(found.line.kind).title,
        stop=stops.current(),
        look=look,
        looks_again=look < LOOKS and _moves(found.line),
    )
    return framed.private(framed.page(answer))


@bp.get("/mail/<public_id>/body")
@admins
def mail_body(public_id: str) -> Response:
    """The email itself, for the frame."""
    found = logged_email.load(public_id) or abort(404)
    message = emails.shown(found.facts) or abort(404)
    return framed.email(message.html or "", message.body or "")


@bp.post("/mail/<public_id>/attempt")
@admins
def try_mail_now(public_id: str) -> AnyResponse:
    """Send an email now that waits for its next attempt."""
    notice = access.notice_to_send(public_id)
    try:
        operations.try_now(notice, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        return _refused(error)
    commit()
    return go(url_for("admin.mail", public_id=public_id), "The email is being sent now.")


@bp.post("/mail/attempts")
@admins
def try_all_mails_again() -> AnyResponse:
    """Retry the emails of a list (filtered as its address says) that failed or wait for their next attempt."""
    search = _search()
    number = operations.try_all_again(queries.ids(_matching(search)), actor=me(), now=clock.now())
    commit()
    return go(url_for("admin.mails"), f"{count(number, 'email')} queued. Outdated ones will be skipped.")


def _refused(error: Conflict) -> AnyResponse:
    return error_pages.answer(409, str(error), next_url=url_for("admin.mails"), next_label="Back to emails")


@bp.post("/mail/<public_id>/sending")
@admins
def send_mail_again(public_id: str) -> AnyResponse:
    """Send a failed email again; any other is refused with a sentence."""
    notice = access.notice_to_send(public_id)
    try:
        operations.send_again(notice, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        return _refused(error)
    commit()
    return go(url_for("admin.mails"), "Email queued again.")


@bp.post("/mail/<public_id>/dropping")
@admins
def discard_mail(public_id: str) -> AnyResponse:
    """Drop an email that is on hold after a restore, because it had been sent before."""
    notice = access.notice_to_send(public_id)
    try:
        operations.discard(notice, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        return _refused(error)
    commit()
    return go(url_for("admin.mails", state="held"), "Email discarded.")


@bp.post("/mail/held/sending")
@admins
def release_held_mails() -> AnyResponse:
    """Release all emails that are on hold after a restore."""
    number = operations.release(actor=me(), now=clock.now())
    commit()
    return go(url_for("admin.mails"), f"{count(number, 'email')} queued. Outdated ones will be skipped.")


@bp.post("/mail/held/dropping")
@admins
def discard_held_mails() -> AnyResponse:
    """Drop all emails that are on hold after a restore."""
    number = operations.discard(None, actor=me(), now=clock.now())
    commit()
    return go(url_for("admin.mails"), f"{count(number, 'email')} discarded.")


@bp.post("/mail/test")
@admins
def send_test_mail() -> AnyResponse:
    """Send a test email to the signed-in admin."""
    operations.send_test(actor=me(), now=clock.now())
    address = me().email
    commit()
    flash(f"Test email sent to {address}.")
    return go(url_for("admin.mails"))


@bp.context_processor
def banner() -> dict[str, Any]:
    """The banner of admin pages about delivery problems; nothing on fragments and errors."""
    user = signed_in() if "broken" not in g else None
    if htmx.is_fragment() or user is None or not user.person.is_admin:
        return {"trouble": None, "queue_down": False}
    try:
        found = queries.trouble()
    except SQLAlchemyError:
        return {"trouble": None, "queue_down": False}
    try:
        broker().ping()
    except (RedisError, OSError):
        return {"trouble": found, "queue_down": True}
    return {"trouble": found, "queue_down": False}
