"""policy export, plan, apply."""

import sys
from pathlib import Path

import click

from countersign_cli.failures import Exit, Failure
from countersign_cli.session import Session, asks
from countersign_cli.text import clean

from . import apply as applying
from . import files, server
from . import plan as planning
from .plan import Plan

_DIR = click.Path(file_okay=False, path_type=Path)
_PRUNE = click.option("--prune", is_flag=True, help="Archive apps and fields that the files do not name.")


@click.group("policy")
def policy() -> None:
    """Keep apps, their fields and their rules as YAML files, in git: your own, for admins all.

    Sign in for it with: countersign login --admin."""


@policy.command("export")
@click.argument("folder", metavar="DIR", type=_DIR)
@asks
def export(session: Session, folder: Path) -> None:
    """Write a file for each app into DIR. A file that says the same already stays as it is, with its comments."""
    names = server.Names(session.api)
    there = server.load(session.api, names)
    place = folder / files.FOLDER
    present = {}
    for path in sorted(place.glob("*.y*ml")):
        present[path.name] = files.read_file(path)[0]
    by_id = {file.app["id"]: file for file in present.values() if file.app["id"]}
    by_name = {file.app["name"]: file for file in present.values()}
    taken, written, same = set(present), [], 0
    for one in there:
        file = by_id.get(one.id) or by_name.get(one.app["name"])
        if file is not None and file.app | {"id": one.id} == one.app:
            same += 1
            continue
        name = file.path.name if file is not None else files.name_of(one.app["name"], taken)
        taken.add(name)
        _write(place / name, files.written(one.app))
        written.append(f"{files.FOLDER}/{name}")
    session.show(
        {"written": written, "unchanged": same},
        lambda: [f"{_count(len(written), 'file')} written to {clean(folder)}, {same} unchanged."],
    )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(Exit.USAGE, f"{path} cannot be written: {error.strerror}.") from None


@policy.command("plan")
@click.argument("folder", metavar="DIR", type=_DIR)
@_PRUNE
@click.option("--check", is_flag=True, help="Exit with 20 if there is something to do, for a job that watches.")
@asks
def plan(session: Session, folder: Path, prune: bool, check: bool) -> None:
    """Show what `apply` would change, and change nothing."""
    made, _ = _planned(session, folder, prune=prune)
    _show(session, made)
    if check and made.changes:
        raise SystemExit(int(Exit.DIFFERENT))


@policy.command("apply")
@click.argument("folder", metavar="DIR", type=_DIR)
@_PRUNE
@click.option("--yes", is_flag=True, help="Do not ask, for scripts.")
@click.option("--pending", type=click.Choice(["finish"]), help="Where approval is turned off or an app archived: "
              "pending requests stay pending under their own rule.")  # fmt: skip
@asks
def apply(session: Session, folder: Path, prune: bool, yes: bool, pending: str | None) -> None:
    """Make the server as the files say. It shows the changes and asks first."""
    made, names = _planned(session, folder, prune=prune)
    _show(session, made)
    if not made.changes:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise Failure(Exit.USAGE, "Nothing was changed. Add --yes to apply without being asked.")
        click.confirm("Apply these changes?", abort=True, err=True)
    applying.run(made, session.api, names, pending=pending, tell=session.say)


def _planned(session: Session, folder: Path, *, prune: bool) -> tuple[Plan, server.Names]:
    found = files.read(folder)
    names = server.Names(session.api)
    there = server.load(session.api, names)  # first: owners learn from it which groups there are
    return planning.make(found, there, session.api, names, prune=prune), names


_SIGNS = {"create": "+", "change": "~", "archive": "-"}


def _show(session: Session, made: Plan) -> None:
    answer = {
        "changes": [
            {"action": one.action, "app": one.name, "difference": one.difference() if one.action != "archive" else []}
            for one in made.changes
        ],
        "left_alone": made.left_alone,
    }

    def draw() -> list[str]:
        lines: list[str] = []
        for one in made.changes:
            where = f" ({files.FOLDER}/{one.file.path.name})" if one.file is not None else ""
            lines.append(clean(f"{_SIGNS[one.action]} {one.action} {one.name}{where}"))
            if one.action != "archive":
                lines += [f"    {line}" for line in one.difference()]
        if made.left_alone:
            lines.append(clean(f"Only on the server, left alone: {', '.join(made.left_alone)}."))
        lines.append(_sum(made))
        return lines

    session.show(answer, draw)


def _sum(made: Plan) -> str:
    if not made.changes:
        return "Nothing to do: the server is as the files say."
    counts = [(word, sum(one.action == word for one in made.changes)) for word in _SIGNS]
    return ", ".join(f"{count} to {word}" for word, count in counts if count) + "."


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"
