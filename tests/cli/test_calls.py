"""Answers that get lost, limits, other servers: what the command line does between a call and its answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from countersign_cli.api import Api
from countersign_cli.failures import Refused
from tests.cli.conftest import Terminal

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def problem(status: str, *headers: str, body: str = '{"type": "/api/docs#x", "detail": "Not now."}') -> bytes:
    head = [f"HTTP/1.1 {status}", "Content-Type: application/problem+json", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join([*head, "Connection: close", "", ""]) + body).encode()


class Door:
    """A server on loopback that answers with the given function: request → answer. Keeps what came."""

    def __init__(self, answer: Callable[[bytes, int], bytes]) -> None:
        self.seen: list[bytes] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                request = read(connection)
                if request:
                    self.seen.append(request)
                    connection.sendall(self._answer(request, len(self.seen)))

    def keys(self) -> list[bytes]:
        """The Idempotency-Key of each change that came."""
        changes = [one for one in self.seen if not one.startswith(b"GET")]
        return [one.lower().partition(b"idempotency-key: ")[2].partition(b"\r\n")[0] for one in changes]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def read(connection: socket.socket) -> bytes:
    """One whole message, which has a Content-Length if it has a body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def door(answer: Callable[[bytes, int], bytes]) -> Iterator[Door]:
    made = Door(answer)
    try:
        yield made
    finally:
        made.close()


def forwarded(port: int, request: bytes) -> bytes:
    """What the real server answers."""
    request = request.replace(b"Connection: keep-alive", b"Connection: close")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as real:
        real.sendall(request)
        answer = b""
        while more := real.recv(65536):
            answer += more
        return answer


def test_a_lost_answer_is_asked_for_again_and_the_change_is_made_once(machine, server):
    """The proxy drops the first answer to a POST, after the server has made the change."""
    tom = machine("tom")
    key = app_id(server, "Benevity")

    def lose(request: bytes, number: int) -> bytes:
        answer = forwarded(server.port, request)
        is_first_post = request.startswith(b"POST") and sum(one.startswith(b"POST") for one in proxy.seen) == 1
        return b"" if is_first_post else answer

    with door(lose) as proxy:
        done = tom("request", key, "--address", proxy.address)
        assert done.code == 0, done.err
        keys = proxy.keys()
        assert len(keys) == 2 and keys[0] == keys[1] and len(keys[0]) == 32
    mine = [one for one in tom("requests", "--state", "pending").json if one["app"]["id"] == key]
    assert [one["id"] for one in mine] == [done.json["id"]]
    assert tom("cancel", done.json["id"]).code == 0


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_lost_answer_to_a_put_or_delete_is_asked_for_again(machine, server, method):
    adam = machine("adam")
    member = "add-member" if method == "PUT" else "remove-member"
    adam("admin", "remove-member" if method == "PUT" else "add-member", "Finance", "otto@example.com")

    def lose(request: bytes, number: int) -> bytes:
        answer = forwarded(server.port, request)
        lost = request.startswith(method.encode()) and sum(one.startswith(method.encode()) for one in proxy.seen) == 1
        return b"" if lost else answer

    with door(lose) as proxy:
        done = adam("admin", member, "Finance", "otto@example.com", "--address", proxy.address)
        assert done.code == 0, done.err
        keys = proxy.keys()
        assert len(keys) == 2 and keys[0] == keys[1]
    assert ("otto@example.com" in adam("admin", "members", "Finance").out) == (method == "PUT")
    adam("admin", "remove-member", "Finance", "otto@example.com")


def test_what_was_removed_although_the_answer_was_lost_is_removed():
    gone = problem("404 Not Found")
    with door(lambda request, number: b"" if number == 1 else gone) as away:
        assert Api(away.address, "csn_x").change("DELETE", "/groups/x/members/y") is None
        assert len(away.seen) == 2
    with door(lambda request, number: gone) as nothing, pytest.raises(Refused):
        Api(nothing.address, "csn_x").change("DELETE", "/groups/x/members/y")


def app_id(server, name: str) -> str:
    from webapp.extensions import db
    from webapp.models import App

    with server.app.app_context():
        found = db.session.query(App).filter_by(name=name).one().public_id
        db.session.remove()
        return found


