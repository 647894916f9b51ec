"""/healthz: the process answers. /readyz: it can do its work."""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from webapp.extensions import broker, db
from webapp.models import Heartbeat, Notice, db_now
from webapp.queries import stops
from webapp.signin import anyone

bp = Blueprint("health", __name__)

# A worker beats every ten seconds.
WORKER_SECONDS = 60


@bp.get("/healthz")
@anyone
def healthz() -> Response:
    """This process answers; it asks nothing else."""
    return jsonify(status="ok")


@bp.get("/readyz")
@anyone
def readyz() -> tuple[Response, int]:
    """Database, broker, newest worker heartbeat, oldest due notice (ages in seconds), and why emails are stopped.
    503 when the database is out of reach: without the others people can still ask and decide, so those only show."""
    facts: dict[str, Any] = {"database": "ok", "broker": "ok", "worker_age": None, "oldest_due_age": None}
    facts["mail"] = "ok"
    try:
        row = db.session.execute(
            select(
                db_now().label("now"),
                select(func.max(Heartbeat.at)).scalar_subquery().label("beat"),
                select(func.min(Notice.due_at))
                .where(Notice.state == "due", Notice.due_at <= db_now())
                .scalar_subquery()
                .label("due"),
            )
        ).one()
        stop = stops.current()
    except SQLAlchemyError:
        facts["database"] = "down"
    else:
        facts["worker_age"] = _age(row.now, row.beat)
        facts["oldest_due_age"] = _age(row.now, row.due)
        if stop is not None:
            facts |= {"mail": stop.what, "mail_age": _age(row.now, stop.since)}
    facts["worker"] = "ok" if facts["worker_age"] is not None and facts["worker_age"] < WORKER_SECONDS else "missing"
    try:
        broker().ping()
    except (RedisError, OSError):
        facts["broker"] = "down"
    facts["status"] = (
        "ok" if all(facts[one] == "ok" for one in ("database", "broker", "worker", "mail")) else "degraded"
    )
    return jsonify(facts), 503 if facts["database"] == "down" else 200


def _age(now: datetime, then: datetime | None) -> float | None:
    return round((now - then).total_seconds(), 1) if then else None
