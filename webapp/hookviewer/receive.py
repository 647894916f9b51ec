"""The receiver of the webhook viewer. It does what a receiver has to: it checks the signature, the time and the id."""

from __future__ import annotations

import json
from pathlib import Path

from flask import Blueprint, Response, current_app, request
from standardwebhooks import Webhook, WebhookVerificationError

from webapp import clock
from webapp.database.transactions import reading
from webapp.embedded import hookstore
from webapp.encryption import Unreadable, decrypt
from webapp.extensions import csrf, settings
from webapp.models import Endpoint
from webapp.networks import VIEWER_PATH, viewer
from webapp.queries import endpoints
from webapp.text import storable
from webapp.web import incoming
from webapp.web.signin import anyone

bp = Blueprint("hookviewer", __name__)
# Headers that are kept and shown.
_SHOWN = ("content-type", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature")


@bp.post(VIEWER_PATH)
@anyone
def receive() -> Response:
    """Keeps a call that one of our endpoints made; refuses every other."""
    body = request.get_data().decode(errors="replace")
    if incoming.fault(body) or storable(body) is not body:
        return Response("This cannot be read.\n", 400, mimetype="text/plain")
    with reading():
        known = _known()
    headers = {name: request.headers.get(name, "")[:400] for name in _SHOWN}
    for endpoint, secrets in known:
        if endpoint.is_chat:
            _store(endpoint, "chat", headers, body, "")
            return Response("ok\n", mimetype="text/plain")
        for secret in secrets:
            try:
                Webhook(secret).verify(body, dict(request.headers), json_parse=False)
            except (WebhookVerificationError, ValueError):
                continue
            _store(endpoint, str(json.loads(body).get("type", "")), headers, body, secret[-4:])
            return Response("ok\n", mimetype="text/plain")
    return Response("No secret of ours fits this signature, or it is too old.\n", 400, mimetype="text/plain")


csrf.exempt(receive)  # it reads no cookie: what comes is signed


def _known() -> list[tuple[Endpoint, list[str]]]:
    """The endpoints whose address this is, with their secrets."""
    query = f"?{request.query_string.decode('latin1')}" if request.query_string else ""
    here = viewer(settings().base_url) + query
    rows = [row.endpoint for chat in (False, True) for row in endpoints.all_of(chat=chat)]
    found = []
    for endpoint in rows:
        try:
            if decrypt(endpoint.address) == here:
                found.append((endpoint, [decrypt(one.secret) for one in endpoints.secrets_of(endpoint)]))
        except Unreadable:
            continue
    return found


def _store(endpoint: Endpoint, event: str, headers: dict[str, str], body: str, secret: str) -> None:
    sent = headers["webhook-timestamp"]
    seconds = round(clock.now().timestamp() - int(sent), 1) if sent.isdecimal() and len(sent) < 12 else None
    hookstore.store(folder(), endpoint=str(endpoint.name), event=event, message_id=headers["webhook-id"],
                    headers=headers, body=body, seconds=seconds, secret=secret)  # fmt: skip


def folder() -> Path:
    """Where the calls are kept."""
    found: Path = current_app.extensions["settings"].data / "webhooks"
    return found
