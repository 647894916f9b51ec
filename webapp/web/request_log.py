"""The request log: each line has the request id, the actor, and the rows that the address names, by public ids."""

import logging
import re
import time
from itertools import pairwise

from flask import Flask, Response, g, request

from webapp.extensions import settings
from webapp.runtime import trace

log = logging.getLogger("countersign.web")

# The part of an address before an id → what it is called in a line. Never a session's, and never a link's token.
_NAMES = {
    "approvals": "access_request",
    "apps": "app",
    "catalog": "app",
    "fields": "field",
    "grants": "grant",
    "groups": "group",
    "mail": "notice",
    "members": "person",
    "people": "person",
    "requests": "access_request",
}


def init(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    # Trust the header only from our proxy: anyone else could reuse the id of another request.
    given = request.headers.get("X-Request-Id", "") if settings().trusted_proxies else ""
    g.request_id = trace.begin(given if re.fullmatch(r"[A-Za-z0-9._-]{8,64}", given) else "")
    g.began = time.perf_counter()
    trace.about(**_named())


def _named() -> dict[str, str]:
    """What the address is about."""
    parts = request.url_rule.rule.split("/") if request.url_rule is not None else []
    values = request.view_args or {}
    return {
        _NAMES[before]: str(values.get(part.strip("<>"), ""))[:32]
        for before, part in pairwise(parts)
        if part.startswith("<") and before in _NAMES
    }


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    log.info(
        "request",
        extra={
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "ms": round((time.perf_counter() - g.get("began", time.perf_counter())) * 1000, 1),
        },
    )
    trace.end()
    return response
