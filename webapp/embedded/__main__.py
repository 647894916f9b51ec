"""python -m webapp.embedded: what bin/run becomes once everything is installed."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from webapp.config import PROJECT, Settings, SettingsError, broker_socket
from webapp.embedded import broker
from webapp.embedded.supervisor import Part, StartError, Stopped, Supervisor


class Refused(Exception):
    """The stack cannot start; the message is a sentence for people."""


def main() -> int:
    # The data folder holds the database and the secret key: files there are readable by this user only.
    os.umask(0o077)
    environment = {**os.environ, "COUNTERSIGN_EMBEDDED": "1"}
    try:
        settings = Settings.from_env(environment)
        with data_folder(settings.data) as lock, listening(settings.port, loopback(settings.base_url)) as web:
            return run(settings, environment, web, lock)
    except SettingsError as error:
        return complain(str(error))
    except (Refused, StartError, broker.BrokerError) as error:
        return complain(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        return complain(f"Countersign cannot use {error.filename}: {error.strerror}.")


def run(settings: Settings, environment: dict[str, str], web: socket.socket, lock: int) -> int:
    """Run the stack from the start of the broker to the end of the last process; return the exit code."""
    environment.update(COUNTERSIGN_DATA=str(settings.data), PORT=str(settings.port))
    sink = None
    if not environment.get("MAIL_SERVER"):
        # We hold the socket, so that email that arrives while the sink restarts waits for it.
        sink = socket.create_server(("127.0.0.1", 0))
        environment["COUNTERSIGN_SINK"] = f"127.0.0.1:{sink.getsockname()[1]}"
    supervisor = Supervisor(
        parts(settings, environment, web, sink),
        folder=PROJECT,
        environment=environment,
        say=say,
        descriptors=(lock,),
    )
    supervisor.catch_signals()
    try:
        supervisor.start(["broker"])
        bring_up_to_date(supervisor, settings, environment)
        supervisor.start([part.name for part in supervisor.parts if part.name != "broker"])
        supervisor.watch(announce_once(settings, environment))
    except Stopped:
        pass
    finally:
        supervisor.stopping = True
        # Refuse new connections immediately instead of letting them wait.
        web.close()
        if sink:
            sink.close()
        supervisor.stop()
    say("Countersign has stopped.")
    return 0


def parts(
    settings: Settings,
    environment: Mapping[str, str],
    web: socket.socket,
    sink: socket.socket | None,
) -> list[Part]:
    """The processes in order of starting, without a broker or mail sink that the settings point to elsewhere."""
    python = sys.executable
    found = []
    if not environment.get("REDIS_URL"):
        folder, path = settings.data / "valkey", broker_socket(settings.data)
        broker.prepare(folder, path)
        found.append(
            Part(
                "broker",
                broker.command(folder, path),
                stop_by=4.7,
                ready=lambda: broker.answers(path),
                complaint=lambda: f"Its last words:\n{broker.end_of_log(folder)}",
            )
        )
    if sink:
        command = [python, "-m", "webapp.embedded.sink", str(settings.data / "mailbox"), str(sink.fileno())]
        found.append(Part("mail sink", command, stop_by=4.0, descriptors=(sink.fileno(),)))
    found.append(
        Part(
            "web",
            [python, "-m", "gunicorn", "-c", "python:webapp.embedded.web", "wsgi:app"],
            stop_by=2.6,
            environment={"COUNTERSIGN_LISTENER": str(web.fileno())},
            descriptors=(web.fileno(),),
        )
    )
    found.append(Part("worker", [python, "worker.py", "emails"], stop_by=3.6))
    found.append(Part("webhook worker", [python, "worker.py", "webhooks"], stop_by=3.6))
    return found


def bring_up_to_date(supervisor: Supervisor, settings: Settings, environment: Mapping[str, str]) -> None:
    """Migrate, and seed the demo company on the data folder's first start. Raises Refused or Stopped."""
    flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
    if supervisor.run_once([*flask, "upgrade"]) != 0:
        raise Refused("The database could not be brought up to date, so nothing was started. The reason is above.")
    # Written at every first start, so that an installation that began empty is never filled later.
    first_start_done = settings.data / "started"
    if first_start_done.exists():
        return
    ours = not environment.get("DATABASE_URL") or environment.get("COUNTERSIGN_DEMO")
    if settings.demo and ours and supervisor.run_once([*flask, "demo"]) != 0:
        raise Refused("The demo could not be created. The reason is above.")
    first_start_done.touch()


