"""The organisation's logo, at the head of each page."""

from flask import Response, abort, request

from webapp.extensions import db
from webapp.models import Organisation
from webapp.web import pictures
from webapp.web.security import uploaded_picture
from webapp.web.signin import people

from .views import bp


@bp.get("/logo")
@people
def logo() -> Response:
    """At the address that `Organisation.logo_url` gives it."""
    found = db.session.query(Organisation.logo, Organisation.logo_hash).first()
    if found is None or found.logo is None or request.args.get("v") != found.logo_hash[:16]:
        abort(404)
    return uploaded_picture(found.logo, pictures.CONTENT_TYPE, "logo.webp")
