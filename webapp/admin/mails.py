"""The outbox: what was due, what was sent, what was not, and why; and the banner when something is in trouble."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from flask import Response, abort, flash, g, url_for
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, errors, htmx
from webapp.extensions import broker, db, settings
from webapp.models import Notice
from webapp.operations import mails as operations
from webapp.operations.errors import Conflict
from webapp.presentation import count
from webapp.queries import outbox_lines as queries
from webapp.signin import admins, me, signed_in

from . import filters
from .views import bp, commit, fragment, go, undo

TABS = (
    ("", "All"),
    ("due", "Due"),
    ("trying", "Being retried"),
    ("dead", "Given up"),
    ("held", "Held"),
    ("sent", "Sent"),
    ("obsolete", "Not needed"),
)


@dataclass(frozen=True, slots=True)
class Search:
    """What the address looks for."""

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
        """Whether some mails of the state are not shown."""
        return bool(self.q or self.kind or self.since or self.until)


def _search() -> Search:
    return Search(
        q=filters.word("q"),
        state=filters.one_of("state", tuple(queries.STATES)),
        kind=filters.one_of("kind", tuple(queries.KINDS)),
        since=filters.day("since"),
        until=filters.day("until"),
    )


@bp.get("/mail")
@admins
def mails() -> Response:
    """Every mail, newest first."""
    search = _search()
    page = queries.page(
        search.state, search.q.split()[:8], kind=search.kind, since=filters.begin(search.since),
        until=filters.end(search.until), before=filters.key("before"), after=filters.key("after"),
    )  # fmt: skip
    template = "admin/_mail.html" if htmx.is_fragment() else "admin/mail.html"
    kinds = list(queries.KINDS.items())
    return fragment(template, page=page, search=search, tabs=TABS, kinds=kinds, server=_server())


def _server() -> str:
    here = settings()
    if here.mailbox:
        return "Mails go to the Mailbox of this installation. Set MAIL_SERVER to send them to people."
    return (
        f"Mails go out through {here.mail_server}:{here.mail_port}. "
        "The settings are environment variables; they are not changed here."
    )


@bp.post("/mail/<public_id>/sending")
@admins
def send_mail_again(public_id: str) -> AnyResponse:
    """For a mail that was given up; any other is refused with a sentence."""
    notice = db.session.query(Notice).filter_by(public_id=public_id).first() or abort(404)
    try:
        operations.send_again(notice, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        return errors.answer(409, str(error), next_url=url_for("admin.mails"), next_label="Back to the mails")
    commit()
    return go(url_for("admin.mails"), "The mail is on its way again.")


@bp.post("/mail/<public_id>/dropping")
@admins
def drop_mail(public_id: str) -> AnyResponse:
    """For a mail that is held after a restore: it had gone out already."""
    notice = db.session.query(Notice).filter_by(public_id=public_id).first() or abort(404)
    try:
        operations.drop(notice, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        return errors.answer(409, str(error), next_url=url_for("admin.mails"), next_label="Back to the mails")
    commit()
    return go(url_for("admin.mails", state="held"), "The mail is not sent.")


@bp.post("/mail/held/sending")
@admins
def send_held_mails() -> AnyResponse:
    """All that are held after a restore go out."""
    number = operations.let_go(actor=me(), now=clock.now())
    commit()
    return go(url_for("admin.mails"), f"{count(number, 'mail')} on the way, unless what it says is no longer so.")


@bp.post("/mail/held/dropping")
@admins
def drop_held_mails() -> AnyResponse:
    """None of those that are held after a restore is sent."""
    number = operations.drop(None, actor=me(), now=clock.now())
    commit()
    return go(url_for("admin.mails"), f"{count(number, 'mail')} dropped.")


@bp.post("/mail/test")
@admins
def send_test_mail() -> AnyResponse:
    """A mail to myself."""
    operations.send_test(actor=me(), now=clock.now())
    address = me().email
    commit()
    flash(f"A test mail is on its way to {address}.")
    return go(url_for("admin.mails"))


@bp.context_processor
def banner() -> dict[str, Any]:
    """What the admin's pages say above all else; nothing on fragments, refusals and the like."""
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
