"""The typed fields of an app: create, edit, order, archive and restore."""

from collections.abc import Sequence
from typing import Any

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.fresh import fresh
from webapp.models import App
from webapp.operations import entitlements
from webapp.operations.errors import Invalid
from webapp.signin import keepers, me
from webapp.text import one_line
from webapp.workflow.policy import Approver

from .apps import change
from .forms import AppPage
from .views import bp


def _typed() -> dict[str, Any]:
    form = request.form
    return {
        "name": form.get("name", ""),
        "options": form.get("options", "").splitlines()[:200],
        "required": form.get("required") == "1",
        "default": form.getlist("default")[:200],
        "help": form.get("help", ""),
    }


def _listed(text: str, options: Sequence[str]) -> list[str]:
    """Choices with commas between, where the choices are not there to be ticked yet; one may have a comma itself."""
    return [text] if one_line(text) in map(one_line, options) else text.split(",")


@bp.post("/apps/<public_id>/fields")
@keepers
@fresh
def add_field(public_id: str) -> AnyResponse:
    """A new field. `setter` is who sets it: "nobody", "requester", or a step's value."""
    kind, setter = request.form.get("kind", ""), request.form.get("setter", "nobody")
    typed = _typed()
    if kind == "choices":
        typed["default"] = _listed(request.form.get("default", ""), typed["options"])

    def act(app: App, page: AppPage) -> None:
        writer: Approver | None = None
        if setter not in ("nobody", "requester"):
            writer = page.step(setter)
        entitlements.create(
            app, kind=kind, **typed, requester="write" if setter == "requester" else "hidden", writer=writer,
            actor=me(), now=clock.now(),
        )  # fmt: skip

    return change("fields", public_id, act, at="required", mark="new")


@bp.post("/apps/<public_id>/fields/order")
@keepers
@fresh
def order_fields(public_id: str) -> AnyResponse:
    """The whole order: each field's public id, with spaces between."""
    order = request.form.get("order", "").split()[:100]

    def act(app: App, page: AppPage) -> None:
        entitlements.order(app, order, actor=me(), now=clock.now())

    return change("fields", public_id, act, at="order", mark=request.form.get("moved", "") or "order")


@bp.post("/apps/<public_id>/fields/<field_id>")
@keepers
@fresh
def edit_field(public_id: str, field_id: str) -> AnyResponse:
    """All of one field but its kind."""

    def act(app: App, page: AppPage) -> None:
        requester = request.form.get("requester", "")
        if not requester:
            raise Invalid(requester="Choose one of the three.")
        entitlements.edit(app, field_id, **_typed(), requester=requester, actor=me(), now=clock.now())

    return change("fields", public_id, act, at="required", mark=field_id)


@bp.post("/apps/<public_id>/fields/<field_id>/archive")
@keepers
@fresh
def archive_field(public_id: str, field_id: str) -> AnyResponse:
    def act(app: App, page: AppPage) -> None:
        entitlements.archive(app, field_id, actor=me(), now=clock.now())

    return change("fields", public_id, act, at="archive", mark=field_id)


@bp.post("/apps/<public_id>/fields/<field_id>/restoration")
@keepers
@fresh
def restore_field(public_id: str, field_id: str) -> AnyResponse:
    def act(app: App, page: AppPage) -> None:
        entitlements.restore(app, field_id, actor=me(), now=clock.now())

    return change("fields", public_id, act, at="restore", mark=field_id)
