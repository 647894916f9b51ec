"""One webhook or chat channel: its deliveries, its settings, its secrets, and one delivery."""

import json
from typing import Any

from flask import Response, abort, flash, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.delivery.out.deliveries import KEPT_DAYS, TRIES
from webapp.models import Endpoint, EndpointSecret
from webapp.operations import endpoints as operations
from webapp.operations import held_deliveries
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import app_list, delivery_lines
from webapp.queries import endpoints as queries
from webapp.queries.delivery_lines import DeliveryCase
from webapp.queries.endpoints import EndpointLine, secrets_of
from webapp.web import htmx
from webapp.web.presentation import now
from webapp.web.reauth import require_recent_password
from webapp.web.security import hide_from_caches_and_referers
from webapp.web.signin import admins, me
from webapp.wording import count

from . import endpoint_forms as forms
from .endpoint_forms import EndpointForm
from .forms import stamp
from .views import bp, commit, fragment, go, list_query, undo

CHANGED = "Someone else changed this. Your text is still here. Save again to overwrite."


@bp.get("/endpoints/<public_id>")
@admins
def endpoint(public_id: str) -> Response:
    """Its deliveries first, then its settings."""
    line = _line(public_id, removed=True)
    if line.endpoint.removed_at is not None:
        return fragment("admin/endpoint_removed.html", **_deliveries(line), kept=KEPT_DAYS)
    if htmx.is_fragment():
        return fragment("admin/_deliveries.html", **_deliveries(line))
    return _page(public_id)


