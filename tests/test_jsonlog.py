"""The log of a process: one JSON object a line, whatever wrote it."""

import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as Away

from tests.conftest import make_settings
from webapp import create_app, tokens
from webapp.config import PROJECT
from webapp.delivery import outbox
from webapp.delivery.out import signing
from webapp.runtime import jsonlog


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    found = io.StringIO()
    jsonlog.configure(stream=found)
    yield found
    root.handlers[:], level = before
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_no_token_is_written_whole(stream: io.StringIO) -> None:
    made, service = tokens.make(), tokens.make(service=True)
    for text in (f"/api/v1/me?token={made}", f"Bearer {service}", signing.make_secret()):
        logging.getLogger("any").warning("It was %s.", text, extra={"also": text})
    found = stream.getvalue()
    assert made[12:] not in found and service[16:] not in found
    assert tokens.beginning(made) + "***" in found and tokens.beginning(service) + "***" in found
    assert "It was whsec_***." in found


def test_a_broker_that_is_away_is_one_line_a_minute_and_no_traceback(
    tmp_path: Path, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(make_settings(tmp_path, f"sqlite:///{tmp_path / 'x.db'}", "redis://127.0.0.1:9/0"))
    with app.app_context():
        for _ in range(20):
            outbox.wake_workers()
    queue, limiter = logging.getLogger("rq.worker"), logging.getLogger("flask-limiter")
    for seconds in range(20):
        queue.error("Worker abc: could not connect to Redis instance: no. retrying in %d seconds...", seconds)
        try:
            raise Away("refused")
        except Away:
            limiter.exception("Failed to rate limit. Swallowing error")
            queue.error("Worker abc: found an unhandled exception, quitting...", exc_info=True)
    assert "Traceback" not in stream.getvalue()
    assert [line["logger"] for line in lines(stream)] == [
        "countersign.outbox",
        "rq.worker",
        "flask-limiter",
        "rq.worker",
    ]
    monkeypatch.setattr(jsonlog, "SELDOM_SECONDS", 0.0)
    limiter.error("Something else.")
    limiter.error("Something else.")
    assert len(lines(stream)) == 6
    try:
        raise ValueError("another kind of error")
    except ValueError:
        queue.exception("broken")
    assert "another kind" in str(lines(stream)[-1]["exception"])


def test_warnings_and_exceptions_that_nobody_caught_are_lines_too() -> None:
    program = (
        "import threading, warnings\n"
        "from webapp.runtime import jsonlog\n"
        "jsonlog.configure(); jsonlog.take_over()\n"
        "warnings.warn('old')\n"
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()\n"
        "class Broken:\n    def __del__(self): raise OSError('late')\n"
        "Broken()\n"
        "raise ValueError('at the start')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stdout == ""
    found = [json.loads(line) for line in done.stderr.splitlines()]
    for words, line in zip(("old", "ZeroDivisionError", "late", "at the start"), found, strict=True):
        assert words in line.get("exception", line["event"])


def test_it_does_not_change_how_this_process_warns() -> None:
    with pytest.warns(UserWarning, match="still"):
        warnings.warn("still", UserWarning, stacklevel=1)
