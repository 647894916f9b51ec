"""Renders errors as a page or as a fragment, always with what to do next."""

import logging
import sqlite3
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, g, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    ProgrammingError,
    SQLAlchemyError,
)
from werkzeug.exceptions import HTTPException, InternalServerError, SecurityError

from webapp.database import faults
from webapp.extensions import db
from webapp.operations.errors import Conflict, Invalid
from webapp.web import htmx, problems, signin
from webapp.web.security import SAFE
from webapp.workflow.errors import NotYourTurn, SelfApproval, WorkflowError

log = logging.getLogger("countersign.errors")

_TITLES = {
    400: "Something went wrong",
    403: "Not allowed",
    405: "This page cannot be opened directly",
    409: "This has changed",
    413: "That is too large",
    414: "That address is too long",
    422: "Check the form",
    429: "Too many attempts",
    503: "Temporarily unavailable",
}
_SENTENCES = {
    400: "The request could not be read. Go back, reload the page and try again.",
    403: "You do not have permission to see this. If you need it, ask an admin.",
    405: "Go to your dashboard and start from there.",
    413: "The upload is too large (limit 1 MB). Use a smaller file.",
    429: "Too many attempts. Wait a minute and try again.",
    503: "The database is not responding. Nothing was saved. Try again in a minute.",
}
# SQLite raises the driver's own error when a transaction cannot begin.
_GONE = (OperationalError, InterfaceError, PendingRollbackError, sqlite3.OperationalError)
UNSURE_FOR_PROGRAMS = (
    "The connection was lost while saving. Send the same call with the same Idempotency-Key: it is done once."
)
_UNSURE = "The connection was lost while saving. Check whether your change is there before you try again."


def init(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(Conflict, _conflict)
    app.register_error_handler(WorkflowError, _conflict)
    app.register_error_handler(Invalid, _invalid)
    app.register_error_handler(problems.Problem, _problem)
    for gone in _GONE:
        app.register_error_handler(gone, _database)
    app.register_error_handler(Exception, _broken)
    app.teardown_appcontext(_close_session)


def answer(
    status: int, sentence: str, *, title: str = "", next_url: str = "/", next_label: str = "", also: str = "",
    typed: Sequence[str] = (),
) -> Response:  # fmt: skip
    """Render an error as a page, or for htmx as a toast, with a link unless it leads to the open page. `also` is
    swapped in with the toast. `typed` is shown on the page to be copied; with a toast the form still holds it."""
    _end_transaction()
    if problems.is_for_a_program():
        return problems.answer(status, sentence)
    if htmx.is_fragment():
        is_here = urlsplit(htmx.current_page() or "").path == urlsplit(next_url).path
        href = "" if is_here or not next_label else next_url
        body = render_template("errors/_fragment.html", message=sentence, href=href, label=next_label)
        return htmx.as_toast(make_response(body + also, status))
    body = render_template(
        "errors/error.html",
        title=title or _TITLES.get(status, "Something went wrong"),
        message=sentence,
        next_url=next_url,
        next_label=next_label or "Go to dashboard",
        typed=typed,
    )
    return make_response(body, status)


def _http(error: HTTPException) -> Response:
    if error.response is not None:  # abort(an answer of ours)
        _end_transaction()
        return make_response(error.response)
    status = error.code or 500
    if status != 500 and problems.is_for_a_program():
        _end_transaction()
        own = error.description if error.description != type(error).description else None
        response = problems.of_status(status, own or "")
    elif status == 404 and not htmx.is_fragment():
        _end_transaction()
        response = make_response(render_template("errors/404.html"), 404)
    elif status == 404:
        response = answer(404, "This no longer exists. Reload the page.")
    elif status == 500:
        return _broken(error)
    else:
        # Show our own sentences (abort(403, "…")), not werkzeug's descriptions.
        own = error.description if error.description != type(error).description else None
        if status == 429:
            own = None
        if isinstance(error, SecurityError):
            # Do not show a foreign Host header on our page.
            own = "This address is not configured. Use the link from your emails or ask an admin."
        response = answer(status, own or _SENTENCES.get(status, _SENTENCES[400]))
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _csrf(error: CSRFError) -> Response:
    log.info("csrf refused", extra={"reason": error.description})
    # After an htmx request the form is still there with what was typed, until the page is reloaded.
    then = "Copy your text, then reload" if htmx.is_fragment() else "Go back, reload"
    return answer(
        400,
        f"This page has expired. Nothing was saved. {then} the page and try again.",
    )


def _problem(error: Exception) -> Response:
    _end_transaction()
    return problems.of_refusal(error)


def _conflict(error: Exception) -> Response:
    if problems.is_for_a_program():
        return _problem(error)
    status = 403 if isinstance(error, SelfApproval | NotYourTurn) else 409
    return answer(status, str(error))


def _invalid(error: Invalid) -> Response:
    if problems.is_for_a_program():
        return _problem(error)
    return answer(422, str(error))


def _database(error: Exception) -> Response:
    log.exception("database", exc_info=error)
    signin.forget()
    # The connection was lost between COMMIT and its answer.
    unsure = isinstance(error, DBAPIError) and error.connection_invalidated and error.statement is None
    _end_transaction()
    sentence = _UNSURE if unsure else faults.for_people(error) or _SENTENCES[503]
    if problems.is_for_a_program() and unsure:
        return problems.answer(503, UNSURE_FOR_PROGRAMS, name="unsure")
    return answer(503, sentence)


def _broken(error: Exception) -> Response:
    original: Any = error.original_exception if isinstance(error, InternalServerError) else error
    if isinstance(original, _GONE):  # while the page of a refusal was drawn
        return _database(original)
    if isinstance(original, DBAPIError):
        faults.note(original)
    if isinstance(original, ProgrammingError):  # a column that is not there (yet)
        _end_transaction()
        if faults.schema_problem():
            return _database(original)
    log.error("broken", exc_info=original or error, extra={"path": request.path})
    signin.forget()
    _end_transaction()
    reference = g.get("request_id", "")[:8]
    if problems.is_for_a_program():
        return problems.answer(500, f"Something went wrong. Give an admin this reference: {reference}.",
                               reference=reference)  # fmt: skip
    if htmx.is_fragment():
        sentence = (
            f"Something went wrong. Your text is still here. Try again, or give an admin this reference: {reference}."
        )
        return answer(500, sentence)
    again = request.path if request.method == "GET" else "/"
    reads = request.method in SAFE
    body = render_template("errors/500.html", when="", reference=reference, again_url=again, reads=reads)
    return make_response(body, 500)


def _close_session(_error: BaseException | None) -> None:
    """Close the session here, so that a connection lost after rendering does not replace the response with a bare
    "Internal Server Error"."""
    try:
        db.session.remove()
    except SQLAlchemyError:
        db.session.remove()


def _end_transaction() -> None:
    try:
        db.session.rollback()
    except SQLAlchemyError:
        # The connection is gone; render the page without the database, as signed out.
        db.session.remove()
        signin.forget()
