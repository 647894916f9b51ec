"""One search for apps, people and requests, from every page: Ctrl-K opens it."""

from flask import make_response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp.queries import search as queries
from webapp.text import one_line
from webapp.web import htmx
from webapp.web.signin import me, people

from .views import bp


@bp.get("/search")
@people
def search() -> AnyResponse:
    """A page of its own; htmx gets the dialog, or with words only what they find."""
    q = one_line(request.args.get("q", ""))[:100]
    found = queries.look(me(), q.split()[:6]) if q else None
    template = "search/page.html"
    if htmx.is_fragment():
        template = "search/_found.html" if "q" in request.args else "search/_dialog.html"
    return make_response(render_template(template, q=q, found=found))
