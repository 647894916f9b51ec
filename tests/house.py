"""Draws which folders of webapp/ import which, from the imports themselves.

python -m tests.house            # writes docs/dev/house.md
python -m tests.house --sizes    # prints the modules and lines of each folder, which are not in the file
"""

from __future__ import annotations

import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
WEBAPP = ROOT / "webapp"
FILE = ROOT / "docs" / "dev" / "house.md"
# Drawn apart from its folder. Jobs call operations, which write to the rest of delivery; embedded starts what
# reads the local mailbox and the webhook viewer's store.
APART = ("webapp.delivery.jobs", "webapp.delivery.out_jobs", "webapp.embedded.hookstore", "webapp.embedded.mailstore")

Graph = dict[str, set[str]]


def room(module: str) -> str:
    """The node of a module: its folder ("queries"), else its own name ("links.py"); "" for webapp itself."""
    for one in APART:
        if module == one or module.startswith(f"{one}."):
            return one.removeprefix("webapp.")
    _, _, path = module.partition(".")
    first = path.partition(".")[0]
    return first if not first or (WEBAPP / first).is_dir() else f"{first}.py"


def imports() -> Graph:
    """Node → the nodes that it imports directly."""
    graph = grimp.build_graph("webapp", cache_dir=None)
    found: Graph = {}
    for module in graph.modules:
        here = room(module)
        for other in graph.find_modules_directly_imported_by(module):
            if here and (there := room(other)) and there != here:
                found.setdefault(here, set()).add(there)
                found.setdefault(there, set())
    return found


def levels(graph: Graph) -> dict[str, int]:
    """Node → its storey: 0 for those that import no other, else one above the highest that it imports. Raises
    ValueError for nodes that import each other in a circle."""
    found: dict[str, int] = {}
    left = dict(graph)
    while left:
        ready = [node for node, below in left.items() if below <= found.keys()]
        if not ready:
            raise ValueError(f"These import each other in a circle: {', '.join(sorted(left))}")
        for node in ready:
            found[node] = 1 + max((found[one] for one in left.pop(node)), default=-1)
    return found


def arrows(graph: Graph) -> list[tuple[str, str]]:
    """The imports without those that go through a third node anyway, which would hide the others."""
    storey = levels(graph)
    below: Graph = {}
    for node in sorted(graph, key=storey.__getitem__):
        below[node] = graph[node].union(*(below[one] for one in graph[node]))
    return sorted(
        (node, one)
        for node, others in graph.items()
        for one in others
        if not any(one in below[third] for third in others - {one})
    )


def drawing() -> str:
    graph = imports()
    folders = {node: {one for one in below if not one.endswith(".py")} for node, below in graph.items()
               if not node.endswith(".py")}  # fmt: skip
    storey = levels(graph)
    ordered = sorted(graph, key=lambda node: (-storey[node], node))
    lines = [
        "# The house",
        "",
        "<!-- Written by `python -m tests.house` from the imports; a test fails when it is not what that writes. -->",
        "",
        "Which folder of `webapp/` imports which. An arrow means “imports”; one that only repeats a way over other",
        "arrows is left out. No two import each other, also not by way of the modules beside them (`links.py` and so",
        "on). Who may import whom is in `pyproject.toml` (`[tool.importlinter]`); `python -m tests.house --sizes`",
        "counts modules and lines.",
        "",
        "```mermaid",
        "flowchart TD",
        *(f'    {_id(node)}["{node}"]' for node in ordered if node in folders),
        *(f"    {_id(node)} --> {_id(one)}" for node, one in arrows(folders)),
        "```",
        "",
        "All imports of folders by folders, from the top down:",
        "",
        "| folder | imports |",
        "|---|---|",
        *(f"| `{node}` | {', '.join(sorted(folders[node])) or '–'} |" for node in ordered if node in folders),
        "",
    ]
    return "\n".join(lines)


def _id(node: str) -> str:
    return node.replace(".", "_")


def sizes() -> str:
    counted: dict[str, tuple[int, int]] = {}
    for path in WEBAPP.rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        modules, lines = counted.get(room(module), (0, 0))
        counted[room(module)] = modules + 1, lines + len(path.read_text().splitlines())
    rows = sorted(counted.items(), key=lambda one: -one[1][1])
    return "\n".join(f"{lines:7,} lines  {modules:4} modules  {node or 'webapp'}" for node, (modules, lines) in rows)


if __name__ == "__main__":
    if "--sizes" in sys.argv:
        print(sizes())
    else:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(drawing())
        print(f"wrote {FILE.relative_to(ROOT)}")
