"""Logs for machines: one JSON object per line, from every library and process, with the tokens of links masked."""

import logging
import re
import sys
import threading
import time
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog
from redis.exceptions import RedisError

SELDOM_SECONDS = 60.0
# Ours, and the queue's own.
_AWAY = re.compile("The broker is |could not connect to Redis|Redis connection timeout")
# The secret part of an address: the token of an emailed link.
_TOKEN = re.compile(r"(/(?:decide|password)/)[^/?\s\"']+")
# API tokens and signing secrets, of which the first characters stay: people tell theirs apart by them.
_SECRET = re.compile(r"\b(csn_(?:svc_)?[0-9A-Za-z]{5}|whsec_)[0-9A-Za-z+/]{12,}")
# Libraries that log what is of no use, or (the HTTP client) each address that is called, with the secret in it.
_QUIET = ("alembic", "rq.worker", "mail.log", "httpx2", "httpcore2")


def mask(text: str) -> str:
    """The text with the tokens of links and of the API, and signing secrets, replaced."""
    return _SECRET.sub(r"\1***", _TOKEN.sub(r"\1***", text))


def _mask_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: mask(value) if isinstance(value, str) else value for key, value in event.items()}


class _SeldomWhileAway(logging.Filter):
    """While the broker is out of reach, logs each message about it once a minute and without a traceback: every
    request, every wake-up of a worker and each attempt to connect would repeat it."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RedisError):
            record.exc_info, record.exc_text = None, None
            record.error = str(error)
        elif not _AWAY.search(str(record.msg)):
            return True
        about, now = f"{record.name} {str(record.msg)[:40]}", time.monotonic()
        if now - self._said.get(about, -SELDOM_SECONDS) < SELDOM_SECONDS:
            return False
        self._said[about] = now
        return True


def configure(level: str = "INFO", stream: Any = None) -> None:
    """Sends the standard library's logging through structlog as JSON lines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _mask_event,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_SeldomWhileAway())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for quiet in _QUIET:
        logging.getLogger(quiet).setLevel(logging.WARNING)


def take_over() -> None:
    """Writes warnings and uncaught exceptions to the log, too: for a process whose output is read by a machine."""
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda error: _uncaught(error.exc_type, error.exc_value, error.exc_traceback)
    threading.excepthook = lambda error: _uncaught(error.exc_type, error.exc_value, error.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, at: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logging.getLogger("countersign").critical("An exception that nobody caught.", exc_info=(kind, error or kind(), at))
