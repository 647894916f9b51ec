"""The apps, fields and rules of the server in the shape of the files."""

import re
from dataclasses import dataclass
from typing import Any

from countersign_cli.api import Api, Json, part
from countersign_cli.failures import Refused

from . import shape
from .shape import Shape

# A person’s id, in small letters as files keep email addresses.
_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{12}")


@dataclass
class ServerApp:
    """An app as it was read: its shape, and the answers that it was read from."""

    id: str
    app: Shape
    details: Json
    policy: Json
    fields: list[Json]
    # For If-Match; read with `load_one` only.
    details_etag: str = ""
    policy_etag: str = ""

    def is_like(self, other: "ServerApp") -> bool:
        """Whether both were read from the same answers."""
        return (self.details, self.policy, self.fields) == (other.details, other.policy, other.fields)


class Names:
    """Who is who: people by email address, groups by name. Owners of apps may not look people and groups up: for them
    people are ids, and groups are those that their apps name."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._emails: dict[str, str] = {}
        self._people: dict[str, str | None] = {}
        self.groups: dict[str, str] = {}
        me = api.get("/me")
        self.is_admin = me["person"] is None or bool(me["person"]["is_admin"])
        if self.is_admin:
            self.groups = {str(one["name"]): str(one["id"]) for one in api.items("/groups")}

    def learn(self, ref: Json) -> None:
        """Remembers a group that an answer names."""
        self.groups.setdefault(str(ref["name"]), str(ref["id"]))

    def principal(self, ref: Json | None) -> Shape | None:
        """An answer's {"kind", "id", "name"} as a file has it."""
        if ref is None:
            return None
        if ref["kind"] == "group":
            self.learn(ref)
            return {"group": ref["name"]}
        key = str(ref["id"])
        if not self.is_admin:
            return {"person": key.lower()}
        if key not in self._emails:
            self._emails[key] = str(self._api.get(f"/people/{part(key)}")["email"]).lower()
            self._people.setdefault(self._emails[key], key)
        return {"person": self._emails[key]}

    def given(self, principal: Shape | None) -> Json | None:
        """A file's principal as the API takes it. Raises LookupError with a sentence."""
        if principal is None:
            return None
        if "group" in principal:
            name = principal["group"]
            if name not in self.groups:
                raise LookupError(f"{self._none_of(f'group “{name[:60]}”')}.")
            return {"kind": "group", "id": self.groups[name]}
        email = principal["person"]
        if _ID.fullmatch(email):
            return {"kind": "person", "id": email.upper()}
        if not self.is_admin:
            raise LookupError(f"Only admins look people up by email address. Write the id of {email[:80]}.")
        if email not in self._people:
            found = list(self._api.items("/people", email=email, limit=2))
            self._people[email] = str(found[0]["id"]) if found else None
        if (key := self._people[email]) is None:
            raise LookupError(f"There is no person with the email address {email[:80]}.")
        return {"kind": "person", "id": key}

    def _none_of(self, what: str) -> str:
        return f"There is no {what}" if self.is_admin else f"None of your apps names the {what}; only admins add one"


def load(api: Api, names: Names) -> list[ServerApp]:
    """Every app that is not archived."""
    apps = list(api.items("/apps", manage=True))
    return [_read(api, names, one, api.get(f"/apps/{part(one['id'])}/policy")) for one in apps]


def load_one(api: Api, names: Names, key: str) -> ServerApp:
    """One app, with what its changes need."""
    details, details_etag = api.get_with_etag(f"/apps/{part(key)}")
    policy, policy_etag = api.get_with_etag(f"/apps/{part(key)}/policy")
    there = _read(api, names, details, policy)
    there.details_etag, there.policy_etag = details_etag, policy_etag
    return there


def _read(api: Api, names: Names, details: Json, policy: Json) -> ServerApp:
    fields = list(api.items(f"/apps/{part(details['id'])}/fields"))
    return ServerApp(str(details["id"]), _shape(details, policy, fields, names), details, policy, fields)


def _shape(details: Json, policy: Json, fields: list[Json], names: Names) -> Shape:
    settings = details["settings"]
    app = shape.new(shape.APP)
    app |= {name: details[name] for name in ("name", "id", "description", "category", "note", "launch_url")}
    app["owner"] = names.principal(settings["owner"])
    for group in settings["audience"]:
        names.learn(group)
    app["audience"] = sorted(one["name"] for one in settings["audience"])
    app["requestable"] = settings["requestable"]
    app["fields"] = [{name: one[name] for name in shape.FIELD} for one in fields]
    rules = {name: policy[name] for name in ("approval_required", "comment_required", "days", "assurance")}
    rules["steps"] = [
        {
            "approver": names.principal(step["approver"]),
            "days": step["days"],
            "fields": {name: word for name, word in step["fields"].items() if word != "hidden"},
        }
        for step in policy["steps"]
    ]
    rules["outcomes"] = {
        state: {name: policy["outcomes"][state][name] for name in default} for state, default in shape.OUTCOMES.items()
    }
    app["policy"] = rules
    return app


def archived(api: Api, key: str) -> bool:
    """Whether there is an app with this id, which is archived."""
    try:
        found: Any = api.get(f"/apps/{part(key)}")
    except Refused as error:
        if error.status != 404:
            raise
        return False
    return bool(found["settings"] and found["settings"]["archived_at"])
