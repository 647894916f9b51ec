"""who-has, what-has."""

from collections.abc import Callable

import click

from countersign_cli import names
from countersign_cli.api import Json
from countersign_cli.failures import Refused
from countersign_cli.session import Session, asks, at

_STATE = click.option("--all", "everything", is_flag=True, help="Also access that has ended.")


@click.command("who-has")
@click.argument("app")
@_STATE
@asks
def who_has(session: Session, app: str, everything: bool) -> None:
    """List who has access to APP, by its name or id: for its owners and admins; others see their own access."""
    key = names.app(session.api, app, manage=True)["id"]
    found = list(session.api.items("/grants", app=key, state=None if everything else "active"))
    _table(session, found, "Person", lambda one: one["person"]["name"], "No one that you can see has this app.")


@click.command("what-has")
@click.argument("person")
@_STATE
@asks
def what_has(session: Session, person: str, everything: bool) -> None:
    """List the apps of PERSON, by email address, name or id; “me” for your own."""
    try:
        key = names.person(session.api, person)["id"]
    except Refused as error:
        if error.status == 404:
            error.more.append("Only admins look people up by name. Give the person’s id, or “me”.")
        raise
    found = list(session.api.items("/grants", person=key, state=None if everything else "active"))
    _table(session, found, "App", lambda one: one["app"]["name"], "There is no access that you can see.")


def _table(session: Session, found: list[Json], head: str, name: Callable[[Json], object], nothing: str) -> None:
    session.table(found, {
        head: name,
        "Since": lambda one: at(one["created_at"]),
        "Until": lambda one: at(one["removed_at"] or one["ends_at"]),
        "How": lambda one: _how(one),
        "Fields": lambda one: ", ".join(f"{of}: {_value(value)}" for of, value in one["fields"].items()),
    }, nothing)  # fmt: skip


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _how(one: Json) -> str:
    if one["request"]:
        return "approved"
    return f"given by {one['given_by']['name']}" if one["given_by"] else "added"
