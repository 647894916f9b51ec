"""The whole stack as bin/run starts it: refused when it runs already, mended when a part dies, gone when stopped."""

import os
import signal
import smtplib
import sys
import time
import urllib.parse

import psutil
import pytest

from tests.helpers.processes import Stack, alive, family, get, until
from webapp.config import broker_socket
from webapp.embedded import broker, mailstore

PARTS = {
    "broker": "valkey-server", "mail sink": "embedded.sink", "web": "gunicorn", "worker": "emails",
    "webhook worker": "webhooks",
}  # fmt: skip
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's part of this is Linux's")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One stack for the tests that leave it running; its data folder has a blank in its name."""
    stack = Stack(tmp_path_factory.mktemp("stack") / "the data").start()
    yield stack
    stack.stop()


@pytest.fixture
def stack(tmp_path):
    stack = Stack(tmp_path / "data")
    yield stack
    stack.stop()


def sink_port(stack):
    environment = stack.part("embedded.sink").environ()
    return urllib.parse.urlsplit(f"//{environment['COUNTERSIGN_SINK']}").port


def test_it_says_where_it_runs_and_how_to_begin(running):
    assert get(running.port, "/readyz") == 200
    assert f"Countersign runs at http://127.0.0.1:{running.port}" in running.output()
    assert "create-admin" in running.output()
    assert "Traceback" not in running.output()


def test_it_listens_on_loopback_only(running):
    listening = {
        connection.laddr.ip
        for process in [psutil.Process(running.process.pid), *family(running.process.pid)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_second_start_on_the_same_data_is_refused_and_disturbs_nothing(running):
    before = {process.pid for process in family(running.process.pid)}
    second = Stack(running.data).start(wait=False)
    assert second.process.wait(15) == 1
    assert second.output().strip().startswith(f"Countersign already runs on the data folder {running.data}")
    assert str(running.process.pid) in second.output()
    assert {process.pid for process in family(running.process.pid)} == before


def test_a_port_that_is_taken_is_a_sentence(running, tmp_path):
    second = Stack(tmp_path / "other", port=running.port).start(wait=False)
    assert second.process.wait(15) == 1
    assert f"Port {running.port} of this machine cannot be used" in second.output()
    assert "Traceback" not in second.output()


def test_a_setting_that_makes_no_sense_is_a_sentence(tmp_path):
    stack = Stack(tmp_path / "other", PORT="http")
    stack.start(wait=False)
    assert stack.process.wait(15) == 1
    assert stack.output().strip() == "PORT is 'http'. Set it to a number from 1 to 65535."


@pytest.mark.parametrize("name", PARTS)
def test_a_killed_part_comes_back(running, name):
    word = PARTS[name]
    before = running.part(word)
    before.kill()
    until(lambda: (now := running.part(word)) and now.pid != before.pid)
    assert f"The {name} ended (signal 9); starting it again" in running.output()
    until(lambda: get(running.port, "/readyz") == 200, within=30)


def test_the_brokers_data_survives_its_kill(running):
    socket = broker_socket(running.data)
    with broker.client(socket) as client:
        client.set("kept", "yes")
    before = running.part("valkey-server")
    before.kill()
    until(lambda: (now := running.part("valkey-server")) and now.pid != before.pid)
    until(lambda: broker.answers(socket))
    with broker.client(socket) as client:
        assert client.get("kept") in ("yes", b"yes")


def test_the_sink_keeps_its_port_when_it_comes_back(running):
    before, port = running.part("embedded.sink"), sink_port(running)
    before.kill()
    # Sent while nobody is there yet: the connection waits, it is not refused.
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.sendmail("c@example.com", ["ana@example.com"], "Subject: Patience\r\n\r\nHi\r\n")
    assert sink_port(running) == port
    assert mailstore.page(running.data / "mailbox", words="patience").mails


def test_the_data_folder_is_private(running):
    loose = [path for path in running.data.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert loose == []


@pytest.mark.parametrize("ask", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_asked_to_stop_it_stops_everything_within_five_seconds(stack, ask):
    stack.start()
    processes = family(stack.process.pid)
    assert len(processes) >= 5
    began = time.monotonic()
    os.kill(stack.process.pid, ask)
    assert stack.process.wait(6) == 0
    assert time.monotonic() - began < 5
    assert alive(processes) == []
    assert stack.output().rstrip().endswith("Countersign has stopped.")


def test_a_stop_while_it_is_starting_leaves_nothing(stack):
    stack.start(wait=False)
    until(lambda: stack.part("valkey-server"))
    processes = family(stack.process.pid)
    stack.process.terminate()
    assert stack.process.wait(6) == 0
    assert alive(processes) == []


@linux
def test_a_killed_supervisor_leaves_nothing_and_can_be_started_again_at_once(stack):
    stack.start()
    processes = family(stack.process.pid)
    with broker.client(broker_socket(stack.data)) as client:
        client.set("kept", "yes")
    stack.process.kill()
    stack.process.wait()
    stack.start()
    until(lambda: alive(processes) == [], within=5)
    with broker.client(broker_socket(stack.data)) as client:
        assert client.get("kept") in ("yes", b"yes")


def test_what_is_given_from_outside_is_not_started(stack, running):
    # The other stack's broker and sink stand in for servers elsewhere.
    stack.environment = {
        "REDIS_URL": f"unix://{broker_socket(running.data)}",
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(sink_port(running)),
    }
    stack.start()
    assert stack.part("valkey-server") is None
    assert stack.part("embedded.sink") is None
    assert get(stack.port, "/mailbox") == 404
