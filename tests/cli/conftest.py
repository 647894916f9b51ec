"""The command line against a real server: the stack that bin/run starts, with the demo company.

Most commands run in this process, as starting one takes longer than most commands do. `python -m countersign_cli`,
pipes and terminals are tried where they matter: by `start`, `on_a_terminal`, test_commands.py and test_guide.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import httpx2
import pytest
from click.testing import CliRunner

from countersign_cli.main import commands
from tests.helpers.processes import PROJECT, Stack, until
from webapp import clock, create_app
from webapp.config import Settings
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person
from webapp.operations import tokens
from webapp.workflow.actor import SYSTEM
from webapp.workflow.scopes import Scope

PASSWORD = "countersign-demo"
CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Server:
    """A running installation, and the application on its database."""

    def __init__(self, data: Path, port: int) -> None:
        self.data, self.port = data, port
        self.address = f"http://127.0.0.1:{port}"
        environment = {"COUNTERSIGN_EMBEDDED": "1", "COUNTERSIGN_DATA": str(data), "PORT": str(port)}
        self.app = create_app(Settings.from_env(environment))

    def token(self, name: str | None, *scopes: str) -> str:
        """A token of the person with this first name, or of a service, with all scopes that they may have."""
        with self.app.app_context():
            choose("write")
            person = None
            if name is not None:
                person = db.session.query(Person).filter_by(email=f"{name.lower()}@example.com").one()
            may = [one for one in Scope if person is not None or one.is_for_services]
            may = [one for one in may if person is None or person.is_admin or not one.is_for_admins]
            _, secret = tokens.create(name="test", scopes=scopes or [str(one) for one in may], days=30,
                                      actor=person or SYSTEM, now=clock.now(), person=person)  # fmt: skip
            outbox.commit()
            db.session.remove()
            return secret

    @contextlib.contextmanager
    def browser(self, name: str) -> Iterator[httpx2.Client]:
        """A browser without scripts, in which that person is signed in."""
        with httpx2.Client(base_url=self.address, trust_env=False) as client:
            form = {"email": f"{name.lower()}@example.com", "password": PASSWORD}
            assert submit(client, "/sign-in", "/sign-in", form).status_code == 303
            yield client


def submit(client: httpx2.Client, page: str, action: str, form: dict[str, Any]) -> httpx2.Response:
    """Sends the form of that page."""
    found = CSRF.search(client.get(page).text)
    assert found is not None
    return client.post(action, data=form | {"csrf_token": found[1]})


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    stack = Stack(tmp_path_factory.mktemp("cli") / "data", COUNTERSIGN_DEMO="1")
    stack.start(wait=False)
    try:
        # The demo company is made first, which takes a while on a busy machine.
        until(lambda: "Countersign runs at" in stack.output(), within=180)
        yield Server(stack.data, stack.port)
    finally:
        stack.stop()


class Terminal:
    """One person's machine: a configuration folder of their own, and their token if they have one."""

    def __init__(self, home: Path, address: str, token: str = "") -> None:
        self.home = home
        self.started: list[subprocess.Popen[str]] = []
        self.environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith("COUNTERSIGN_") and name not in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
        }  # fmt: skip
        self.environment |= {
            "XDG_CONFIG_HOME": str(home),
            "COUNTERSIGN_ADDRESS": address,
            "COLUMNS": "100",
            "PYTHONPATH": str(PROJECT),
            "TZ": "UTC",
        }
        if token:
            self.environment["COUNTERSIGN_TOKEN"] = token

    def __call__(self, *words: str, stdin: str = "", **environment: str) -> Ran:
        """Runs `countersign` in this process, with its output in a pipe."""
        with mock.patch.dict(os.environ, self.environment | environment, clear=True), contextlib.chdir(self.home):
            done = CliRunner().invoke(commands, words, input=stdin, prog_name="countersign", catch_exceptions=False)
        return Ran(done.exit_code, done.stdout, done.stderr)

    def process(self, *words: str, **environment: str) -> Ran:
        """The same in a process of its own."""
        done = subprocess.run(
            self.command(*words), input="", capture_output=True, text=True, env=self.environment | environment,
            timeout=60, cwd=self.home,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "countersign_cli", *words]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Runs it without waiting."""
        process = subprocess.Popen(
            self.command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment, cwd=self.home,
        )  # fmt: skip
        self.started.append(process)
        return process

    def close(self) -> None:
        """Ends what a failed test left running."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def on_a_terminal(self, *words: str) -> Ran:
        """Runs it as on a terminal: output and errors come together."""
        master, slave = pty.openpty()
        process = subprocess.Popen(
            self.command(*words), stdin=slave, stdout=slave, stderr=slave, env=self.environment, cwd=self.home
        )
        os.close(slave)
        written, give_up = b"", time.monotonic() + 60
        while time.monotonic() < give_up:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    read = os.read(master, 65536)
                except OSError:  # the other side is closed
                    break
                if not read:
                    break
                written += read
            elif process.poll() is not None:
                break
        os.close(master)
        return Ran(process.wait(10), written.decode().replace("\r\n", "\n"), "")


@pytest.fixture
def machine(server: Server, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """machine("rita", "requests:read") is a terminal with Rita's token; machine() one without."""
    made: list[Terminal] = []

    def make(who: str = "", *scopes: str) -> Terminal:
        token = server.token(None if who == "service" else who, *scopes) if who else ""
        made.append(Terminal(tmp_path, server.address, token))
        return made[-1]

    yield make
    for one in made:
        one.close()
