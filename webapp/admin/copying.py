"""Copy the rules of another app."""

from flask import request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.models import App
from webapp.operations import entitlements
from webapp.web import access, htmx
from webapp.web.reauth import require_recent_password
from webapp.web.signin import me, owners_of_app

from .apps import change
from .forms import AppPage
from .views import bp, go


@bp.post("/apps/<public_id>/rules")
@owners_of_app
@require_recent_password
def copy_rules(public_id: str) -> AnyResponse:
    """Copy steps, limits, assurance and outcomes of the app `source`; its fields only when chosen.

    An owner copies from their own apps only.
    """
    source = request.form.get("source", "")

    def act(app: App, page: AppPage) -> None:
        other, policy = access.rule_to_copy(source, app, me())
        entitlements.copy_rules(
            app, other, policy, with_fields=request.form.get("fields") == "1", actor=me(), now=clock.now()
        )

    answer = change("copy", public_id, act, at="source")
    if answer.status_code == 200 and htmx.is_fragment():
        # Most of the page has changed, so htmx loads it as a whole.
        return go(url_for("admin.app", public_id=public_id), "Rules copied. Check them before you continue.")
    return answer
