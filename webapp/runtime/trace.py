"""What each log line of one piece of work carries: an id that the lines of the web and of the worker have in common,
who acted, and what it was about, by public ids.

The id of a request goes with the notices that it posts, so the line "was sent" of its email has it, too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from structlog import contextvars

ID = "request_id"


def begin(request_id: str = "") -> str:
    """Forgets what this thread did before; answers the id, a new one unless given."""
    contextvars.clear_contextvars()
    request_id = request_id or uuid4().hex
    contextvars.bind_contextvars(**{ID: request_id})
    return request_id


def end() -> None:
    contextvars.clear_contextvars()


def about(**public_ids: str) -> None:
    """From here on lines name these: actor, person, app, access_request and so on."""
    contextvars.bind_contextvars(**{key: value for key, value in public_ids.items() if value})


def request_id() -> str:
    """The id of the work at hand; "" outside of any."""
    return str(contextvars.get_contextvars().get(ID, ""))


@contextmanager
def work() -> Iterator[None]:
    """A piece of work that nobody asked for over the web."""
    begin()
    try:
        yield
    finally:
        end()


@contextmanager
def part(cause: str, **public_ids: str) -> Iterator[None]:
    """A part of the work at hand that an earlier request caused, and what it is about."""
    named = {key: value for key, value in public_ids.items() if value} | ({ID: cause} if cause else {})
    with contextvars.bound_contextvars(**named):
        yield
