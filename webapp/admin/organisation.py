"""The organisation's own settings: its name, time zone, how its emails are signed, and its logo."""

from typing import Any

from flask import Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.delivery.mail.mime import sender_address
from webapp.models import Organisation
from webapp.operations import organisation as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries.organisation import load
from webapp.text import clean, one_line
from webapp.web import pictures
from webapp.web.reauth import require_recent_password
from webapp.web.signin import admins, me
from webapp.zones import time_zones

from .forms import stamp
from .views import bp, commit, fragment, go, undo

CHANGED = "Someone else changed this. Your text is still here. Save again to overwrite."


@bp.get("/organisation")
@admins
def organisation() -> Response:
    """What people see of the organisation, and how its emails are signed."""
    return _page(_values(load()), {}, 200)


@bp.post("/organisation")
@admins
@require_recent_password
def change_organisation() -> AnyResponse:
    """`was` is what the form was drawn with."""
    form, ours = request.form, load(hold=True)
    values: dict[str, Any] = {key: one_line(form.get(key, "")) for key in ("name", "time_zone", "sender")}
    values["outcome_domains"] = clean(form.get("outcome_domains", ""))
    if form.get("was") != stamp(dict(_values(ours))):
        return _page(values, {"name": CHANGED}, 409)
    try:
        operations.change(ours, **values, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _page(values, error.fields, 422)
    commit()
    return go(url_for("admin.organisation"), "Settings saved.")


@bp.post("/organisation/logo")
@admins
@require_recent_password
def upload_logo() -> AnyResponse:
    """Replaces the logo. `was` is the logo that the form was drawn with."""
    logo, refusal = pictures.uploaded()
    return _change_logo(logo, refusal, "Logo saved.")


@bp.post("/organisation/logo/removal")
@admins
@require_recent_password
def remove_logo() -> AnyResponse:
    """Pages show Countersign's own mark again."""
    return _change_logo(b"", "", "Logo removed.")


def _change_logo(logo: bytes, refusal: str, message: str) -> AnyResponse:
    ours = load(hold=True)
    try:
        if refusal:
            raise Invalid(picture=refusal)
        if request.form.get("was") != ours.logo_hash:
            raise Conflict("Someone else changed the logo. Check it, then upload yours again to replace it.")
        operations.change_logo(ours, logo or None, actor=me(), now=clock.now())
    except (Invalid, Conflict) as error:
        undo()
        return _page(_values(load()), {"picture": str(error)}, 409 if isinstance(error, Conflict) else 422)
    commit()
    return go(url_for("admin.organisation") + "#logo", message)


def _values(ours: Organisation) -> dict[str, str]:
    return {
        "name": ours.name,
        "time_zone": ours.time_zone,
        "sender": ours.sender,
        "outcome_domains": ", ".join(ours.outcome_domains.split()),
    }


def _page(values: dict[str, str], errors: dict[str, str], status: int) -> Response:
    ours = load()
    return fragment(
        "admin/organisation.html",
        status,
        values=values,
        errors=errors,
        was=stamp(dict(_values(ours))),
        ours=ours,
        regions=time_zones(),
        sender_address=sender_address(),
        picture_limit=pictures.BYTES,
    )
