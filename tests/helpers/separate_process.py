"""The databases of the tests without pytest, for the commands below tests/."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from flask import Flask

from tests.conftest import Engines
from tests.helpers.postgres import shared_folder, start_postgres
from tests.helpers.valkey import start_valkey


@contextlib.contextmanager
def emptied(engine: str) -> Iterator[Callable[[], Flask]]:
    """What answers the app with an empty database of this engine, each time it is called; with a broker."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        valkey = start_valkey(folder)
        stack.callback(valkey.stop)

        def postgres_url() -> str:
            server = start_postgres(shared_folder())
            stack.callback(server.stop)
            return server.new_database("alone")

        engines = Engines(folder, valkey.url, postgres_url)
        yield lambda: engines.app(engine)
