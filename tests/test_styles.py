"""The style sheet and the scripts are small, and nothing in them is dead or said twice."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from webapp.config import PROJECT
from webapp.web import assets

STYLES = sorted((assets.SOURCE / "css").rglob("*.css"))
# Style sheets of single pages, which load them after app.css.
PAGE_STYLES = sorted(assets.SOURCE.glob("*.css"))
SCRIPTS = sorted((assets.SOURCE / "js").rglob("*.js"))
TEMPLATES = sorted(path for path in (PROJECT / "templates").rglob("*") if path.suffix in (".html", ".txt"))
TABLER = assets.SOURCE / "vendor" / "tabler-1.6.1.min.css"

# Classes whose names are put together: `is-{{ value }}`, `hue-{hue}`.
BUILT = {f"hue-{number}" for number in range(1, 13)} | {"is-write", "is-approved", "is-denied", "is-expired"}

Rule = tuple[tuple[str, ...], tuple[str, ...]]


def css(path: Path) -> str:
    return re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)


def rules(text: str) -> Iterator[Rule]:
    """Each block with declarations of its own: the selectors and conditions around it, outermost first, and those."""
    around: list[str] = []
    bodies: list[list[str]] = []
    # Strings and brackets may hold what ends a declaration elsewhere.
    for part in re.findall(r"""(?:"[^"]*"|\((?:"[^"]*"|[^()"]|\([^()]*\))*\)|[^{};"(])*[{};]?""", text):
        words = " ".join(part[:-1].split())
        if part.endswith("{"):
            around.append(words)
            bodies.append([])
        elif part.endswith(";") and bodies:
            bodies[-1].append(words)
        elif part.endswith("}"):
            if body := bodies.pop():
                yield tuple(around), tuple(body)
            around.pop()


def all_rules() -> Iterator[Rule]:
    for path in (*STYLES, *PAGE_STYLES):
        yield from rules(css(path))


def declarations() -> str:
    return "\n".join(line for _, body in all_rules() for line in body)


def test_the_parser_reads_nested_rules_and_what_looks_like_their_ends():
    text = 'a { b: url("x;{y}"); &:is(.c, .d) { e: f; } @media (max-width: 1px) { g: h(i(j)); k: l; } }'
    assert list(rules(text)) == [
        (("a", "&:is(.c, .d)"), ("e: f",)),
        (("a", "@media (max-width: 1px)"), ("g: h(i(j))", "k: l")),
        (("a",), ('b: url("x;{y}")',)),
    ]


def test_each_class_occurs_where_markup_is_made():
    makers = [*TEMPLATES, *SCRIPTS, *(PROJECT / "webapp").rglob("*.py"), *(assets.SOURCE / "vendor").glob("htmx*.js")]
    words = {word for path in makers for word in re.findall(r"[\w-]+", path.read_text())} | BUILT
    selectors = " ".join(selector for around, _ in all_rules() for selector in around if not selector.startswith("@"))
    assert set(re.findall(r"\.([a-zA-Z][\w-]*)", selectors)) - words == set()


def test_each_custom_property_that_is_used_is_defined_and_the_other_way_round():
    text = declarations()
    defined = set(re.findall(r"^(--[\w-]+):", text, re.MULTILINE))
    used = set(re.findall(r"var\((--[\w-]+)", text))
    tabler = set(re.findall(r"--tblr-[\w-]+", TABLER.read_text()))
    assert used - defined - tabler == set()
    assert defined - used - tabler == set()


def test_no_two_rules_say_the_same():
    """Of five declarations and more, under the same conditions: four that agree are often only layout."""
    seen: dict[tuple, tuple[str, ...]] = {}
    twice = []
    for around, body in all_rules():
        key = (tuple(part for part in around if part.startswith("@")), tuple(sorted(body)))
        if len(body) >= 5 and key in seen:
            twice.append((seen[key], around))
        seen[key] = around
    assert twice == []


def test_the_style_sheet_names_each_of_its_parts_once():
    first = assets.SOURCE / "css" / "app.css"
    named = re.findall(r'@import url\("(?!\.\./)([^"]+)"\)', first.read_text())
    assert sorted(named) == sorted(path.relative_to(first.parent).as_posix() for path in STYLES if path != first)


def test_each_script_is_part_of_one_that_pages_load():
    parts = [part for bundle in assets.SCRIPTS.values() for part in bundle]
    assert sorted(parts) == sorted(path.relative_to(assets.SOURCE).as_posix() for path in SCRIPTS)


def test_a_part_that_is_missing_is_an_error():
    with pytest.raises(KeyError, match="gone"):
        assets.join({"css/app.css": b'@import url("gone.css") layer(base);'})


def test_parts_come_in_their_layers_and_find_what_they_name():
    parts = {
        "css/app.css": b'@import url("../b.css");\n@import url("a.css") layer(base);',
        "css/a.css": b"/* Why\n   it is. */\na {}\n",
    }
    scripts = {part: b"let x = 1;\n" for bundle in assets.SCRIPTS.values() for part in bundle}
    joined = assets.join(parts | scripts)
    assert joined["app.css"] == b'@import url("b.css");\n@layer base {\na {}\n}'
    assert joined["sort.js"] == b'(() => {\n"use strict";\nlet x = 1;\n})();\n'
    assert not any(name.startswith(("css/", "js/")) for name in joined)


def test_no_file_is_long():
    for path in (*STYLES, *PAGE_STYLES, *SCRIPTS):
        assert len(path.read_text().splitlines()) <= 400, path.name
    assert sum(len(path.read_text().splitlines()) for path in STYLES) < 4_000


def test_no_line_of_a_template_is_long():
    long = [
        f"{path.relative_to(PROJECT)}:{number}"
        for path in TEMPLATES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if len(line) > 160
    ]
    assert long == []
