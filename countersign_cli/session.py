"""What every command gets: where it talks to, by which token, and how it shows what it found."""

import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from countersign_cli import settings
from countersign_cli.failures import Exit, Failure
from countersign_cli.text import as_json, clean, table

if TYPE_CHECKING:
    from countersign_cli.api import Api

View = TypeVar("View", bound=Callable[..., Any])


class Session:
    """One run of a command. `as_json`: whether answers are written as JSON instead of tables."""

    def __init__(self, address: str | None, as_json: bool | None) -> None:
        self._address = address
        self.as_json = as_json if as_json is not None else not sys.stdout.isatty()
        self._api: Api | None = None

    @cached_property
    def address(self) -> str:
        return settings.address_of(self._address)

    @property
    def api(self) -> "Api":
        """The API by the person's token. Raises Failure where nobody is signed in."""
        if self._api is None:
            token = settings.token_of(self.address)
            if not token:
                raise Failure(Exit.SIGN_IN, f"You are not signed in at {self.address}.", "Sign in: countersign login")
            self._api = connect(self.address, token)
        return self._api

    def close(self) -> None:
        if self._api is not None:
            self._api.close()

    def show(self, answer: Any, draw: Callable[[], Sequence[str]]) -> None:
        """The answer as JSON, else what `draw` returns."""
        if self.as_json:
            click.echo(as_json(answer, indent=2))
        else:
            for line in draw():
                click.echo(line)

    def table(self, items: Sequence[Any], columns: dict[str, Callable[[Any], object]], nothing: str) -> None:
        """The items as JSON, else as a table: head → what a row shows below it."""

        def draw() -> Sequence[str]:
            if not items:
                return [nothing]
            rows = [[of(item) for of in columns.values()] for item in items]
            return table([*columns], rows, shutil.get_terminal_size().columns)

        self.show(items, draw)

    def say(self, sentence: str) -> None:
        """What was done, for who reads: not for a pipe, which has the answer."""
        click.echo(clean(sentence), err=self.as_json)


def connect(address: str, token: str) -> "Api":
    from countersign_cli.api import Api  # the HTTP client takes longer to load than all the rest

    return Api(address, token)


def asks(view: View) -> View:
    """Decorator of a command: it gets a Session first, and the options --address, --json and --table."""

    @click.option("--json", "as_json", flag_value=True, type=bool, default=None, help="Write JSON, as on a pipe.")
    @click.option("--table", "as_json", flag_value=False, type=bool, help="Write for people, as on a terminal.")
    @click.option("--address", help=f"Which installation, where you use several. Also: {settings.ADDRESS}.")
    @wraps(view)
    def run(*args: Any, address: str | None, as_json: bool | None, **options: Any) -> Any:
        session = Session(address, as_json)
        try:
            return view(session, *args, **options)
        finally:
            session.close()

    return cast(View, run)


def at(instant: str | None) -> str:
    """An instant of the API in the reader's own zone: 2026-11-30 09:06."""
    if not instant:
        return ""
    return datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M")


def facts(pairs: Sequence[tuple[str, object]]) -> list[str]:
    """Name and value in two columns; those without a value are left out."""
    shown = [(name, clean(value)) for name, value in pairs if value not in (None, "")]
    size = max((len(name) for name, _ in shown), default=0)
    return [f"{name:{size}}  {value}" for name, value in shown]


def fields_of(given: Sequence[str]) -> dict[str, str | list[str]]:
    """--field "Role=Read only" → {"Role": "Read only"}; given twice, a list."""
    found: dict[str, str | list[str]] = {}
    for one in given:
        name, is_there, value = one.partition("=")
        if not is_there or not name.strip():
            raise click.UsageError(f"Write --field NAME=VALUE, not “{clean(one)[:60]}”.")
        before = found.get(name.strip())
        if before is None:
            found[name.strip()] = value
        else:
            found[name.strip()] = [*before, value] if isinstance(before, list) else [before, value]
    return found
