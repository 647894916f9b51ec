"""Makes the changes of a plan, app by app; each is refused by the server if the app was changed since the plan."""

from collections.abc import Callable
from typing import Any

from countersign_cli.api import Api, Json, part
from countersign_cli.failures import Exit, Failure, Refused

from . import server, shape
from .plan import Change, Plan, old_name
from .server import Names, ServerApp


def run(plan: Plan, api: Api, names: Names, *, pending: str | None, tell: Callable[[str], None]) -> None:
    """Applies every change. Raises Failure at the first one that is refused; run it again to go on from there."""
    done = {"create": "created", "change": "changed", "archive": "archived"}
    for number, change in enumerate(plan.changes):
        try:
            _One(api, names, change, pending).apply()
        except Refused as error:
            raise _refusal(change, error, number) from None
        tell(f"{change.name} {done[change.action]}.")


def _refusal(change: Change, error: Refused, number: int) -> Failure:
    """The server's sentence, with the line that it is about."""
    where = change.file.at("name") if change.file is not None else change.name
    if error.status == 412:
        sentence = f"{where}: {change.name} was changed on the server since the plan. Make a new plan."
    else:
        sentence = f"{where}: {error.message}"
    made = "Nothing was changed before." if number == 0 else "The apps above were changed."
    return Failure(Exit(error.exit_code), sentence, *error.more, made)


class _One:
    """The changes of one app, in an order in which each can be made: fields, rules, then what people see."""

    def __init__(self, api: Api, names: Names, change: Change, pending: str | None) -> None:
        self.api, self.names, self.change = api, names, change
        self.pending = {"action": pending} if pending else None

    def apply(self) -> None:
        if self.change.action == "archive":
            self._archive()
            return
        wanted = self.change.wanted
        assert wanted is not None
        there = self.change.there
        if there is None:
            made = self.api.post("/apps", {"name": wanted["name"]})
            there = server.load_one(self.api, self.names, str(made["id"]))
        else:
            there = self._as_planned(there)
        if there.app["requestable"] and not wanted["requestable"]:
            # An app that people can request needs a step, so it leaves the catalog before its steps.
            there = self._details(there, {"requestable": False})
        there = self._fields(there, wanted)
        there = self._policy(there, wanted)
        there = self._archive_fields(there)
        self._details(there, self._changed_details(there, wanted))

    def _as_planned(self, there: ServerApp) -> ServerApp:
        """The app as it is now, if that is what the plan compared with. Raises Refused as If-Match does, which guards
        each change from here on."""
        now = server.load_one(self.api, self.names, there.id)
        if not now.is_like(there):
            raise Refused(412, {"type": "#changed", "detail": "This was changed since the plan."})
        return now

    def _reload(self, there: ServerApp) -> ServerApp:
        return server.load_one(self.api, self.names, there.id)

    def _details(self, there: ServerApp, body: Json) -> ServerApp:
        if not body:
            return there
        self.api.change("PATCH", f"/apps/{part(there.id)}", body, etag=there.details_etag)
        return self._reload(there)

    def _changed_details(self, there: ServerApp, wanted: shape.Shape) -> Json:
        names = [name for name in ("name", *shape.DETAILS) if wanted[name] != there.app[name]]
        body: dict[str, Any] = {name: wanted[name] for name in names}
        if "owner" in body:
            body["owner"] = self.names.given(wanted["owner"])
        if "audience" in body:
            body["audience"] = [{"id": self.names.groups[name]} for name in wanted["audience"]]
        return body

    def _fields(self, there: ServerApp, wanted: shape.Shape) -> ServerApp:
        """Creates, renames and changes fields, and orders them."""
        file = self.change.file
        assert file is not None
        place = f"/apps/{part(there.id)}/fields"
        present = {one["name"]: one for one in there.fields}
        is_changed = False
        for one in wanted["fields"]:
            old = present.get(old_name(file, one["name"], there.app))
            if old is None:
                self.api.post(place, one)
            elif body := {name: one[name] for name in shape.FIELD if one[name] != old[name]}:
                _, etag = self._field_as_planned(f"{place}/{part(old['id'])}", old)
                self.api.change("PATCH", f"{place}/{part(old['id'])}", body, etag=etag)
            else:
                continue
            is_changed = True
        if is_changed:
            there = self._reload(there)
        ids = {one["name"]: str(one["id"]) for one in there.fields}
        order = [ids[one["name"]] for one in wanted["fields"]]
        order += [key for key in ids.values() if key not in order]
        if order != list(ids.values()):
            self.api.post(f"{place}/order", {"fields": order})
            there = self._reload(there)
        return there

    def _field_as_planned(self, place: str, planned: Json) -> tuple[Json, str]:
        found, etag = self.api.get_with_etag(place)
        if found != planned:
            raise Refused(412, {"type": "#changed", "detail": "This field was changed since the plan."})
        return found, etag

    def _policy(self, there: ServerApp, wanted: shape.Shape) -> ServerApp:
        rules, before = wanted["policy"], there.app["policy"]
        if rules == before:
            return there
        steps = [
            {"approver": self.names.given(step["approver"]), "days": step["days"], "fields": step["fields"]}
            for step in rules["steps"]
        ]
        body: dict[str, Any] = {**rules, "steps": steps}
        if self.pending and before["approval_required"] and not rules["approval_required"]:
            body["pending"] = self.pending
        self.api.change("PUT", f"/apps/{part(there.id)}/policy", body, etag=there.policy_etag)
        return self._reload(there)

    def _archive_fields(self, there: ServerApp) -> ServerApp:
        for key in self.change.fields_to_archive:
            self.api.post(f"/apps/{part(there.id)}/fields/{part(key)}/archival")
        return self._reload(there) if self.change.fields_to_archive else there

    def _archive(self) -> None:
        there = self.change.there
        assert there is not None
        self._as_planned(there)
        self.api.post(f"/apps/{part(there.id)}/archival", {"pending": self.pending} if self.pending else {})
