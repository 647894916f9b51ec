"""/healthz: the process is alive. /readyz: it can do its work."""

from typing import Any

from flask import Blueprint, Response, abort, jsonify, request
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from webapp.database import faults
from webapp.extensions import broker
from webapp.queries import outbox_lines
from webapp.web import signin
from webapp.web.signin import anyone

bp = Blueprint("health", __name__)

# A worker beats every ten seconds.
WORKER_SECONDS = 60


@bp.get("/healthz")
@anyone
def healthz() -> Response:
    """Answer that this process is alive, without asking anything else."""
    return jsonify(status="ok")


@bp.get("/readyz")
@anyone
def readyz() -> tuple[Response, int]:
    """Report database, schema version, disk, broker, newest worker heartbeat, oldest due notice (ages in seconds), why
    emails are stopped, and how many failed in a day; of webhooks and chat, the newest heartbeat and the oldest delivery
    that is due. 503 when nobody can request or decide; the rest is information."""
    facts: dict[str, Any] = {
        "database": "ok", "schema": "ok", "disk": "ok", "broker": "ok", "mail": "ok",
        "worker_age": None, "oldest_due_age": None, "failed_emails": None, "webhook_worker": "not needed",
        "webhook_worker_age": None, "oldest_delivery_age": None,
    }  # fmt: skip
    problem = faults.schema_problem()
    if problem:
        facts |= {"schema": "other version", "problem": problem}
    else:
        _ask_the_database(facts)
    if faults.disk_is_full():
        facts |= {"disk": "full", "problem": faults.DISK_FULL}
    facts["worker"] = "ok" if facts["worker_age"] is not None and facts["worker_age"] < WORKER_SECONDS else "missing"
    try:
        broker().ping()
    except (RedisError, OSError):
        facts["broker"] = "down"
    fine = {one: facts[one] == "ok" for one in ("database", "schema", "disk", "broker", "worker", "mail")}
    fine["webhook_worker"] = facts["webhook_worker"] != "missing"
    facts["status"] = "ok" if all(fine.values()) else "degraded"
    return jsonify(facts), 200 if all(fine[one] for one in ("database", "schema", "disk")) else 503


def _ask_the_database(facts: dict[str, Any]) -> None:
    try:
        found = outbox_lines.trouble()
    except SQLAlchemyError:
        facts["database"] = "down"
        return
    facts["worker_age"] = None if found.worker is None else round(found.worker, 1)
    facts["oldest_due_age"] = round(found.late, 1) or None
    facts["failed_emails"] = found.dead
    facts["oldest_delivery_age"] = round(found.hooks_late, 1) or None
    if found.hook_worker is not None:
        facts["webhook_worker_age"] = round(found.hook_worker, 1)
    if found.hook_worker_missing:
        facts["webhook_worker"] = "missing"
    elif found.hook_worker is not None and found.hook_worker < WORKER_SECONDS:
        facts["webhook_worker"] = "ok"
    if found.stop is not None:
        facts |= {"mail": found.stop.what, "mail_age": round(found.stopped, 1)}


def refuse_another_version() -> None:
    """Refuse every request while the database is known to be of another version than this code."""
    if not faults.known_problem() or request.endpoint in ("health.healthz", "health.readyz", "static"):
        return
    if faults.schema_problem():
        signin.forget()
        abort(503, faults.FOR_PEOPLE["schema"])
