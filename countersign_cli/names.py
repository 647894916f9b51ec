"""Finds an app, a person, a group or a request by name, id or reference: one clear match, else a list of candidates."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from countersign_cli.api import Api, part
from countersign_cli.failures import Exit, Failure, Refused

_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{12}")
_REFERENCE = re.compile(r"(?:R-)?([0-9A-HJKMNP-TV-Z]{6})", re.IGNORECASE)
# So many candidates are named.
SHOWN = 10


def request(api: Api, given: str) -> Any:
    """The request with this id or reference."""
    given = given.strip()
    if _ID.fullmatch(given.upper()):
        return api.get(f"/requests/{given.upper()}")
    reference = _REFERENCE.fullmatch(given)
    if reference is None:
        raise Failure(Exit.USAGE, f"“{given[:40]}” is not a reference. It is like R-7K3F9Q, or an id.")
    wanted = f"R-{reference[1].upper()}"
    found = [one for one in api.items("/requests", limit=50, q=wanted) if one["reference"] == wanted]
    if not found:
        raise Failure(Exit.NOT_FOUND, f"There is no request {wanted} that you can see.")
    if len(found) > 1:
        lines = [f"{one['id']}  {one['app']['name']}, {one['for_person']['name']}" for one in found]
        raise Failure(Exit.NOT_FOUND, f"Several requests have the reference {wanted}. Use an id:", *lines)
    return api.get(f"/requests/{found[0]['id']}")


def app(api: Api, given: str, *, manage: bool = False) -> Any:
    """The app with this id or name: of the catalog, else (`manage`) of those that you own or administer."""
    if _ID.fullmatch(given) and (found := _by_id(api, "/apps", given)) is not None:
        return found
    places: list[dict[str, Any]] = [{"manage": True}, {}] if manage else [{}]
    found_here: list[Any] = []
    for place in places:
        found_here += api.items("/apps", limit=50, q=given, **place)
    return _one(given, _unique(found_here), "app", lambda one: str(one["name"]))


def person(api: Api, given: str) -> Any:
    """The person with this id, email address or name; “me” is who is signed in."""
    if given == "me":
        me = api.get("/me")["person"]
        if me is None:
            raise Failure(Exit.NOT_FOUND, "A service token stands for no person.")
        return me
    if _ID.fullmatch(given) and (found := _by_id(api, "/people", given)) is not None:
        return found
    found = list(api.items("/people", limit=50, **({"email": given} if "@" in given else {"q": given})))
    return _one(given, found, "person", lambda one: f"{one['name']} <{one['email']}>", lambda one: str(one["name"]))


def group(api: Api, given: str) -> Any:
    """The group with this id or name."""
    if _ID.fullmatch(given) and (found := _by_id(api, "/groups", given)) is not None:
        return found
    return _one(given, list(api.items("/groups", limit=50, q=given)), "group", lambda one: str(one["name"]))


def _by_id(api: Api, place: str, key: str) -> Any:
    try:
        return api.get(f"{place}/{part(key)}")
    except Refused as error:
        if error.status != 404:
            raise
        return None  # a name of twelve letters


def _unique(found: Iterable[Any]) -> list[Any]:
    return list({one["id"]: one for one in found}.values())


def _one(
    given: str, found: list[Any], kind: str, show: Callable[[Any], str], name: Callable[[Any], str] | None = None
) -> Any:
    """The one with exactly this name, else the only one. Raises Failure with the candidates."""
    name = name or show
    exactly = [one for one in found if name(one).casefold() == given.strip().casefold()]
    candidates = exactly or found
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise Failure(Exit.NOT_FOUND, f"There is no {kind} “{given[:60]}” that you can see.")
    lines = [f"{one['id']}  {show(one)}" for one in candidates[:SHOWN]]
    more = len(candidates) - SHOWN
    lines += [f"and {more} more"] if more > 0 else []
    raise Failure(Exit.NOT_FOUND, f"“{given[:60]}” fits more than one {kind}. Use one of these ids or names:", *lines)
