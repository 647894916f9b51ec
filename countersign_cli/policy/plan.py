"""What would be changed: each file against the server, as a difference that people read."""

import difflib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

from countersign_cli.api import Api
from countersign_cli.failures import Exit, Failure
from countersign_cli.text import clean

from . import files, server
from .files import AppFile
from .server import Names, ServerApp
from .shape import Shape


@dataclass
class Change:
    """What becomes of one app. `wanted` is the file's shape, with what stays although the file does not name it."""

    action: Literal["create", "change", "archive"]
    name: str
    file: AppFile | None
    there: ServerApp | None
    wanted: Shape | None
    # Ids of fields that are archived.
    fields_to_archive: Sequence[str] = ()

    def difference(self) -> list[str]:
        """Lines that begin with +, - or a space."""
        before = files.written(self.there.app).splitlines() if self.there is not None else []
        after = files.written(self.wanted).splitlines() if self.wanted is not None else []
        lines = difflib.unified_diff(before, after, n=2, lineterm="")
        return [clean(line) for line in list(lines)[2:] if not line.startswith("@@")]


@dataclass
class Plan:
    """The changes, and what is on the server only and stays."""

    changes: list[Change]
    left_alone: list[str]


def make(found: Sequence[AppFile], there: Sequence[ServerApp], api: Api, names: Names, *, prune: bool) -> Plan:
    """Compares. Raises Failure with what the files name and the server does not have."""
    by_id = {one.id: one for one in there}
    by_name = {one.app["name"]: one for one in there}
    changes: list[Change] = []
    alone: list[str] = []
    wrong: list[str] = []
    named: set[str] = set()
    for file in found:
        app = file.app
        present = by_id.get(app["id"]) if app["id"] else by_name.get(app["name"])
        wrong += _unknown(file, names)
        if app["id"] and present is None:
            what = "is archived. Restore it first" if server.archived(api, app["id"]) else "does not exist here"
            wrong.append(f"{file.at('id')}: The app with this id {what}, or remove the line to create a new app.")
            continue
        if present is None:
            changes.append(Change("create", app["name"], file, None, app))
            continue
        if present.id in named:
            wrong.append(f"{file.at('name')}: Another file names the same app.")
        named.add(present.id)
        wrong += _other_kinds(file, present)
        wanted, archived, kept = _merged(file, present, prune=prune)
        alone += [f"{app['name']}: the field {one}" for one in kept]
        if wanted != present.app:
            changes.append(Change("change", present.app["name"], file, present, wanted, archived))
    for one in there:
        if one.id in named:
            continue
        if prune:
            changes.append(Change("archive", one.app["name"], None, one, None))
        else:
            alone.append(one.app["name"])
    if wrong:
        count = "1 mistake" if len(wrong) == 1 else f"{len(wrong)} mistakes"
        raise Failure(Exit.USAGE, f"{count} in the files; nothing was changed.", *wrong)
    return Plan(changes, alone)


def old_name(file: AppFile, name: str, present: Shape) -> str:
    """The name on the server of a field of the file: another one while it is to be renamed."""
    there = {one["name"] for one in present["fields"]}
    before = file.renamed.get(name, "")
    return before if name not in there and before in there else name


def _merged(file: AppFile, present: ServerApp, *, prune: bool) -> tuple[Shape, list[str], list[str]]:
    """The file's shape with the fields that it does not name and that stay; ids of fields to archive; names of those
    that stay."""
    wanted = deepcopy(file.app)
    wanted["id"] = present.id
    named = {old_name(file, one["name"], present.app) for one in wanted["fields"]}
    more = [one for one in present.fields if one["name"] not in named]
    kept = [] if prune else [one["name"] for one in more]
    _insert_kept_fields(wanted["fields"], file, present.app, kept)
    before = {str(step["approver"]): step["fields"] for step in present.app["policy"]["steps"]}
    for step in wanted["policy"]["steps"]:
        seen = before.get(str(step["approver"]), {})
        shown = step["fields"] | {name: word for name, word in seen.items() if name in kept}
        # In one order, so that the difference shows changes only.
        step["fields"] = {one["name"]: shown[one["name"]] for one in wanted["fields"] if one["name"] in shown}
    return wanted, [str(one["id"]) for one in more] if prune else [], kept


def _insert_kept_fields(fields: list[Shape], file: AppFile, present: Shape, kept: Sequence[str]) -> None:
    """Fields that stay are put behind the field that they stand behind on the server, so that nothing is moved."""
    place = 0
    for one in present["fields"]:
        if one["name"] in kept:
            fields.insert(place, one)
            place += 1
            continue
        names = [old_name(file, other["name"], present) for other in fields]
        if one["name"] in names:
            place = names.index(one["name"]) + 1


def _unknown(file: AppFile, names: Names) -> Iterator[str]:
    """People and groups that the server does not have."""
    app = file.app
    principals = [("owner", app["owner"])]
    principals += [
        (f"policy.steps.{number}.approver", step["approver"]) for number, step in enumerate(app["policy"]["steps"])
    ]
    for path, principal in principals:
        try:
            names.given(principal)
        except LookupError as error:
            yield f"{file.at(f'{path}.{next(iter(principal or {}))}')}: {error}"
    for name in app["audience"]:
        if name not in names.groups:
            yield f"{file.at('audience')}: There is no group “{name[:60]}”."


def _other_kinds(file: AppFile, present: ServerApp) -> Iterator[str]:
    """The kind of a field never changes, because people have values of it."""
    kinds = {one["name"]: one["kind"] for one in present.app["fields"]}
    for number, one in enumerate(file.app["fields"]):
        kind = kinds.get(old_name(file, one["name"], present.app), one["kind"])
        if kind != one["kind"]:
            yield (
                f"{file.at(f'fields.{number}.kind')}: The field “{one['name'][:60]}” is of the kind {kind}, which "
                "never changes. Give the new one another name."
            )
