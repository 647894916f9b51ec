"""An email shown in a page: in a frame that runs nothing, loads nothing and reaches nothing of ours."""

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
    """What is in the frame: the HTML, or the text with links to follow."""
    if html:
        # Links open in the whole window: in the frame no page of ours would show.
        base = '<base target="_top">'
        html = _HEAD.sub(lambda head: head[0] + base, html, count=1) if _HEAD.search(html) else base + html
    else:
        html = render_template("mailbox/plain.html", text=text)
    response = make_response(html)
    response.headers["Content-Security-Policy"] = _MAIL_CSP
    return private(response)


def private(response: Response) -> Response:
    """Emails hold links and codes: kept by no cache, told to no other site."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
