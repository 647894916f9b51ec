"""The one field for people and groups: what it finds, as you type or, without JavaScript, by its button."""

from dataclasses import dataclass, field

from flask import Response, abort, request

from webapp.queries import picker as queries
from webapp.queries.principals import Principal
from webapp.web.signin import any_app_owner

from .views import bp, fragment, words_of

# What each field may be: the kinds of `Principal`.
BOTH = ("person", "group")
KINDS = {
    "step": BOTH,
    "approver": BOTH,
    "owner": BOTH,
    "decider": BOTH,
    "audience": ("group",),
    "person": ("person",),
}


@dataclass(frozen=True, slots=True)
class Pick:
    """What was searched for by the button of a picker. `id` says of which; its field is what stands before a dash."""

    id: str = ""
    q: str = ""
    found: list[Principal] = field(default_factory=list)


@bp.get("/choices")
@any_app_owner
def choices() -> Response:
    """The options of a picker's list: who matches `q`, for the field `field`."""
    name = request.args.get("field", "")
    if name not in KINDS:
        abort(404)
    q = words_of(request.args.get("q", ""))
    return fragment("admin/_choices.html", name=name, q=q, found=queries.found(q.split()[:8], KINDS[name]), plain=False)


def picked() -> Pick:
    """Of the address of the page, which a search without JavaScript has led to."""
    return searched(request.args.get("pick", ""), request.args.get("q", ""))


def searched(id: str, given: str) -> Pick:
    """Nothing, if it is of no picker."""
    kinds, q = KINDS.get(id.partition("-")[0]), words_of(given)
    return Pick(id, q, queries.found(q.split()[:8], kinds)) if kinds else Pick()