@pytest.fixture
def anyone(machine) -> Terminal:
    made = machine()
    made.environment["COUNTERSIGN_TOKEN"] = "csn_x"
    return made


@pytest.mark.parametrize("words", [("whoami",), ("login", "--no-browser")])
def test_where_nothing_answers_it_gives_up_with_a_sentence(anyone, words):
    with door(lambda request, number: b"") as silent:
        done = anyone(*words, "--address", silent.address)
        assert done.code == 6 and "cannot be reached" in done.err
        assert len(silent.seen) == 5
        assert len(set(silent.keys())) <= 1


def test_503_is_asked_again_and_said_at_last(anyone):
    with door(lambda request, number: problem("503 Service Unavailable")) as away:
        done = anyone("whoami", "--address", away.address)
        assert done.code == 6 and done.err == "Error: Not now.\n" and len(away.seen) == 5


def test_429_is_waited_for(anyone):
    def answer(request: bytes, number: int) -> bytes:
        return problem("429 Too Many Requests", "Retry-After: 1") if number == 1 else OK

    with door(answer) as busy:
        anyone("show", "7K3F9QX0M2TB", "--json", "--address", busy.address)
        assert len(busy.seen) == 2


def test_429_with_a_long_wait_is_told(anyone):
    with door(lambda request, number: problem("429 Too Many Requests", "Retry-After: 3600")) as busy:
        done = anyone("whoami", "--address", busy.address)
        assert done.code == 6 and len(busy.seen) == 1


def test_429_is_not_waited_for_without_an_end(monkeypatch):
    slept = list[float]()
    monkeypatch.setattr("countersign_cli.api.time.sleep", slept.append)
    with door(lambda request, number: problem("429 Too Many Requests", "Retry-After: 100")) as busy:
        with pytest.raises(Refused) as refused:
            Api(busy.address, "csn_x").get("/me")
        assert refused.value.exit_code == 6 and slept == [100, 100, 100]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\nConnection: close\r\n\r\nHi.\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{",
    ],
)
def test_what_is_no_countersign_is_told_and_gets_no_second_call(anyone, answer):
    with door(lambda request, number: answer) as other:
        done = anyone("whoami", "--address", other.address)
        assert done.code == 6 and "not as Countersign does" in done.err and len(other.seen) == 1


def test_names_cannot_move_the_cursor(anyone):
    name = "\\u001b[2J\\u202eEve\\u0000\\u009b31m"
    body = (
        f'{{"person": {{"name": "{name}", "email": "e@example.com"}}, '
        '"token": {"name": "t", "scopes": [], "expires_at": null}}'
    )
    answer = problem("200 OK", body=body).replace(b"application/problem+json", b"application/json")
    with door(lambda request, number: answer) as hostile:
        done = anyone("whoami", "--table", "--address", hostile.address)
        assert done.code == 0 and "[2JEve31m (e@example.com)" in done.out
        assert all(sign.isprintable() or sign == "\n" for sign in done.out)
        refusal = problem("404 Not Found", body=f'{{"type": "/api/docs#not-found", "detail": "No {name}."}}')
    with door(lambda request, number: refusal) as hostile:
        done = anyone("whoami", "--address", hostile.address)
        assert done.code == 4 and done.err == "Error: No [2JEve31m.\n"


def test_json_cannot_move_the_cursor_and_is_the_same_value(anyone):
    name = "\\u001b[2J\\u202eEve\\u009b31m\\u007f\\u0085é"
    body = (
        f'{{"person": {{"name": "{name}", "email": "e", "is_admin": false}}, "token": {{"name": "t", "scopes": []}}}}'
    )
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    sent = f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()
    with door(lambda request, number: sent) as eve:
        seen = anyone.on_a_terminal("whoami", "--json", "--address", eve.address)
    assert json.loads(seen.out)["person"]["name"] == "\x1b[2J\u202eEve\x9b31m\x7f\x85é"
    assert not set(seen.out) & set("\x1b\u202e\x9b\x7f\x85") and "é" in seen.out
