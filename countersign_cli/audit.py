"""audit tail."""

import time

import click

from countersign_cli.api import Json
from countersign_cli.session import Session, asks, at
from countersign_cli.text import as_json, clean

# Seconds between two looks of -f.
LOOK = 2.0


@click.group("audit")
def audit() -> None:
    """Read the audit log. For admins: countersign login --admin."""


@audit.command("tail")
@click.option("--lines", "-n", "number", default=20, type=click.IntRange(1), show_default=True, help="So many entries.")
@click.option("--follow", "-f", is_flag=True, help="Go on with new ones until Ctrl-C.")
@click.option("--topic", help="Only: requests, access, rules, people, sign-in, installation.")
@click.option("--kind", help="Only this kind of entry, as app.archived.")
@asks
def tail(session: Session, number: int, follow: bool, topic: str | None, kind: str | None) -> None:
    """Show the newest entries of the audit log, oldest first; on a pipe as a line of JSON each."""
    found = list(session.api.items("/audit/events", limit=number, topic=topic, kind=kind))
    _write(session, found)
    seen = found[0]["seq"] if found else 0
    while follow:
        time.sleep(LOOK)
        found = list(session.api.items("/audit/events", after_seq=seen, topic=topic, kind=kind))
        _write(session, found)
        seen = found[0]["seq"] if found else seen


def _write(session: Session, newest_first: list[Json]) -> None:
    for one in reversed(newest_first):
        if session.as_json:
            click.echo(as_json(one))
        else:
            by = f" (token {one['token']['name']})" if one["token"] else ""
            click.echo(clean(f"{one['seq']:>7}  {at(one['at'])}  {one['sentence']}{by}"))
