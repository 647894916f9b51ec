"""Shows an email in a sandboxed frame that cannot run scripts, load anything or reach our pages."""

import re

from flask import Response, make_response, render_template

from webapp.web.security import CSP

# For the page around the frame.
PAGE_CSP = f"{CSP}; frame-src 'self'"
# The sandbox holds for an email opened outside of our frame, too.
_MAIL_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-top-navigation-by-user-activation"
)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


def page(response: Response) -> Response:
    """The page around the frame."""
    response.headers["Content-Security-Policy"] = PAGE_CSP
    return response


def email(html: str, text: str) -> Response:
    """The content of the frame: the HTML, or the text with clickable links."""
    if html:
        # Open links in the whole window: our pages refuse to be framed.
        base = '<base target="_top">'
        html = _HEAD.sub(lambda head: head[0] + base, html, count=1) if _HEAD.search(html) else base + html
    else:
        html = render_template("mailbox/plain.html", text=text)
    response = make_response(html)
    response.headers["Content-Security-Policy"] = _MAIL_CSP
    return private(response)


def private(response: Response) -> Response:
    """Emails contain links and codes: no cache may keep them, no other site gets the address."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