@bp.post("/endpoints/<public_id>")
@admins
@require_recent_password
def change_endpoint(public_id: str) -> AnyResponse:
    """Saves its settings; `was` is what the form was drawn with."""
    line = _line(public_id)
    form = forms.typed(line.endpoint.kind)
    if forms.is_choosing():
        undo()
        return _page(public_id, form=forms.typed(form.kind), was=request.form.get("was", ""))
    if request.form.get("was") != _was(line.endpoint):
        return _page(public_id, 409, form=form, errors={"name": CHANGED})
    try:
        operations.change(line.endpoint, **forms.meant(form, new=False), actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _page(public_id, 422, form=form, errors=error.fields)
    commit()
    return go(_home(public_id) + "#settings", "Saved.")


@bp.post("/endpoints/<public_id>/pause")
@admins
@require_recent_password
def pause_endpoint(public_id: str) -> AnyResponse:
    """Pauses sending until it is resumed."""
    endpoint = _line(public_id).endpoint
    operations.pause(endpoint, actor=me(), now=clock.now())
    return _done(endpoint, "{name} is paused. What happens meanwhile waits.")


@bp.post("/endpoints/<public_id>/resumption")
@admins
@require_recent_password
def resume_endpoint(public_id: str) -> AnyResponse:
    """Resumes sending; what waits is sent now."""
    endpoint = _line(public_id).endpoint
    operations.resume(endpoint, actor=me(), now=clock.now())
    return _done(endpoint, "{name} is in use again. What waited is sent now.")


@bp.post("/endpoints/<public_id>/test")
@admins
def test_endpoint(public_id: str) -> AnyResponse:
    """Sends an event that says only that it is a test."""
    endpoint = _line(public_id).endpoint
    operations.send_test(endpoint, actor=me(), now=clock.now())
    return _done(endpoint, "A test is on its way to {name}.")


def _done(endpoint: Endpoint, message: str) -> AnyResponse:
    location, words = _home(endpoint.public_id), message.format(name=endpoint.name)
    commit()
    return go(location, words)


@bp.get("/endpoints/<public_id>/removal")
@admins
def endpoint_to_remove(public_id: str) -> Response:
    """The dialog that asks before it is removed."""
    line = _line(public_id)
    if htmx.is_fragment():
        return fragment("admin/_endpoint_removal.html", line=line)
    return _page(public_id, modal="removal")


@bp.post("/endpoints/<public_id>/removal")
@admins
@require_recent_password
def remove_endpoint(public_id: str) -> AnyResponse:
    """Removes it: no further event is sent to it."""
    endpoint = _line(public_id).endpoint
    operations.remove(endpoint, actor=me(), now=clock.now())
    home = url_for("admin.chat" if endpoint.is_chat else "admin.webhooks")
    message = f"{endpoint.name} removed."
    commit()
    return go(home, message)


# ---------- Secrets ----------


@bp.post("/endpoints/<public_id>/secrets")
@admins
@require_recent_password
def change_secret(public_id: str) -> AnyResponse:
    """Makes a new secret and shows it, once; the one before is valid for a while, and until then there is no third."""
    endpoint = _line(public_id).endpoint
    _, secret = operations.rotate_secret(endpoint, actor=me(), now=clock.now())
    commit()
    return hide_from_caches_and_referers(secret_page(public_id, secret))


@bp.post("/endpoints/<public_id>/secrets/<secret_id>/ending")
@admins
@require_recent_password
def end_secret(public_id: str, secret_id: str) -> AnyResponse:
    """Ends the old secret: it signs nothing from now on."""
    endpoint = _line(public_id).endpoint
    secret = _secret(endpoint, secret_id)
    operations.end_secret(endpoint, secret, actor=me(), now=clock.now())
    message = f"The secret …{secret.ending} has ended."
    commit()
    return go(_home(public_id) + "#secret", message)


def _secret(endpoint: Endpoint, public_id: str) -> EndpointSecret:
    for one in secrets_of(endpoint):
        if one.public_id == public_id:
            return one
    abort(404)


def secret_page(public_id: str, secret: str) -> Response:
    """The page of a webhook with its new secret in a dialog: the only time that it is shown."""
    if htmx.is_fragment():
        return fragment("admin/_endpoint_secret.html", 200, line=_line(public_id), secret=secret)
    return _page(public_id, modal="secret", secret=secret)


# ---------- One delivery ----------


@bp.get("/endpoints/<public_id>/deliveries/<delivery_id>")
@admins
def delivery(public_id: str, delivery_id: str) -> Response:
    """What is sent, what was answered, each attempt, and what waits for it."""
    line = _line(public_id, removed=True)
    found = _delivery(line.endpoint, delivery_id)
    return fragment("admin/delivery.html", line=line, case=found, body=_readable(found.line.delivery.body), most=TRIES,
                    now=now())  # fmt: skip


@bp.post("/endpoints/<public_id>/deliveries/<delivery_id>/sending")
@admins
def send_delivery_again(public_id: str, delivery_id: str) -> AnyResponse:
    """Sends the same message once more."""
    line = _line(public_id, removed=True)
    found = _delivery(line.endpoint, delivery_id)
    try:
        operations.send_again(found.line.delivery, line.endpoint, actor=me(), now=clock.now())
    except Conflict as error:
        return _delivery_refused(public_id, delivery_id, error)
    commit()
    return go(_delivery_url(public_id, delivery_id), "It is being sent again.")


@bp.post("/endpoints/<public_id>/deliveries/<delivery_id>/dropping")
@admins
def drop_delivery(public_id: str, delivery_id: str) -> AnyResponse:
    """Discard a delivery that is on hold after a restore, because it had been sent before."""
    line = _line(public_id, removed=True)
    found = _delivery(line.endpoint, delivery_id)
    try:
        held_deliveries.discard(line.endpoint, found.line.delivery, actor=me(), now=clock.now())
    except Conflict as error:
        return _delivery_refused(public_id, delivery_id, error)
    commit()
    return go(_delivery_url(public_id, delivery_id), "Delivery discarded.")


def _delivery_refused(public_id: str, delivery_id: str, error: Conflict) -> AnyResponse:
    undo()
    flash(str(error), "error")
    return go(_delivery_url(public_id, delivery_id))


def _delivery_url(public_id: str, delivery_id: str) -> str:
    return url_for("admin.delivery", public_id=public_id, delivery_id=delivery_id)


@bp.post("/endpoints/<public_id>/held/sending")
@admins
def send_held_deliveries(public_id: str) -> AnyResponse:
    """Release everything that is on hold for it after a restore."""
    endpoint = _line(public_id).endpoint
    number = held_deliveries.let_go(endpoint, actor=me(), now=clock.now())
    return _done(endpoint, f"{count(number, 'delivery', 'deliveries')} released, and sent in order.")


@bp.post("/endpoints/<public_id>/held/dropping")
@admins
def drop_held_deliveries(public_id: str) -> AnyResponse:
    """Discard everything that is on hold for it after a restore."""
    endpoint = _line(public_id).endpoint
    number = held_deliveries.discard(endpoint, None, actor=me(), now=clock.now())
    return _done(endpoint, f"{count(number, 'delivery', 'deliveries')} discarded.")


def _delivery(endpoint: Endpoint, public_id: str) -> DeliveryCase:
    found = delivery_lines.case_of(endpoint, public_id)
    if found is None:
        abort(404)
    return found


def _readable(body: str) -> str:
    """The same JSON on several lines."""
    return json.dumps(json.loads(body), indent=2, ensure_ascii=False)


# ---------- For all of it ----------


def _line(public_id: str, *, removed: bool = False) -> EndpointLine:
    line = queries.find(public_id, removed=removed)
    if line is None:
        abort(404)
    return line


def _home(public_id: str) -> str:
    return url_for("admin.endpoint", public_id=public_id)


def _was(endpoint: Endpoint) -> str:
    return stamp({
        "name": endpoint.name, "events": endpoint.event_list, "apps": list(endpoint.app_ids), "host": endpoint.host,
        "category": endpoint.category, "texts": endpoint.with_texts,
    })  # fmt: skip


def _deliveries(line: EndpointLine) -> dict[str, Any]:
    where = list_query(*delivery_lines.STATES)
    page = delivery_lines.page(line.endpoint, state=where.state, after=where.after, before=where.before)
    counts = {"retried": line.retried, "waiting": line.waiting, "dead": line.dead, "held": line.held}
    # Hardly anybody ever restores a backup.
    states = {
        key: words for key, words in delivery_lines.STATES.items() if key != "held" or line.held or where.state == key
    }
    return {"line": line, "page": page, "list_query": where, "states": states, "counts": counts, "now": now()}


def _page(
    public_id: str, status: int = 200, *, form: EndpointForm | None = None, errors: dict[str, str] | None = None,
    was: str = "", **values: Any,
) -> Response:  # fmt: skip
    line = _line(public_id)
    endpoint = line.endpoint
    return fragment(
        "admin/endpoint.html",
        status,
        **_deliveries(line),
        form=form or forms.stored(line),
        errors=errors or {},
        choices=forms.choices(endpoint.kind),
        categories=[] if endpoint.is_chat else app_list.categories(),
        secrets=[] if endpoint.is_chat else secrets_of(endpoint),
        was=was or _was(endpoint),
        kept=KEPT_DAYS,
        **values,
    )
