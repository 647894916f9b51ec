"""The pages of the webhook viewer, beside the Mailbox: what came, and how a receiver checks it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from flask import Response, abort, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.embedded import hookstore
from webapp.embedded.hookstore import StoredHook
from webapp.queries import organisation
from webapp.times import Times, zone
from webapp.web import framed
from webapp.web.signin import anyone, signed_in

from .receive import bp, folder

CHAT = "chat"


@bp.get("/webhook-viewer")
@anyone
def hooks() -> Response:
    """The list with its newest event opened."""
    return _show(None)


@bp.get("/webhook-viewer/<hook_id>")
@anyone
def hook(hook_id: str) -> Response:
    """The list with one event opened."""
    return _show(hookstore.find(folder(), hook_id) or abort(404))


@bp.get("/webhook-viewer/<hook_id>/body")
@anyone
def hook_body(hook_id: str) -> Response:
    """The bytes that were signed, as text."""
    found = hookstore.find(folder(), hook_id) or abort(404)
    return framed.private(Response(found.body, mimetype="text/plain"))


@bp.post("/webhook-viewer/emptying")
@anyone
def empty_viewer() -> AnyResponse:
    """Remove every event."""
    hookstore.empty(folder())
    return redirect(url_for("hookviewer.hooks"), code=303)


def _show(opened: StoredHook | None) -> Response:
    chosen = {
        name: value for name in ("q", "event", "before", "after") if (value := request.args.get(name, "").strip()[:200])
    }
    filters = {name: chosen[name] for name in ("q", "event") if name in chosen}
    words, event = chosen.get("q", ""), chosen.get("event", "")
    page = hookstore.page(
        folder(), words=words, event=event, before=chosen.get("before", ""), after=chosen.get("after", "")
    )
    if not page.hooks and (page.older or page.newer):
        # The events of that page were removed.
        page = hookstore.page(folder(), words=words, event=event)
    if opened is None and page.hooks:
        opened = page.hooks[0]
    user = signed_in()
    times = Times(zone(user.time_zone if user else organisation.time_zone()), clock.now())
    body = render_template(
        "hookviewer/page.html",
        page=page,
        opened=opened,
        about=_about,
        readable=json.dumps(opened.json, indent=2, ensure_ascii=False) if opened else "",
        filters=filters,
        choices=[(one, one) for one in hookstore.events(folder())],
        # Opening an event keeps the page of the list.
        place=f"?{urlencode(chosen)}" if chosen else "",
        times=times,
        is_chat=opened is not None and opened.event == CHAT,
    )
    return framed.private(make_response(body))


def _about(one: StoredHook) -> str:
    """What an event is about, in a few words: the app and the request, or the person."""
    data = one.json.get("data") if isinstance(one.json, dict) else None
    found: list[str] = []
    for part in data.values() if isinstance(data, dict) else ():
        if isinstance(part, dict):
            found += _names(part)
    return ", ".join(dict.fromkeys(found)) or one.endpoint


def _names(part: dict[str, Any]) -> list[str]:
    """The name of the app in it, and the reference of the request; else its own name."""
    app, key = part.get("app"), part.get("reference")
    names = [app.get("name")] if isinstance(app, dict) else [part.get("name")]
    return [one for one in (*names, key) if isinstance(one, str) and one]
