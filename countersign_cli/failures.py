"""Why a command fails, with its exit code: docs/cli.md lists them."""

from enum import IntEnum
from typing import IO, Any

import click

from countersign_cli.text import clean


class Exit(IntEnum):
    """Exit codes. A new kind of failure gets a new number; none ever changes its meaning."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    SIGN_IN = 3
    NOT_FOUND = 4
    CONFLICT = 5
    AWAY = 6
    # Of `request --wait`.
    DENIED = 10
    EXPIRED = 11
    CANCELLED = 12
    STILL_PENDING = 13
    # Of `policy plan --check`.
    DIFFERENT = 20


class Failure(click.ClickException):
    """A sentence for people on stderr, and an exit code."""

    def __init__(self, code: Exit, sentence: str, *more: str) -> None:
        super().__init__(clean(sentence))
        self.exit_code = code  # type: ignore[misc]  # a class attribute there, read from the instance
        self.more = [clean(line) for line in more]

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {self.message}", err=True)
        for line in self.more:
            click.echo(f"  {line}", err=True)


class Refused(Failure):
    """What the server refused: `status`, the `name` of the problem and its `error` in the words of RFC 8628."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.name = str(problem.get("type", "")).rpartition("#")[2]
        self.error = str(problem.get("error", ""))
        sentence = str(problem.get("detail") or problem.get("title") or f"The server answered {status}.")
        named = [(str(one.get("field", "")), str(one.get("detail", ""))) for one in problem.get("errors", [])]
        more = [f"{field}: {words}" for field, words in named if field and words != sentence]
        if problem.get("reference"):
            more.append(f"Reference for an admin: {problem['reference']}")
        code = _exit_of(status, self.name)
        if code is Exit.SIGN_IN:
            more.append("Sign in with: countersign login" + (" --scopes …" if self.name == "scope" else ""))
        super().__init__(code, sentence, *more)


def _exit_of(status: int, name: str) -> Exit:
    if status == 401 or name == "scope":
        return Exit.SIGN_IN
    if status == 404:
        return Exit.NOT_FOUND
    if status in (409, 412):
        return Exit.CONFLICT
    if status >= 500 or status == 429:
        return Exit.AWAY
    return Exit.REFUSED
