"""The web server by itself: slow connections hold nobody up, a reload stalls nobody, and a stop ends what was begun."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.helpers.processes import PROJECT, family, free_port, until

SECONDS = 1  # of a request's headers, and of its body


class Web:
    """gunicorn with our settings and a tiny application, in one process of two threads."""

    def __init__(self, folder, **changes):
        self.port = free_port()
        self.log = folder / f"web-{self.port}.log"
        ours = ("DATABASE_URL", "REDIS_URL", "MAIL_SERVER", "BASE_URL", "SECRET_KEY")
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        environment |= {"COUNTERSIGN_DATA": str(folder), "PORT": str(self.port), "WEB_CONCURRENCY": "1",
                        "WEB_THREADS": "2", "WEB_HEADER_TIMEOUT": str(SECONDS), "WEB_BODY_TIMEOUT": str(SECONDS),
                        "ACCESS_LOG": "1", **changes}  # fmt: skip
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "python:webapp.embedded.web", "tests.embedded.tiny:app"],
                cwd=PROJECT, env=environment, stdout=log, stderr=log,
            )  # fmt: skip

    def start(self):
        until(lambda: self.process.poll() is not None or self.answers())
        return self

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def answers(self):
        with contextlib.suppress(OSError):
            return b" 200 " in self.ask()
        return False

    def ask(self, path="/healthz", head="", body=b"", method="GET"):
        """The whole answer to one request."""
        with self.connect() as client:
            client.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n".encode())
            client.sendall(body)
            return everything(client)

    def connections(self):
        """How many the server holds."""
        found = [one for child in family(self.process.pid) for one in child.net_connections("tcp")]
        return len([one for one in found if one.raddr and one.status not in ("TIME_WAIT", "LISTEN")])

    def lines(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)


def everything(client):
    found = b""
    while piece := client.recv(65536):
        found += piece
    return found


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    web = Web(tmp_path_factory.mktemp("web")).start()
    yield web
    web.stop()


POST = "POST /read HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
SLOW = {
    "nothing": ("", b""),
    "headers": ("GET / HTTP/1.1\r\nX-Slow: ", b"a"),
    "body": (f"{POST}Content-Length: 5000\r\n\r\n", b"a"),
    "chunked body": (f"{POST}Transfer-Encoding: chunked\r\n\r\n1000\r\n", b"a"),
    "continue never followed": (f"{POST}Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n", b""),
    "answer not read": ("GET /big HTTP/1.1\r\nHost: x\r\n\r\n" * 20, b""),
    "left idle": ("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b""),
}


def test_slow_connections_hold_nobody_up_and_are_cut(web):
    """Many more of each kind than there are threads, all at once, each sending a byte now and then."""
    slow = []
    for begin, drip in SLOW.values():
        for _ in range(6):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", web.port))
            client.sendall(begin.encode())
            slow.append((client, drip))
    done = threading.Event()

    def send_now_and_then():
        while not done.wait(0.2):
            for client, drip in slow:
                with contextlib.suppress(OSError):
                    client.send(drip)

    dripping = threading.Thread(target=send_now_and_then)
    dripping.start()
    try:
        until_cut = time.monotonic() + SECONDS + 40  # on a machine that has other things to do, too
        worst = 0.0
        while web.connections() and time.monotonic() < until_cut:
            began = time.monotonic()
            assert b" 200 " in web.ask()
            worst = max(worst, time.monotonic() - began)
            time.sleep(0.1)
    finally:
        done.set()
        dripping.join()
        left = web.connections()
        for client, _ in slow:
            client.close()
    assert left == 0
    assert 0 < worst < 1


def test_more_connections_than_there_is_room_for_close_those_that_wait_longest(tmp_path):
    web = Web(tmp_path, WEB_CONNECTIONS="10", WEB_HEADER_TIMEOUT="60").start()
    silent = [web.connect() for _ in range(60)]
    began = time.monotonic()
    assert web.answers()
    assert time.monotonic() - began < 1
    open_still = 0
    for client in silent:
        client.settimeout(0.05)
        try:
            client.recv(1)
        except TimeoutError:
            open_still += 1
        client.close()
    assert 0 < open_still <= 10
    web.stop()


def test_a_body_that_is_too_large_gets_the_applications_answer_and_only_its_beginning_is_kept(web):
    large = b"a" * 3_000_000
    whole = web.ask("/read", f"Content-Length: {len(large)}\r\n", large, "POST")
    assert b" 413 " in whole
    assert whole.endswith(b"\r\n1048577")
    pieces = b"".join(b"10000\r\n" + b"a" * 65536 + b"\r\n" for _ in range(40)) + b"0\r\n\r\n"
    assert b" 413 " in web.ask("/read", "Transfer-Encoding: chunked\r\n", pieces, "POST")
    assert web.ask("/read", "Content-Length: 5\r\n", b"hello", "POST").endswith(b"\r\n5")
    assert web.ask("/read", "Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n", "POST").endswith(b"\r\n5")


def test_a_client_that_leaves_disturbs_nobody(web):
    """At once, in the middle of a request, before its answer, and with what was sent to it unread."""
    (before,) = family(web.process.pid)
    for begin, _ in SLOW.values():
        for wait in (0, 0.05):
            client = web.connect()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # resets
            client.sendall(begin.encode())
            time.sleep(wait)
            client.close()
            with web.connect() as client:
                client.sendall(begin.encode())
                client.shutdown(socket.SHUT_WR)
            assert web.answers()
    assert family(web.process.pid) == [before]


def test_requests_in_a_row_are_answered_in_their_order(web):
    with web.connect() as client:
        one = "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{}\r\n{}"
        client.sendall(
            "".join(one.format(n, "Connection: close\r\n" * (n == 9), "a" * n) for n in range(1, 10)).encode()
        )
        found = everything(client)
    assert [part.partition(b"\r\n\r\n")[2] for part in found.split(b"HTTP/1.1 200 OK")[1:]] == [
        str(n).encode() for n in range(1, 10)
    ]


@pytest.mark.parametrize(
    "head",
    ["Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
     "Transfer-Encoding: gzip, chunked\r\n", "Content-Length: +5\r\n", "No colon\r\n", "X: " + "a" * 40_000 + "\r\n"],
)  # fmt: skip
def test_a_request_that_could_be_read_in_two_ways_is_refused(web, head):
    answer = web.ask("/read", head, b"0\r\n\r\n", "POST")
    assert answer.split(b" ")[1] in (b"400", b"431", b"501")
    assert b"Connection: close" in answer


def test_every_line_of_the_log_is_json_and_holds_no_token(web):
    web.ask("/%64ecide/secret/code?next=hidden", "Referer: http://x/password/secret?x=hidden\r\n")
    line = until(lambda: next((one for one in web.lines() if one.get("path", "").startswith("/decide")), None))
    assert (line["event"], line["status"], line["method"]) == ("access", 200, "GET")
    assert "secret" not in web.log.read_text()
    assert "hidden" not in web.log.read_text()


def test_a_reload_stalls_nobody(tmp_path):
    web = Web(tmp_path, TINY_LOAD_SECONDS="1").start()
    pids, waits, done = set(), [], threading.Event()

    def visit():
        while not done.is_set():
            began = time.monotonic()
            pids.add(web.ask().rpartition(b"\r\n")[2].split()[0])
            waits.append(time.monotonic() - began)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        until(lambda: pids)
        web.process.send_signal(signal.SIGHUP)
        until(lambda: len(pids) == 2)
        time.sleep(0.5)
    finally:
        done.set()
        visitor.join()
    assert max(waits) < 0.9  # loading takes a second
    until(lambda: len(family(web.process.pid)) == 1)  # the old one has ended
    web.stop()


def test_a_stop_ends_what_was_begun_and_refuses_what_comes_later(tmp_path):
    web = Web(tmp_path).start()
    with web.connect() as client, web.connect() as idle:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        web.process.terminate()
        answer = everything(client)
        assert b" 200 OK" in answer
        assert b"Connection: close" in answer
    # Without waiting for the idle connection, which has 30 seconds.
    assert web.process.wait(10) == 0
    with pytest.raises(ConnectionError):
        web.connect()


@pytest.mark.parametrize(("name", "value"), [("WEB_CONCURRENCY", "0"), ("WEB_THREADS", "x"), ("MAIL_PORT", "70000")])
def test_a_setting_that_makes_no_sense_is_one_line_of_the_log(tmp_path, name, value):
    web = Web(tmp_path, **{name: value, "MAIL_SERVER": "smtp.example.com"})
    assert web.process.wait(10) == 4
    (line,) = web.lines()
    assert line["event"] == "Countersign cannot start."
    assert line["error"].startswith(f"{name} is")
