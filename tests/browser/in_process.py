"""The web part alone, served by a thread of this process: no worker and no broker."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from flask_migrate import upgrade
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.helpers.processes import free_port
from webapp import clock, create_app
from webapp.config import Settings
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.operations import people
from webapp.passwords import hash_password
from webapp.workflow.actor import SYSTEM

from .site import PASSWORD, Site


class _Silent(WSGIRequestHandler):
    def log(self, *args: object) -> None:
        """Write no line for each request."""


@contextlib.contextmanager
def served(data: Path, fill: Callable[[], object], port: int = 0, host: str = "127.0.0.1") -> Iterator[Site]:
    """An installation in that folder, with what `fill` puts into its database and commits. Port 0: one that is free.
    `host`: the name by which pages are opened."""
    port = port or free_port()
    environment = {"COUNTERSIGN_EMBEDDED": "1", "COUNTERSIGN_DATA": str(data), "PORT": str(port)}
    environment["BASE_URL"] = f"http://{host}:{port}"
    app = create_app(Settings.from_env(environment | {"COUNTERSIGN_DEMO": "0"}))
    with app.app_context():
        choose("write")
        upgrade()
        fill()
        db.engine.dispose()
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Site(f"http://{host}:{port}", data, data / "log")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def first_day() -> None:
    """Adam, the admin, and Rita, who has nothing yet."""
    admin = None
    for name, address in (("Adam Weiss", "adam@example.com"), ("Rita Lindqvist", "rita@example.com")):
        now = clock.now()
        person = people.create(email=address, name=name, actor=admin or SYSTEM, now=now, is_admin=admin is None)
        people.set_password(person.id, hash=hash_password(PASSWORD), round=0, now=now)
        admin = admin or person
    outbox.commit()
