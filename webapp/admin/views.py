"""What the admin pages share: the blueprint, the query of a list, and the response to a change."""

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
class ListQuery:
    """The search, filters, order and page of a list, as the address gives them."""

    q: str
    after: str
    before: str
    state: str = ""
    category: str = ""
    owner: str = ""
    sort: str = ""
    department: str = ""
    manager: str = ""

    @property
    def words(self) -> list[str]:
        return self.q.split()[:8]

    def at(self, **key: str) -> str:
        """The query string of a neighbouring page."""
        names = ("q", "state", "category", "owner", "department", "manager", "sort")
        values = {name: getattr(self, name) for name in names} | key
        return "?" + urlencode({name: value for name, value in values.items() if value})

    def turned(self, column: str, *, first: str = "") -> str:
        """The `sort` of a link in the head of this column: it reverses the present order, or else starts with `first`,
        which is "-" for a column that begins with the largest."""
        if column == (self.sort or "name").removeprefix("-"):
            return column if self.sort.startswith("-") else f"-{column}"
        return f"{first}{column}" if column != "name" else ""

    def sorts(self, column: str) -> str:
        """The aria-sort of the column, or ""."""
        if column != (self.sort or "name").removeprefix("-"):
            return ""
        return "descending" if self.sort.startswith("-") else "ascending"

    @property
    def is_whole(self) -> bool:
        """Whether the list is neither searched nor filtered."""
        return not (self.q or self.state or self.category or self.owner or self.department or self.manager)

    @property
    def query(self) -> str:
        """The query string of this page, or ""."""
        query = self.at(after=self.after, before=self.before)
        return query if query != "?" else ""

    @property
    def here(self) -> str:
        return request.path + self.query


def list_query(*states: str, sorts: Iterable[str] = ()) -> ListQuery:
    """Read the query of the address. `states` are the allowed filters, `sorts` the columns that can be sorted by."""
    args = request.args
    state, sort = args.get("state", ""), args.get("sort", "")
    return ListQuery(
        words_of(args.get("q", "")),
        args.get("after", "")[:12],
        args.get("before", "")[:12],
        state if state in states else "",
        words_of(args.get("category", "")),
        words_of(args.get("owner", "")),
        sort if sort == "-name" or sort.removeprefix("-") in sorts else "",
        words_of(args.get("department", "")),
        args.get("manager", "")[:12],
    )


def words_of(given: str) -> str:
    """The search words as one line of at most 100 characters."""
    return one_line(given)[:100]


def commit() -> None:
    """Commit first, so that rendering the response does not hold the write lock."""
    outbox.commit()
    choose("read")


def undo() -> None:
    """Roll the refused change back, so that the response shows the stored state."""
    db.session.rollback()
    choose("read")


def fragment(template: str, status: int = 200, **values: object) -> Response:
    return make_response(render_template(template, **values), status)


def go(location: str, message: str = "") -> AnyResponse:
    """Redirect after a change, with a message about what was done."""
    if message:
        flash(message)
    if htmx.is_fragment():
        return htmx.redirect_whole_page(make_response("", 200), location)
    return redirect(location, 303)
