"""Reads and writes the files. What is wrong in one is told with its line."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from countersign_cli.failures import Exit, Failure

from . import shape
from .shape import Shape

# Folder below the one that is given; a file for each app.
FOLDER = "apps"
# More than anybody writes.
LARGEST = 1_000_000
_TAG = "tag:yaml.org,2002:"


@dataclass
class AppFile:
    """A file that was read: the app as it should be, and on which line each setting stands ("policy.steps.0.days")."""

    path: Path
    app: Shape
    lines: dict[str, int] = field(default_factory=dict)
    # Field → the name that it has on the server so far.
    renamed: dict[str, str] = field(default_factory=dict)

    def at(self, setting: str) -> str:
        """Where a setting stands, or what holds it: apps/figma.yaml:12."""
        while setting and setting not in self.lines:
            setting = setting.rpartition(".")[0]
        return f"{FOLDER}/{self.path.name}:{self.lines.get(setting, 1)}"


class _Reader:
    """Walks the nodes of one file, and collects what is wrong with it."""

    def __init__(self, file: AppFile) -> None:
        self.file = file
        self.wrong: list[tuple[int, str]] = []

    def fail(self, node: yaml.Node, sentence: str) -> None:
        self.wrong.append((node.start_mark.line + 1, sentence))

    def settings(self, node: yaml.Node, path: str, known: Sequence[str]) -> Iterator[tuple[str, str, yaml.Node]]:
        """(name, path, value) of a mapping; a name that is unknown or there twice is told."""
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"Write settings here, one on each line: {', '.join(known)}.")
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"Did you mean “{near[0]}”?" if near else f"There are: {', '.join(known)}."
                self.fail(key, f"There is no setting “{name[:60]}” here. {hint}")
            elif name in seen:
                self.fail(key, f"“{name}” is here twice. Remove one.")
            else:
                seen.add(name)
                inner = f"{path}.{name}" if path else name
                self.file.lines[inner] = key.start_mark.line + 1
                yield name, inner, value

    def named(self, node: yaml.Node, path: str) -> Iterator[tuple[str, str, yaml.Node]]:
        """The same for names of the writer's own."""
        names = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else ["NAME: VALUE"]
        return self.settings(node, path, [str(name) for name in names])

    def items(self, node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
        if _is_empty(node):
            return
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, "Write a list here: each item on a line that begins with a hyphen.")
            return
        for number, one in enumerate(node.value):
            self.file.lines[f"{path}.{number}"] = one.start_mark.line + 1
            yield f"{path}.{number}", one

    def text(self, node: yaml.Node) -> str:
        """As it was typed: an option “No” is no false."""
        if _is_empty(node):
            return ""
        if not isinstance(node, yaml.ScalarNode):
            self.fail(node, "Write a text here.")
            return ""
        return str(node.value)

    def texts(self, node: yaml.Node, path: str) -> list[str]:
        return [self.text(one) for _, one in self.items(node, path)]

    def flag(self, node: yaml.Node) -> bool:
        if node.tag != f"{_TAG}bool" or not isinstance(node, yaml.ScalarNode):
            self.fail(node, "Write true or false.")
            return False
        return node.value.lower() in ("true", "yes", "on")

    def days(self, node: yaml.Node) -> int:
        if node.tag != f"{_TAG}int" or not isinstance(node, yaml.ScalarNode) or not node.value.isdecimal():
            self.fail(node, "Write a whole number of days.")
            return 0
        return int(node.value)

    def choice(self, node: yaml.Node, known: Sequence[str]) -> str:
        given = self.text(node)
        if given not in known:
            self.fail(node, f"Write one of: {', '.join(known)}.")
        return given

    def principal(self, node: yaml.Node, path: str) -> Shape | None:
        """{"person": email} or {"group": name}."""
        if _is_empty(node):
            return None
        found = {name: self.text(value) for name, _, value in self.settings(node, path, ("person", "group"))}
        if len(found) != 1 or not all(found.values()):
            self.fail(node, "Write “person: EMAIL” or “group: NAME”.")
            return None
        if "person" in found:
            found["person"] = found["person"].lower()
        return found

    def app(self, node: yaml.Node) -> None:
        app = self.file.app
        readers: dict[str, Callable[[yaml.Node, str], Any]] = {
            "owner": self.principal,
            "audience": lambda value, path: sorted(self.texts(value, path)),
            "requestable": lambda value, _: self.flag(value),
            "fields": lambda value, path: [self.field(one, inner) for inner, one in self.items(value, path)],
            "policy": self.policy,
        }
        for name, path, value in self.settings(node, "", tuple(shape.APP)):
            app[name] = readers[name](value, path) if name in readers else self.text(value)
        app["id"] = app["id"] or None
        if not app["name"]:
            self.fail(node, "Write the name of the app: “name: Figma”.")
        self._check_fields(app)

    def _check_fields(self, app: Shape) -> None:
        names = [one["name"] for one in app["fields"]]
        for number, name in enumerate(names):
            if name and names.index(name) != number:
                self.wrong.append((self.file.lines[f"fields.{number}"], f"There are two fields “{name}”."))
        for number, step in enumerate(app["policy"]["steps"]):
            for name in step["fields"]:
                if name not in names:
                    path = f"policy.steps.{number}.fields.{name}"
                    self.wrong.append((self.file.lines[path], f"The app has no field “{name[:60]}”. Add it to fields."))

    def field(self, node: yaml.Node, path: str) -> Shape:
        made, renamed, default = shape.new(shape.FIELD), "", None
        for name, inner, value in self.settings(node, path, (*shape.FIELD, "renamed_from")):
            if name == "renamed_from":
                renamed = self.text(value)
            elif name == "default":
                default = value
            elif name == "options":
                made[name] = self.texts(value, inner)
            elif name == "required":
                made[name] = self.flag(value)
            elif name in ("kind", "requester"):
                made[name] = self.choice(value, shape.KINDS if name == "kind" else shape.SEES)
            else:
                made[name] = self.text(value)
        if not made["name"] or not made["kind"]:
            self.fail(node, "A field needs a name and a kind.")
        if default is not None and not _is_empty(default):
            made["default"] = self.value(default, f"{path}.default", made["kind"])
        if renamed:
            self.file.renamed[made["name"]] = renamed
        return made

    def value(self, node: yaml.Node, path: str, kind: str) -> Any:
        """The default of a field, of the type that its kind has."""
        if kind == "choices":
            return self.texts(node, path)
        if kind == "yes_no":
            return self.flag(node)
        if kind != "number":
            return self.text(node)
        try:
            number = float(self.text(node))
        except ValueError:
            self.fail(node, "Write a number.")
            return None
        return int(number) if number.is_integer() else number

    def policy(self, node: yaml.Node, path: str) -> Shape:
        made = shape.new(shape.POLICY)
        for name, inner, value in self.settings(node, path, tuple(shape.POLICY)):
            if name == "days":
                made[name] = self.days(value)
            elif name == "assurance":
                made[name] = self.choice(value, shape.ASSURANCES)
            elif name == "steps":
                made[name] = [self.step(one, at) for at, one in self.items(value, inner)]
            elif name == "outcomes":
                for state, at, one in self.settings(value, inner, tuple(shape.OUTCOMES)):
                    made[name][state] = self.outcome(one, at, state)
            else:
                made[name] = self.flag(value)
        return made

    def step(self, node: yaml.Node, path: str) -> Shape:
        made = shape.new(shape.STEP)
        for name, inner, value in self.settings(node, path, tuple(shape.STEP)):
            if name == "approver":
                made[name] = self.principal(value, inner)
            elif name == "days":
                made[name] = None if _is_empty(value) else self.days(value)
            else:
                seen = {of: self.choice(word, shape.SEES) for of, _, word in self.named(value, inner)}
                made[name] = {of: word for of, word in seen.items() if word != "hidden"}
        if made["approver"] is None:
            self.fail(node, "A step needs an approver: “person: EMAIL” or “group: NAME”.")
        return made

    def outcome(self, node: yaml.Node, path: str, state: str) -> Shape:
        made = shape.new(shape.OUTCOMES[state])
        for name, inner, value in self.settings(node, path, tuple(made)):
            if name in ("requester", "approvers"):
                made[name] = self.flag(value)
            else:
                made[name] = self.text(value) if name == "words" else self.texts(value, inner)
        return made


