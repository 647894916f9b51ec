"""A running installation with a mail server, for the tests and the commands; and what people read in their mails."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade
from werkzeug.serving import make_server

from tests.conftest import POSTGRESQL, Client, make_settings
from tests.helpers.postgres import start_postgres
from tests.helpers.smtp_server import Accepted, SmtpServer
from tests.helpers.valkey import start_valkey
from webapp import create_app
from webapp.database.transactions import choose
from webapp.delivery import jobs
from webapp.extensions import db

LINK = re.compile(r"http://localhost(/decide/\S+)")
CODE = re.compile(r"Your approval code: (\d{3})(\d{3})")


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """The app behind a real socket; its address. A thread for each request, as behind gunicorn's gthread."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def installation(engine: str) -> Iterator[tuple[Flask, SmtpServer]]:
    """A fresh one for a command, with its context pushed, on SQLite or PostgreSQL."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-attack-"))
    with ExitStack() as after:
        after.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "valkey").mkdir()
        valkey = start_valkey(folder / "valkey")
        after.callback(valkey.stop)
        url = f"sqlite:///{folder / 'test.db'}"
        if engine == POSTGRESQL:
            folder.chmod(0o711)  # as root PostgreSQL runs as another user, who has to reach its folder
            server = start_postgres(folder / "postgres")
            after.callback(server.stop)
            url = server.new_database("attack").replace("postgresql://", "postgresql+psycopg://", 1)
        smtp = SmtpServer().start()
        after.callback(smtp.stop)
        app = create_app(make_settings(folder, url, valkey.url, mail_port=smtp.port, log_level="ERROR"))
        app.config["TESTING"] = True
        app.test_client_class = Client
        with app.app_context():
            choose("write")
            upgrade()
            db.engine.dispose()
            choose("write")
            yield app, smtp
            db.session.remove()
            db.engine.dispose()
        app.extensions["broker"].close()


def send() -> None:
    """Sends all mails that are due."""
    db.session.rollback()
    choose("write")
    jobs.drain()


def link_in(mail: Accepted) -> str:
    """The path of the link in a mail to an approver."""
    found = LINK.search(mail.text)
    assert found is not None, mail.text
    return found[1]


def code_in(mail: Accepted) -> str:
    found = CODE.search(mail.text)
    assert found is not None, mail.text
    return found[1] + found[2]
