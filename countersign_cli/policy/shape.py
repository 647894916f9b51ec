"""What a file says of an app, as plain dicts with every setting: what is left out in a file has its default here.

{"name", "id", "description", "category", "note", "launch_url", "owner", "audience", "requestable", "fields", "policy"}.
People are {"person": email}, groups {"group": name}.
"""

from copy import deepcopy
from typing import Any

Shape = dict[str, Any]

KINDS = ("choice", "choices", "text", "number", "yes_no")
SEES = ("hidden", "read", "write")
ASSURANCES = ("code", "sign_in")
OUTCOME = {"requester": True, "approvers": False, "others": [], "words": ""}
OUTCOMES: Shape = {
    "approved": OUTCOME,
    "denied": {**OUTCOME, "reasons": []},
    "expired": {**OUTCOME, "approvers": True},
}
FIELD: Shape = {
    "name": "", "kind": "", "options": [], "required": False, "default": None, "help": "", "requester": "write",
}  # fmt: skip
STEP: Shape = {"approver": None, "days": None, "fields": {}}
POLICY: Shape = {
    "approval_required": True, "comment_required": False, "days": 3, "assurance": "code", "steps": [],
    "outcomes": OUTCOMES,
}  # fmt: skip
DETAILS: Shape = {
    "description": "", "category": "", "note": "", "launch_url": "", "owner": None, "audience": [],
    "requestable": False,
}  # fmt: skip
APP: Shape = {"name": "", "id": None, **DETAILS, "fields": [], "policy": POLICY}


def new(of: Shape) -> Shape:
    """A copy of the defaults, to fill in."""
    return deepcopy(of)


def short(app: Shape) -> Shape:
    """The app as it is written: without what has its default."""
    found = _short(app, APP, keep=("name",))
    found["fields"] = [_short(one, FIELD, keep=("name", "kind", "requester")) for one in app["fields"]]
    policy = _short(app["policy"], POLICY, keep=("approval_required", "days", "assurance"))
    if app["policy"]["steps"]:
        policy["steps"] = [_short(one, STEP, keep=("approver",)) for one in app["policy"]["steps"]]
    if "outcomes" in policy:
        outcomes = {name: _short(one, OUTCOMES[name], keep=()) for name, one in policy["outcomes"].items()}
        policy["outcomes"] = {name: one for name, one in outcomes.items() if one}
    found["policy"] = policy
    return {name: value for name, value in found.items() if name == "policy" or value != []}


def _short(given: Shape, default: Shape, keep: tuple[str, ...]) -> Shape:
    return {name: given[name] for name in default if name in keep or given.get(name, default[name]) != default[name]}
