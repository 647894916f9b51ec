"""What the admin's pages share: the blueprint, the place in a list, and the answer to a change."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.text import one_line
from webapp.web import htmx

bp = Blueprint("admin", __name__, url_prefix="/admin")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the reader is in a list: what was searched for, and the key the page starts from."""

    q: str
    after: str
    before: str
    state: str = ""
    category: str = ""
    owner: str = ""
    sort: str = ""

    @property
    def words(self) -> list[str]:
        return self.q.split()[:8]

    def at(self, **key: str) -> str:
        """The query string of a neighbouring page."""
        names = ("q", "state", "category", "owner", "sort")
        values = {name: getattr(self, name) for name in names} | key
        return "?" + urlencode({name: value for name, value in values.items() if value})

    def turned(self, column: str, *, first: str = "") -> str:
        """What sorts by this column; by the one that sorts already, the other way round. `first` is "-" for a column
        that begins with the largest."""
        if column == (self.sort or "name").removeprefix("-"):
            return column if self.sort.startswith("-") else f"-{column}"
        return f"{first}{column}" if column != "name" else ""

    def sorts(self, column: str) -> str:
        """Its aria-sort, or ""."""
        if column != (self.sort or "name").removeprefix("-"):
            return ""
        return "descending" if self.sort.startswith("-") else "ascending"

    @property
    def is_whole(self) -> bool:
        """Whether all of the list is shown, page by page."""
        return not (self.q or self.state or self.category or self.owner)

    @property
    def query(self) -> str:
        """The query string of this very page, or ""."""
        query = self.at(after=self.after, before=self.before)
        return query if query != "?" else ""

    @property
    def here(self) -> str:
        return request.path + self.query


def place(*states: str, sorts: Iterable[str] = ()) -> Place:
    """`states` are those that the list can be filtered by, `sorts` the columns that it can be sorted by."""
    args = request.args
    state, sort = args.get("state", ""), args.get("sort", "")
    return Place(
        words_of(args.get("q", "")),
        args.get("after", "")[:12],
        args.get("before", "")[:12],
        state if state in states else "",
        words_of(args.get("category", "")),
        words_of(args.get("owner", "")),
        sort if sort == "-name" or sort.removeprefix("-") in sorts else "",
    )


def words_of(given: str) -> str:
    """What somebody searches for, as one line of bounded length."""
    return one_line(given)[:100]


def commit() -> None:
    """Commits the change; what the answer reads then holds up no other writer."""
    outbox.commit()
    choose("read")


def undo() -> None:
    """Nothing of the refused change stays; the answer reads the present state."""
    db.session.rollback()
    choose("read")


def fragment(template: str, status: int = 200, **values: object) -> Response:
    return make_response(render_template(template, **values), status)


def go(location: str, words: str = "") -> AnyResponse:
    """After a change: another page, with words about what was done."""
    if words:
        flash(words)
    if htmx.is_fragment():
        return htmx.redirect_whole_page(make_response("", 200), location)
    return redirect(location, 303)
