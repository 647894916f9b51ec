"""An app's uploaded picture."""

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.models import App
from webapp.operations import icons
from webapp.operations.errors import Conflict, Invalid
from webapp.web import pictures
from webapp.web.reauth import require_recent_password
from webapp.web.signin import me, owners_of_app

from .apps import change
from .forms import SETTINGS, AppPage, stamp
from .views import bp


@bp.post("/apps/<public_id>/picture")
@owners_of_app
@require_recent_password
def upload_picture(public_id: str) -> AnyResponse:
    """Replaces the icon. `was` is the icon that the form was drawn with."""
    picture, refusal = pictures.uploaded()

    def act(app: App, page: AppPage) -> None:
        if refusal:
            raise Invalid(picture=refusal)
        if request.form.get("was") != stamp(SETTINGS["icon"].current(page)):
            raise Conflict("Someone else changed the icon. Upload your picture again to replace it.")
        icons.upload(app, picture, pictures.CONTENT_TYPE, actor=me(), now=clock.now())

    return change("icon", public_id, act, at="picture", item="picture")
