"""A page without its words: its tags and attributes, to compare what hostile and plain words make of it."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"script", "link", "meta", "img", "input", "use", "br", "hr"}


class Skeleton(HTMLParser):
    """The tags of a page with the names of their attributes; its text; and where it points to."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.values: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(sorted(name for name, _ in attrs))))
        for name, value in attrs:
            self.values.append(value or "")
            if name in ("href", "src", "action", "formaction", "hx-get", "hx-post", "hx-include", "poster"):
                self.addresses.append(value or "")

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())
