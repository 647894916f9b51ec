"""A real broker for the tests: the one of bin/run."""

from __future__ import annotations

from pathlib import Path

from webapp.config import broker_socket
from webapp.embedded.broker import Broker


def start_valkey(folder: Path) -> Broker:
    """A running broker with its data below `folder`: `.url`, `.stop()`, `.kill()`, `.start()` again."""
    broker = Broker(folder / "valkey", broker_socket(folder))
    broker.start()
    return broker
