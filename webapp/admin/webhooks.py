"""Settings, Webhooks and Chat: the lists, and a new one."""

from typing import Any

from flask import Response, flash, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.delivery.out.deliveries import KEPT_DAYS
from webapp.operations import endpoints as operations
from webapp.operations.errors import Invalid
from webapp.queries import app_list
from webapp.queries import endpoints as queries
from webapp.queries.endpoints import EndpointLine
from webapp.web.presentation import now
from webapp.web.reauth import require_recent_password
from webapp.web.security import hide_from_caches_and_referers
from webapp.web.signin import admins, me

from . import endpoint_forms as forms
from .endpoint_forms import EndpointForm
from .endpoints import secret_page
from .views import bp, commit, fragment, go, undo

# The address of a channel is a secret, so it is not on the page that comes back.
_AGAIN = {"address": "Enter the address again. It is not kept."}


@bp.get("/webhooks")
@admins
def webhooks() -> Response:
    """The list, with what is wrong on top."""
    lines = queries.all_of(chat=False)
    gone = queries.removed(chat=False, days=KEPT_DAYS)
    return fragment("admin/webhooks.html", lines=lines, gone=gone, kept=KEPT_DAYS, events=events_of)


@bp.get("/webhooks/new")
@admins
def new_webhook() -> Response:
    return _new(forms.blank("webhook"), {}, 200)


@bp.post("/webhooks")
@admins
@require_recent_password
def create_webhook() -> AnyResponse:
    """Adds a webhook and shows its secret, once: the same form again is refused, because its name is in use."""
    form = forms.typed("webhook")
    if forms.is_choosing():
        undo()
        return _new(forms.typed("webhook"), {}, 200)
    try:
        _refuse_taken_name(form, queries.all_of(chat=False))
        made, secret = operations.create(**forms.meant(form, new=True), actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _new(form, error.fields, 422)
    public_id = made.public_id
    commit()
    return hide_from_caches_and_referers(secret_page(public_id, secret))


def _new(form: EndpointForm, errors: dict[str, str], status: int) -> Response:
    return fragment("admin/webhook_new.html", status, **form_values(form, errors))


@bp.get("/chat")
@admins
def chat() -> Response:
    """The channels, and the form for a new one."""
    return _chat(forms.blank("slack"), {}, 200)


@bp.post("/chat")
@admins
@require_recent_password
def create_channel() -> AnyResponse:
    """Adds a channel and sends a first message to it, so that a wrong address is seen at once."""
    form = forms.typed(_kind_of_chat())
    if forms.is_choosing():
        undo()
        return _chat(forms.typed(form.kind), _AGAIN if form.address else {}, 200)
    try:
        _refuse_taken_name(form, queries.all_of(chat=True))
        made, _ = operations.create(**forms.meant(form, new=True), actor=me(), now=clock.now())
        operations.send_test(made, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _chat(form, _AGAIN | error.fields, 422)
    message = f"{made.name} added. A test message is on its way."
    location = url_for("admin.endpoint", public_id=made.public_id) + "#main"
    commit()
    flash(message)
    return go(location)


def _kind_of_chat() -> str:
    kind = request.form.get("kind", "")
    return kind if kind in ("slack", "teams") else "slack"


def _chat(form: EndpointForm, errors: dict[str, str], status: int) -> Response:
    lines = queries.all_of(chat=True)
    gone = queries.removed(chat=True, days=KEPT_DAYS)
    return fragment("admin/chat.html", status, lines=lines, gone=gone, kept=KEPT_DAYS, now=now(),
                    **form_values(form, errors))  # fmt: skip


def form_values(form: EndpointForm, errors: dict[str, str]) -> dict[str, Any]:
    """What the fields of an endpoint need."""
    return {
        "form": form,
        "errors": errors,
        "choices": forms.choices(form.kind),
        "categories": [] if form.is_chat else app_list.categories(),
    }


def _refuse_taken_name(form: EndpointForm, lines: list[EndpointLine]) -> None:
    # Admins change things one after the other, so nobody adds one of this name meanwhile.
    if any(line.endpoint.name == form.name for line in lines):
        raise Invalid(name=f"There is one named {form.name} already. Use another name.")


def events_of(line: EndpointLine) -> str:
    """Which events it is told, in a few words."""
    chosen = line.endpoint.events
    if not chosen:
        return "Everything"
    if len(chosen) > 3:
        return f"{len(chosen)} kinds of events"
    return ", ".join(chosen)
