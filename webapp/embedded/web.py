"""gunicorn's settings: `gunicorn -c python:webapp.embedded.web wsgi:app`, for bin/run and in production.

WEB_CONCURRENCY sets the number of processes, WEB_THREADS the threads of each, ACCESS_LOG=1 turns the access
log on. It never holds a link's token, nor a query string.
"""

from __future__ import annotations

import logging
import os
import re
from typing import Any

from gunicorn.glogging import Logger

from webapp.embedded.process import collect_what_is_new, die_with_parent

_TOKEN = re.compile(r"(/(?:decide|password)/)[^/?#\s\"']+")


def mask(text: str) -> str:
    """The text with the token of each approval or password link replaced by dots."""
    return _TOKEN.sub(r"\1...", text)


class _Masked(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = mask(record.getMessage()), ()
        return True


class MaskingLogger(Logger):  # type: ignore[misc]  # gunicorn comes without types
    """gunicorn's logger; what it writes about an address has no token and no query string."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.addFilter(_Masked())

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> dict[str, Any]:
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        path = mask(environ.get("PATH_INFO", "-"))
        # The address as it was sent may spell a token in another way (%64ecide), so the decoded path it is.
        atoms.update(
            r=f"{environ.get('REQUEST_METHOD')} {path} {environ.get('SERVER_PROTOCOL')}",
            U=path,
            q="",
            f=mask(atoms.get("f", "-")).partition("?")[0],
        )
        return {key: value for key, value in atoms.items() if not key.startswith("{")}


def post_fork(server: Any, worker: Any) -> None:
    die_with_parent(parent=server.pid)


def post_worker_init(worker: Any) -> None:
    collect_what_is_new()


_listener = os.environ.get("COUNTERSIGN_LISTENER")
bind = f"fd://{_listener}" if _listener else f"127.0.0.1:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
logger_class = MaskingLogger
accesslog = "-" if os.environ.get("ACCESS_LOG") == "1" else None
loglevel = "warning"
# The supervisor gives the web two seconds and a half.
graceful_timeout = 2
timeout = 60
keepalive = 5
# Workers prove that they live by touching a file of their own; a disk may stall, memory does not.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nosec
control_socket_disable = True
