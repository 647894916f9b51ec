"""Checks of every request before its view, and headers of every response."""

from urllib.parse import quote, urlsplit

from flask import Flask, Response, abort, make_response, request
from werkzeug.exceptions import SecurityError

from webapp import hosts
from webapp.database.transactions import choose
from webapp.extensions import settings
from webapp.runtime.jsonlog import mask
from webapp.web import htmx

SAFE = ("GET", "HEAD", "OPTIONS")
LONGEST_PATH = 2000
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def init(app: Flask) -> None:
    app.before_request(choose_transaction_mode)
    app.before_request(refuse_other_hosts)
    app.before_request(refuse_cross_site)
    app.after_request(set_headers)


def choose_transaction_mode() -> None:
    """Unsafe methods write from their first statement on; GET and HEAD cannot write."""
    choose("read" if request.method in SAFE else "write")


def refuse_other_hosts() -> None:
    """Refuse hosts that are not in the settings, in any spelling. Werkzeug's own check does not handle IPv6, capital
    letters or a trailing dot."""
    host, port = hosts.canonical_netloc(request.host)
    if not host or not hosts.is_trusted(host, settings().trusted_hosts):
        raise SecurityError("This host is not one of the settings.")
    request.host = host + port


def refuse_cross_site() -> None:
    """An unsafe request that another site made is refused, whatever token it carries.

    It replaces Flask-WTF's Referer check, which pages without a Referer would fail.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if request.method not in SAFE and site not in (None, "same-origin", "none"):
        abort(
            403,
            "This request came from another website, so it was blocked. Open the page in Countersign and try again.",
        )


def set_headers(response: Response) -> Response:
    headers = response.headers
    if mask(request.path) != request.path:
        hide_from_caches_and_referers(response)  # also errors at such an address
    headers.setdefault("Content-Security-Policy", CSP)
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cache-Control", "no-store")
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=()"
    if settings().secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return htmx.vary(response)


def hide_from_caches_and_referers(response: Response) -> Response:
    """For responses whose address is a secret, as behind emailed links; `set_headers` calls it for them."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def local_path(target: str | None, otherwise: str = "/") -> str:
    """`target` if it is a path of ours, else `otherwise`: what `next` may hold."""
    if not target or len(target) > LONGEST_PATH or not target.startswith("/") or target.startswith("//"):
        return otherwise
    # Browsers drop tabs and line ends and treat a backslash as a slash, which turns a path into another host.
    if "\\" in target or any(ord(sign) < 33 or ord(sign) == 127 for sign in target):
        return otherwise
    return target


def own_path(address: str | None, otherwise: str = "/") -> str:
    """The path and query of an address of this site (a Referer, say), else `otherwise`."""
    try:
        parts = urlsplit(address or "")
    except ValueError:
        return otherwise
    if parts.scheme not in ("http", "https") or "".join(hosts.canonical_netloc(parts.netloc)) != request.host:
        return otherwise
    return local_path(f"{parts.path}?{parts.query}" if parts.query else parts.path, otherwise)


def here() -> str:
    """This request's own path and query, as the browser wrote them."""
    path = quote(request.path, safe="/~:@!$&'()*+,;=-._")
    query = request.query_string.decode("latin1")
    return local_path(f"{path}?{query}" if query else path)


def uploaded_picture(body: bytes, content_type: str, name: str) -> Response:
    """A picture that someone uploaded: kept by the browser for a year; opened by itself it can do nothing.
    Its address changes with its content."""
    response = make_response(body)
    response.content_type = content_type
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    response.headers["Content-Disposition"] = f'inline; filename="{name}"'
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
