"""A preview of the messages to a chat channel, made by the code that makes the real ones. Nothing is stored or sent."""

import json
from datetime import timedelta

from flask import Response, abort, request, url_for

from webapp.delivery.out import chat
from webapp.events_out import TOPICS
from webapp.models import Endpoint
from webapp.operations.endpoints import KINDS
from webapp.queries import endpoints as queries
from webapp.queries import organisation, picker
from webapp.queries.endpoints import EndpointLine
from webapp.times import Times, zone
from webapp.web.presentation import now
from webapp.web.signin import admins, me
from webapp.wording import waiting_for
from webapp.workflow.states import Tier

from .views import bp, fragment

CHAT_KINDS = {kind: words for kind, words in KINDS.items() if kind != "webhook"}


@bp.get("/chat/preview")
@admins
def preview_chat() -> Response:
    """One message: of the topic `topic`, for Slack or Teams (`kind`), with what people wrote (`texts`), and to the
    channel `channel`, if it is about one."""
    given = request.args
    line = queries.find(given["channel"], chat=True) or abort(404) if given.get("channel") else None
    endpoint = line.endpoint if line is not None else None
    kind = given.get("kind", "slack") if endpoint is None else endpoint.kind
    topic = given.get("topic", "waiting")
    if kind not in CHAT_KINDS or topic not in TOPICS:
        abort(404)
    with_texts = endpoint.with_texts if endpoint is not None else given.get("texts") == "1"
    message = _example(line, topic, with_texts=with_texts)
    return fragment(
        "admin/chat_preview.html", line=line, kind=kind, kinds=CHAT_KINDS, topic=topic, topics=TOPICS,
        with_texts=with_texts, message=message, skipped=endpoint is not None and _is_left_out(endpoint, topic),
        body=json.dumps(json.loads(chat.render(kind, message)), indent=2, ensure_ascii=False),
        all=url_for("admin.chat"),
    )  # fmt: skip


def _is_left_out(endpoint: Endpoint, topic: str) -> bool:
    return bool(endpoint.events) and topic not in endpoint.events


def _example(line: EndpointLine | None, topic: str, *, with_texts: bool) -> chat.Message:
    """With the names of the house: an app of it, who looks as the requester, and for whom the channel is."""
    app = line.app if line is not None else None
    known = picker.found((), ("app",)) if app is None else []
    name = str(app.name) if app is not None else known[0].name if known else "an app"
    holder = line.person or line.group if line is not None else None
    tier = Tier.ADMINS if holder is None else Tier.APPROVER
    waits = waiting_for(tier, "" if holder is None else str(holder.name))
    until = Times(zone(organisation.time_zone()), now()).due(now() + timedelta(days=3))
    return chat.example(topic, app=name, person=me().name, waits=waits, by=me().name, until=until,
                        with_texts=with_texts)  # fmt: skip
