"""The Mailbox. It needs no sign-in: it exists on a loopback address only, while emails are sent nowhere else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, current_app, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.embedded import mailstore
from webapp.embedded.mailstore import StoredMail
from webapp.queries import organisation
from webapp.times import Times, zone
from webapp.web import framed
from webapp.web.signin import anyone, signed_in

bp = Blueprint("mailbox", __name__)


@bp.get("/mailbox")
@anyone
def mails() -> Response:
    """The list with its newest email opened."""
    return _show(None)


@bp.get("/mailbox/<mail_id>")
@anyone
def mail(mail_id: str) -> Response:
    """The list with one email opened."""
    return _show(mailstore.find(_folder(), mail_id) or abort(404))


@bp.get("/mailbox/<mail_id>/body")
@anyone
def body(mail_id: str) -> Response:
    """The email itself, for the frame: its HTML, or its text with clickable links."""
    text, html = mailstore.bodies(_folder(), mail_id) or abort(404)
    return framed.email(html, text)


@bp.get("/mailbox/<mail_id>/text")
@anyone
def text(mail_id: str) -> Response:
    """The email's text part, as plain text."""
    words, _ = mailstore.bodies(_folder(), mail_id) or abort(404)
    response = Response(words or "This email has no plain text.\n", mimetype="text/plain")
    return framed.private(response)


@bp.post("/mailbox/emptying")
@anyone
def emptying() -> AnyResponse:
    """Remove every mail."""
    mailstore.empty(_folder())
    return redirect(url_for("mailbox.mails"), code=303)


def _show(opened: StoredMail | None) -> Response:
    folder = _folder()
    chosen = {
        name: value for name in ("q", "to", "before", "after") if (value := request.args.get(name, "").strip()[:200])
    }
    filters = {name: chosen[name] for name in ("q", "to") if name in chosen}
    words, to = chosen.get("q", ""), chosen.get("to", "")
    page = mailstore.page(folder, words=words, to=to, before=chosen.get("before", ""), after=chosen.get("after", ""))
    if not page.mails and (page.older or page.newer):
        # The emails of that page were removed.
        page = mailstore.page(folder, words=words, to=to)
    if opened is None and page.mails:
        opened = page.mails[0]
    user = signed_in()
    times = Times(zone(user.time_zone if user else organisation.time_zone()), clock.now())
    response = make_response(
        render_template(
            "mailbox/page.html",
            page=page,
            opened=opened,
            filters=filters,
            choices=[(address, f"To {name}") for address, name in mailstore.recipients(folder)],
            # Opening an email keeps the page of the list.
            place=f"?{urlencode(chosen)}" if chosen else "",
            times=times,
        )
    )
    return framed.private(framed.page(response))


def _folder() -> Path:
    folder: Path = current_app.extensions["settings"].data / "mailbox"
    return folder