def _is_empty(node: yaml.Node) -> bool:
    return bool(node.tag == f"{_TAG}null")


def read(folder: Path) -> list[AppFile]:
    """Every file of the folder. Raises Failure with all that is wrong, each with its file and line."""
    if not folder.is_dir():
        raise Failure(Exit.USAGE, f"There is no folder {folder}. Make one with: countersign policy export {folder}")
    found, wrong = [], []
    for path in sorted((folder / FOLDER).glob("*.y*ml")):
        file, faults = read_file(path)
        found.append(file)
        wrong += [f"{FOLDER}/{path.name}:{line}: {sentence}" for line, sentence in faults]
    for what in ("id", "name"):
        seen: dict[str, AppFile] = {}
        for file in found:
            value = file.app[what]
            if value and value in seen:
                wrong.append(f"{file.at(what)}: The same {what} is in {seen[value].at(what)}.")
            seen[value or ""] = file
    if wrong:
        count = "1 mistake" if len(wrong) == 1 else f"{len(wrong)} mistakes"
        raise Failure(Exit.USAGE, f"{count} in the files; nothing was changed.", *wrong)
    return found


def read_file(path: Path) -> tuple[AppFile, list[tuple[int, str]]]:
    """The file, and what is wrong with it: (line, sentence)."""
    file = AppFile(path, shape.new(shape.APP))
    try:
        if path.stat().st_size > LARGEST:
            return file, [(1, "This file is too large.")]
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return file, [(mark.line + 1 if mark else 1, f"This is not YAML: {error.problem or error.context}.")]
    except (yaml.YAMLError, UnicodeDecodeError):
        return file, [(1, "This is not YAML in UTF-8.")]
    except RecursionError:
        return file, [(1, "This file is nested too deeply.")]
    except OSError as error:
        raise Failure(Exit.USAGE, f"{path} cannot be read: {error.strerror}.") from None
    if node is None:
        return file, [(1, "This file is empty. Remove it, or write the app’s settings.")]
    reader = _Reader(file)
    reader.app(node)
    return file, sorted(reader.wrong)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # it comes without types
    """Texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(f"{_TAG}str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def written(app: Shape) -> str:
    """The app as a file."""
    made = yaml.dump(shape.short(app), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return str(made)


def name_of(app: str, taken: set[str]) -> str:
    """A file name for an app: “adobe-creative-cloud.yaml”; with a number if there is one of that name."""
    plain = unicodedata.normalize("NFKD", app).encode("ascii", "ignore").decode().lower()
    base = "-".join(re.findall(r"[a-z0-9]+", plain))[:60] or "app"
    number = 1
    while (name := f"{base}-{number}.yaml" if number > 1 else f"{base}.yaml") in taken:
        number += 1
    return name
