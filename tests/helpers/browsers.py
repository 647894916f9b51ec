"""Browsers of tests: requests run as in a server, forms carry their CSRF token."""

from __future__ import annotations

import contextvars
import re
import secrets
from typing import Any

from flask import Flask, has_app_context
from flask import session as flask_session
from flask.testing import FlaskClient
from flask_wtf.csrf import generate_csrf

from tests.helpers import factories
from webapp.extensions import db
from webapp.models import Person


class Client(FlaskClient):
    """Requests run as in a server: not inside the test's own app context, whose `g` and session they would share."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        if has_app_context():
            # A transaction that the test left open would hold up the request on SQLite.
            db.session.rollback()
        answer = contextvars.Context().run(super().open, *args, **kwargs)
        if answer.mimetype == "text/html":
            _check_forms(answer.text)
        return answer


def _check_forms(page: str) -> None:
    """Tests send the CSRF token by themselves, so that a page which forgets it would not be noticed."""
    for form in re.findall(r"<form\b.*?</form>", page, re.S):
        if re.match(r"""[^>]*\smethod=["']?post\b""", form, re.I):
            assert 'name="csrf_token"' in form, form


class Browser:
    """A test client that keeps one person signed in and sends the CSRF token with each form, as a page would."""

    def __init__(self, app: Flask, person: Person | None = None) -> None:
        self.app = app
        self.client = app.test_client()
        if person is not None:
            self.sign_in(person)

    def sign_in(self, person: Person) -> None:
        public_id = factories.session_of(person)
        with self.client.session_transaction() as session:
            session["_user_id"] = public_id
            session["csrf_token"] = secrets.token_hex(20)

    def token(self) -> str:
        with self.client.session_transaction() as session:
            raw = session.setdefault("csrf_token", secrets.token_hex(20))
        return contextvars.Context().run(self._sign, raw)

    def _sign(self, raw: str) -> str:
        with self.app.test_request_context():
            flask_session["csrf_token"] = raw
            return str(generate_csrf())

    def get(self, path: str, *, htmx: bool = False, **kwargs: Any) -> Any:
        return self.client.get(path, headers=_headers(htmx), **kwargs)

    def post(self, path: str, data: dict[str, Any] | None = None, *, htmx: bool = False, **kwargs: Any) -> Any:
        return self.client.post(
            path, data={"csrf_token": self.token(), **(data or {})}, headers=_headers(htmx), **kwargs
        )


def _headers(htmx: bool) -> dict[str, str]:
    return {"HX-Request": "true", "Sec-Fetch-Site": "same-origin"} if htmx else {}
