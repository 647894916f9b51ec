"""What each log line of one piece of work has: an id that its lines of web and worker share, the actor, and what it is
about, by public ids.

Notices keep the id of the web request that caused them, so that the worker's lines about the email have it, too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from structlog import contextvars

ID = "request_id"


def begin(request_id: str = "") -> str:
    """Clears this thread's log context; returns the id, a new one unless given."""
    contextvars.clear_contextvars()
    request_id = request_id or uuid4().hex
    contextvars.bind_contextvars(**{ID: request_id})
    return request_id


def end() -> None:
    contextvars.clear_contextvars()


def about(**public_ids: str) -> None:
    """Adds public ids to all later log lines: actor, person, app, access_request and so on."""
    contextvars.bind_contextvars(**{key: value for key, value in public_ids.items() if value})


def request_id() -> str:
    """The id of the current work; "" outside of any."""
    return str(contextvars.get_contextvars().get(ID, ""))


@contextmanager
def work() -> Iterator[None]:
    """A piece of work without a web request."""
    begin()
    try:
        yield
    finally:
        end()


@contextmanager
def part(cause: str, **public_ids: str) -> Iterator[None]:
    """A part of the current work that an earlier web request caused, and what it is about."""
    named = {key: value for key, value in public_ids.items() if value} | ({ID: cause} if cause else {})
    with contextvars.bound_contextvars(**named):
        yield
