"""Cookies: their names, and the signed session cookie that several machines can read.

Over https their names begin with __Host-. Browsers take such a cookie only over https, for this host alone and for all
of its paths, so that another site below the same domain cannot replace ours.
"""

from datetime import timedelta
from typing import Any

from flask import Flask, request
from flask import Response as FlaskResponse
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from werkzeug.wrappers import Response as BaseResponse

from webapp.extensions import settings
from webapp.signing import Signer

SESSION = "countersign"


def name(plain: str, *, secure: bool) -> str:
    """The cookie's name in the browser."""
    return f"__Host-{plain}" if secure else plain


def read(plain: str) -> str:
    """What the browser sends, or ""."""
    return request.cookies.get(name(plain, secure=settings().secure), "")


def put(response: BaseResponse, plain: str, value: str, *, lasts: timedelta, path: str) -> None:
    """Sets a cookie that no script reads; `path` is where it is sent to, as far as its name allows."""
    secure = settings().secure
    response.set_cookie(
        name(plain, secure=secure), value, max_age=lasts, path="/" if secure else path, httponly=True, samesite="Lax",
        secure=secure,
    )  # fmt: skip


class Sessions(SecureCookieSessionInterface):
    def get_signing_serializer(self, app: Flask) -> Any:
        serializer = super().get_signing_serializer(app)
        if serializer is not None:
            serializer.signer = Signer
        return serializer

    def save_session(self, app: Flask, session: SessionMixin, response: FlaskResponse) -> None:
        super().save_session(app, session, response)
        if settings().secure and SESSION in request.cookies:
            response.delete_cookie(SESSION)  # the cookie of older versions, without __Host-
