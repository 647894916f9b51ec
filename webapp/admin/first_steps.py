"""The first steps of a new installation, each with its state; and where the admin's side begins."""

from flask import Response, redirect, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.extensions import db, settings
from webapp.models import Organisation
from webapp.operations import organisation as operations
from webapp.queries import first_steps as queries
from webapp.web.signin import admins, any_app_owner, me

from .views import bp, commit, fragment, go


@bp.get("")
@any_app_owner
def index() -> AnyResponse:
    """The first steps until they are done or hidden, then the overview; for who is no admin, the apps they own."""
    if not me().is_admin:
        return redirect(url_for("admin.apps"))
    return redirect(url_for("admin.overview" if queries.read().is_over else "admin.first_steps"))


@bp.get("/first-steps")
@admins
def first_steps() -> Response:
    """Mail, people, the first app, the first request."""
    here = settings()
    server = "" if here.mailbox else f"{here.mail_server}:{here.mail_port}"
    return fragment("admin/first_steps.html", steps=queries.read(), server=server)


@bp.post("/first-steps/hiding")
@admins
def hide_first_steps() -> AnyResponse:
    """Admin leads to the overview from now on; the page stays where it is."""
    operations.hide_first_steps(db.session.get_one(Organisation, 1), actor=me(), now=clock.now())
    commit()
    return go(url_for("admin.overview"), "Admin now opens the overview.")
