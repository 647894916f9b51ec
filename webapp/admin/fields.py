"""The typed fields of an app: create, edit, order, archive and restore."""

from flask import abort, request
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.models import App, EntitlementField
from webapp.operations import entitlements
from webapp.operations.errors import Conflict, Invalid
from webapp.web.reauth import require_recent_password
from webapp.web.signin import me, owners_of_app

from .apps import change
from .forms import CHANGED, AppPage, stamp
from .views import bp


@bp.post("/apps/<public_id>/fields")
@owners_of_app
@require_recent_password
def add_field(public_id: str) -> AnyResponse:
    """Create a field that the requester sets; the rest is edited in the field afterwards."""
    form = request.form

    def act(app: App, page: AppPage) -> str:
        options = form.get("options", "").splitlines()[:200]
        row = entitlements.create(app, name=form.get("name", ""), kind=form.get("kind", ""), options=options,
                                  actor=me(), now=clock.now())  # fmt: skip
        return row.public_id

    return change("fields", public_id, act, at="name", item="new")


@bp.post("/apps/<public_id>/fields/order")
@owners_of_app
@require_recent_password
def order_fields(public_id: str) -> AnyResponse:
    """Set the order: the public ids of all fields, separated by spaces."""
    order = request.form.get("order", "").split()[:100]

    def act(app: App, page: AppPage) -> None:
        entitlements.order(app, order, actor=me(), now=clock.now())

    return change("fields", public_id, act, at="order", item=request.form.get("moved", "") or "order")


@bp.post("/apps/<public_id>/fields/<field_id>/<part>")
@owners_of_app
@require_recent_password
def edit_field(public_id: str, field_id: str, part: str) -> AnyResponse:
    """Change one part of a field: name, options, default, help, required. `was` is the value in the form."""
    form = request.form
    if part not in PARTS:
        abort(404)
    wanted: object = form.get(part, "")
    if part == "required":
        wanted = form.get(part) == "1"
    elif part == "options":
        wanted = form.get(part, "").splitlines()[:200]
    elif part == "default":
        wanted = form.getlist(part)[:200]

    def act(app: App, page: AppPage) -> None:
        row = next((one for one in page.fields if one.public_id == field_id and one.archived_at is None), None)
        present = part_of(row, part) if row is not None else None
        if row is not None and wanted != present and form.get("was", "") != stamp({part: present}):
            raise Conflict(CHANGED)
        try:
            entitlements.edit(app, field_id, actor=me(), now=clock.now(), **{part: wanted})
        except Invalid as error:
            # Each part is saved by itself, so every error belongs to it, as options that lack the default.
            raise Invalid(**{part: str(error)}) from None

    return change("fields", public_id, act, at=part, item=field_id)


PARTS = ("name", "options", "default", "help", "required")


def part_of(row: EntitlementField, part: str) -> object:
    """The value as its form sends it."""
    field = entitlements.frozen(row)
    if part == "default":
        return entitlements.typed(field)
    return list(field.options) if part == "options" else getattr(field, part)


@bp.post("/apps/<public_id>/fields/<field_id>/archive")
@owners_of_app
@require_recent_password
def archive_field(public_id: str, field_id: str) -> AnyResponse:
    def act(app: App, page: AppPage) -> None:
        entitlements.archive(app, field_id, actor=me(), now=clock.now())

    return change("fields", public_id, act, at="archive", item=field_id)


@bp.post("/apps/<public_id>/fields/<field_id>/restoration")
@owners_of_app
@require_recent_password
def restore_field(public_id: str, field_id: str) -> AnyResponse:
    def act(app: App, page: AppPage) -> None:
        entitlements.restore(app, field_id, actor=me(), now=clock.now())

    return change("fields", public_id, act, at="restore", item=field_id)