@contextlib.contextmanager
def data_folder(folder: Path) -> Iterator[int]:
    """Locks the data folder; returns a descriptor that every part has to inherit.

    There are two locks. The first is the supervisor's alone. The second is held by every process that has
    inherited it, so it is free only when the last part of a killed predecessor has gone: a broker that is
    still on its way out would otherwise take the new one's socket with it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folder / "lock", "a+") as ours, open(folder / "lock.parts", "a") as parts_lock:
        if not locked(ours, within=0):
            ours.seek(0)
            raise Refused(
                f"Countersign already runs on the data folder {folder} (process {ours.read().strip()}). "
                "Stop that one first, or set COUNTERSIGN_DATA to another folder and PORT to another port."
            )
        if not locked(parts_lock, within=10):
            raise Refused(
                f"Processes of an earlier Countersign are still running on {folder}. "
                "Stop them first: gunicorn, worker.py, valkey-server and webapp.embedded.sink."
            )
        ours.truncate(0)
        ours.write(str(os.getpid()))
        ours.flush()
        yield parts_lock.fileno()


def locked(file: TextIO, *, within: float) -> bool:
    """Whether we got the lock on that file within so many seconds."""
    give_up = time.monotonic() + within
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                return False
            time.sleep(0.05)
        else:
            return True


def loopback(base_url: str) -> str:
    """The address of this machine that the web listens on: ::1 if that is what people open."""
    return "::1" if (urlsplit(base_url).hostname or "") == "::1" else "127.0.0.1"


def listening(port: int, address: str = "127.0.0.1") -> socket.socket:
    """The web's socket. We hold it, so that requests that arrive while the web restarts wait for it."""
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family, backlog=1024)
    except OSError as error:
        raise Refused(
            f"Port {port} of this machine cannot be used ({os.strerror(error.errno or 0).lower()}). "
            f"Set PORT to another one: PORT={port % 65535 + 1} bin/run"
        ) from None


def announce_once(settings: Settings, environment: Mapping[str, str]) -> Callable[[], None]:
    """A function that asks at each call whether the web is ready, and says so the first time."""
    began = time.monotonic()
    state = {"done": False, "ask_at": began, "warned": False}

    def announce() -> None:
        now = time.monotonic()
        if state["done"] or now < state["ask_at"]:
            return
        state["ask_at"] = now + 0.2
        if is_ready(settings):
            state["done"] = True
            say(greeting(settings, environment))
        elif now - began > 30 and not state["warned"]:
            state["warned"] = True
            say(f"Countersign is not ready yet; {settings.base_url}/readyz says why. Still trying.")

    return announce


def is_ready(settings: Settings) -> bool:
    """Whether /readyz answers 200."""
    connection = http.client.HTTPConnection(loopback(settings.base_url), settings.port, timeout=1)
    try:
        connection.request("GET", "/readyz", headers={"Host": urlsplit(settings.base_url).netloc})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def greeting(settings: Settings, environment: Mapping[str, str]) -> str:
    """What a newcomer needs to know, in a few lines."""
    lines = ["", f"Countersign runs at {settings.base_url}", ""]
    if settings.demo:
        lines += ["  Sign in as   rita@example.com", "  Password     countersign-demo"]
    else:
        lines += ["  First admin  bin/countersign create-admin"]
    if settings.mailbox:
        lines += [f"  Emails       {settings.base_url}/mailbox"]
    elif not environment.get("MAIL_SERVER"):
        lines += [f"  Emails       kept in {settings.data / 'mailbox'} and not sent: set MAIL_SERVER"]
    lines += ["  Terminal     bin/countersign login", f"  Data         {settings.data}", "", "Press Ctrl-C to stop."]
    return "\n".join(lines)


def say(sentence: str) -> None:
    # The terminal may be gone; that is no reason to leave the parts alone.
    with contextlib.suppress(OSError):
        print(sentence, flush=True)


def complain(sentence: str) -> int:
    with contextlib.suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
