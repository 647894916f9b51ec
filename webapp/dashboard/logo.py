"""The organisation's logo, at the head of each page."""

from flask import Response, abort, make_response, request

from webapp import pictures
from webapp.extensions import db
from webapp.models import Organisation
from webapp.signin import people

from .views import bp


@bp.get("/logo")
@people
def logo() -> Response:
    """At the address that `Organisation.logo_url` gives it."""
    found = db.session.query(Organisation.logo, Organisation.logo_hash).first()
    if found is None or found.logo is None or request.args.get("v") != found.logo_hash[:16]:
        abort(404)
    response = make_response(found.logo)
    response.content_type = pictures.CONTENT_TYPE
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    response.headers["Content-Disposition"] = 'inline; filename="logo.webp"'
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
