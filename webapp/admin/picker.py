"""The search of the picker for people, groups and apps: while typing or, without JavaScript, by its button."""

from dataclasses import dataclass, field

from flask import Response, abort, request

from webapp.queries import picker as queries
from webapp.queries.principals import Principal
from webapp.web.signin import any_app_owner, me

from .views import bp, fragment, words_of

# Which kinds of `Principal` each field accepts.
BOTH = ("person", "group")
KINDS = {
    "step": BOTH,
    "approver": BOTH,
    "owner": BOTH,
    "decider": BOTH,
    "audience": ("group",),
    "person": ("person",),
    "manager": ("person",),
    "apps": ("app",),
    "whom": ("person", "group", "app"),
}
# An owner of an app does not learn which other apps there are.
FOR_ADMINS = ("apps", "whom")


@dataclass(frozen=True, slots=True)
class Pick:
    """A search by the button of a picker. `id` names the picker; its field is the part before a dash."""

    id: str = ""
    q: str = ""
    found: list[Principal] = field(default_factory=list)


@bp.get("/choices")
@any_app_owner
def choices() -> Response:
    """The options of a picker: people, groups and apps that match `q`, for the field `field`."""
    name = request.args.get("field", "")
    if name not in KINDS or (name in FOR_ADMINS and not me().is_admin):
        abort(404)
    q = words_of(request.args.get("q", ""))
    return fragment("admin/_choices.html", name=name, q=q, found=queries.found(q.split()[:8], KINDS[name]), plain=False)


def picked() -> Pick:
    """The search in the address of the page, after a search without JavaScript."""
    return searched(request.args.get("pick", ""), request.args.get("q", ""))


def searched(id: str, given: str) -> Pick:
    """Search for a picker; empty for an unknown one."""
    kinds, q = KINDS.get(id.partition("-")[0]), words_of(given)
    return Pick(id, q, queries.found(q.split()[:8], kinds)) if kinds else Pick()
