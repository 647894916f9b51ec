"""gunicorn's settings: `gunicorn -c python:webapp.embedded.web wsgi:app`, for bin/run and in production."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

from gunicorn.glogging import Logger

from webapp.config import Settings, SettingsError, WebSettings
from webapp.embedded.channel import Limits
from webapp.embedded.generations import generations
from webapp.embedded.process import die_with_parent, tune_garbage_collection
from webapp.embedded.server import WebWorker
from webapp.runtime import jsonlog

# gunicorn's own exit status: the application cannot be loaded, do not start another process.
CANNOT_LOAD = 4

log = logging.getLogger("countersign.web")


class JsonLogger(Logger):  # type: ignore[misc]  # gunicorn comes without types
    """gunicorn's logger, whose lines are written like all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if not logging.getLogger().handlers:
            jsonlog.configure()
        self.error_log.handlers.clear()
        self.error_log.propagate = True

    def access(self, *_: Any) -> None:
        """Nothing: webapp.embedded.channel writes the access log."""


def on_starting(server: Any) -> None:
    """Refuse to start, with a sentence, when settings or database are unusable."""
    jsonlog.take_over()
    try:
        Settings.from_env()
    except SettingsError as error:
        _refuse(str(error))
    # Under bin/run (a listener is given) the supervisor has migrated already; other applications have no database.
    if not _listener and server.app.app_uri == "wsgi:app" and (sentence := _problem_of_the_database()):
        _refuse(sentence)


def on_reload(server: Any) -> None:
    generations.begin()


def post_fork(server: Any, worker: Any) -> None:
    die_with_parent(parent=server.pid)


def post_worker_init(worker: Any) -> None:
    # After a reload the database may be of another version. Exiting would end the old processes, too, so the new
    # ones refuse each request until the database is upgraded.
    if getattr(worker, "generation", 0) and hasattr(worker.wsgi, "app_context"):
        from webapp.database.faults import schema_problem

        with worker.wsgi.app_context():
            if sentence := schema_problem():
                log.critical("Countersign refuses all requests.", extra={"error": sentence})
    tune_garbage_collection()


def _problem_of_the_database() -> str:
    asked = subprocess.run([sys.executable, "-m", "webapp.embedded.database_check"], stdout=subprocess.PIPE, text=True)
    return asked.stdout.strip() if asked.returncode == 1 else ""


def _refuse(sentence: str) -> None:
    log.critical("Countersign cannot start.", extra={"error": sentence})
    sys.exit(CANNOT_LOAD)


def _settings() -> WebSettings:
    try:
        return WebSettings.from_env(os.environ)
    except SettingsError as error:
        jsonlog.configure()
        _refuse(str(error))
        raise


_ours = _settings()
_listener = os.environ.get("COUNTERSIGN_LISTENER")
bind = f"fd://{_listener}" if _listener else f"127.0.0.1:{_ours.port}"
worker_class = WebWorker
WebWorker.limits = Limits(
    headers=_ours.header_timeout,
    body=_ours.body_timeout,
    idle=min(Limits.idle, _ours.header_timeout),
    connections=_ours.connections,
)
workers = _ours.processes
threads = _ours.threads
logger_class = JsonLogger
accesslog = "-" if _ours.access_log else None
loglevel = "warning"
# The supervisor gives the web two seconds and a half.
graceful_timeout = 2
timeout = 60
# Each process touches a file of its own as a heartbeat. In memory, because a disk may stall.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nosec
control_socket_disable = True
