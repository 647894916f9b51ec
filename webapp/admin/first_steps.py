"""The first steps of a new installation, each with its state; and the start page of the admin area."""

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
    """Redirect admins to the first steps until they are done or hidden, then to the overview; owners to their apps."""
    if not me().is_admin:
        return redirect(url_for("admin.apps"))
    return redirect(url_for("admin.overview" if queries.read().is_over else "admin.first_steps"))


@bp.get("/first-steps")
@admins
def first_steps() -> Response:
    """The steps: email, people, the first app, the first request."""
    here = settings()
    server = "" if here.mailbox else f"{here.mail_server}:{here.mail_port}"
    return fragment("admin/first_steps.html", steps=queries.read(), server=server)


@bp.post("/first-steps/hiding")
@admins
def hide_first_steps() -> AnyResponse:
    """Hide the first steps: the Admin link leads to the overview from now on."""
    operations.hide_first_steps(db.session.get_one(Organisation, 1), actor=me(), now=clock.now())
    commit()
    return go(url_for("admin.overview"), "Admin now opens the overview.")
