"""Screens and API are doors to the same operations, also for who manages apps: the same status and sentence at each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask

from tests.api.conftest import Program, new_token
from tests.conftest import SQLITE, Browser
from tests.helpers import changes, factories, pages
from tests.helpers.factories import Company
from tests.test_doors import words_of
from webapp import clock
from webapp.admin.forms import stamp
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Grant
from webapp.operations import grants


@dataclass
class Scene:
    """Ben owns Salesforce, which Ana approves, and Figma, which needs no approval; what a setup adds is in `ids`."""

    company: Company
    app: App
    free: App
    ids: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Misuse:
    """`who` sends `form` to the page, and `call` with `body`; names of `Scene.ids` stand in braces. A PUT of the rules
    sends those that were read with the body's changes, and a PATCH the ETag."""

    name: str
    who: str
    status: int
    setup: Callable[[Scene], None]
    page: str
    form: dict[str, Any]
    call: str
    body: dict[str, Any]


def nothing(scene: Scene) -> None:
    pass


def no_step(scene: Scene) -> None:
    empty = factories.app("Empty", owner=scene.company.ben, policy=factories.Policy(), requestable=False)
    scene.ids["app"] = empty.public_id


def own_request(scene: Scene) -> None:
    factories.request(scene.company.ben, scene.app)


def a_request(scene: Scene) -> None:
    scene.ids["request"] = factories.request(scene.company.rita, scene.app).public_id


def archived(scene: Scene) -> None:
    changes.archive_app(scene.app, scene.company.adam)


def a_field(scene: Scene) -> None:
    scene.ids["field"] = factories.field(scene.app, actor=scene.company.adam, name="Role").public_id
    outbox.commit()


def held(scene: Scene) -> None:
    made: Grant = factories.grant(scene.company.rita, scene.free)
    scene.ids["grant"] = made.public_id


def removed(scene: Scene) -> None:
    held(scene)
    choose("write")
    grant = db.session.query(Grant).one()
    grants.remove(grant, actor=scene.company.adam, reason="Over.", now=clock.now())
    outbox.commit()


APP, PAGE, POLICY = "/apps/{app}", "/admin/apps/{app}", "PUT /apps/{app}/policy"
LONG = "x" * 501
ANA = {"kind": "person", "id": "{ana}"}
GIVE = {"person": "person:{rita}", "rules": "1", "reason": "So."}
GIVEN = {"app": "{app}", "person": "{rita}", "reason": "So."}
FREE_PAGE = "/admin/apps/{free}"

MISUSES = (
    Misuse("a new app without a name", "adam", 422, nothing, "/admin/apps", {"name": " "}, "POST /apps", {"name": " "}),
    Misuse("a name that is taken", "adam", 422, nothing, "/admin/apps", {"name": "Figma"}, "POST /apps",
           {"name": "Figma"}),
    Misuse("an owner creates an app", "ben", 404, nothing, "/admin/apps", {"name": "A"}, "POST /apps", {"name": "A"}),
    Misuse("an owner changes the URL", "ben", 422, nothing, f"{PAGE}/details/launch_url",
           {"launch_url": "https://x.example.com", "was": stamp({"launch_url": ""})}, f"PATCH {APP}",
           {"launch_url": "https://x.example.com"}),
    Misuse("an app loses its name", "ben", 422, nothing, f"{PAGE}/details/name",
           {"name": "", "was": stamp({"name": "Salesforce"})}, f"PATCH {APP}", {"name": ""}),
    Misuse("a note that is too long", "ben", 422, nothing, f"{PAGE}/note", {"note": LONG, "was": stamp({"note": ""})},
           f"PATCH {APP}", {"note": LONG}),
    Misuse("an owner who is not there", "adam", 422, nothing, f"{PAGE}/owner",
           {"owner": "person:nobody", "was": stamp({"owner": "person:{ben}"})}, f"PATCH {APP}",
           {"owner": {"kind": "person", "id": "nobody"}}),
    Misuse("a group that is not there", "ben", 422, nothing, f"{PAGE}/audience",
           {"audience": "group:nobody", "was": stamp({"audience": []})}, f"PATCH {APP}",
           {"audience": [{"id": "nobody"}]}),
    Misuse("in the catalog without a step", "ben", 409, no_step, f"{PAGE}/requestable", {"on": "1", "was": "off"},
           f"PATCH {APP}", {"requestable": True}),
    Misuse("the rule of one's own request", "ben", 409, own_request, f"{PAGE}/note",
           {"note": "x", "was": stamp({"note": ""})}, f"PATCH {APP}", {"note": "x"}),
    Misuse("an outsider", "otto", 404, nothing, f"{PAGE}/note", {"note": "x"}, f"PATCH {APP}", {"note": "x"}),
    Misuse("an archived app", "ben", 404, archived, f"{PAGE}/note", {"note": "x"}, f"PATCH {APP}", {"note": "x"}),
    Misuse("an owner archives", "ben", 404, nothing, f"{PAGE}/archive", {}, f"POST {APP}/archival", {}),
    Misuse("restored without being archived", "adam", 404, nothing, f"{PAGE}/restoration", {},
           f"POST {APP}/restoration", {}),
    Misuse("a field without a name", "ben", 422, nothing, f"{PAGE}/fields", {"name": "", "kind": "text"},
           f"POST {APP}/fields", {"name": "", "kind": "text"}),
    Misuse("a field's name that is taken", "ben", 422, a_field, f"{PAGE}/fields", {"name": "role", "kind": "text"},
           f"POST {APP}/fields", {"name": "role", "kind": "text"}),
    Misuse("a choice without options", "ben", 422, nothing, f"{PAGE}/fields", {"name": "Role", "kind": "choice"},
           f"POST {APP}/fields", {"name": "Role", "kind": "choice"}),
    Misuse("an order of other fields", "ben", 409, a_field, f"{PAGE}/fields/order", {"order": "x"},
           f"POST {APP}/fields/order", {"fields": ["x"]}),
    Misuse("restored without being archived: a field", "ben", 409, a_field, f"{PAGE}/fields/{{field}}/restoration", {},
           f"POST {APP}/fields/{{field}}/restoration", {}),
    Misuse("an approver in two steps", "ben", 422, nothing, f"{PAGE}/steps/new", {"step": "person:{ana}"}, POLICY,
           {"steps": [{"approver": ANA}, {"approver": ANA}]}),
    Misuse("an approver who is not there", "ben", 422, nothing, f"{PAGE}/steps/new", {"step": "group:nobody"}, POLICY,
           {"steps": [{"approver": ANA}, {"approver": {"kind": "group", "id": "nobody"}}]}),
    Misuse("no step is left", "ben", 409, nothing, f"{PAGE}/steps/{{step}}/removal", {}, POLICY, {"steps": []}),
    Misuse("an email outside of the company", "ben", 422, nothing, f"{PAGE}/outcomes/expired/others",
           {"add": "a@other.example.org"}, POLICY, {"others": ["a@other.example.org"]}),
    Misuse("no such address", "ben", 422, nothing, f"{PAGE}/outcomes/expired/others", {"add": "nobody"}, POLICY,
           {"others": ["nobody"]}),
    Misuse("an owner cancels all requests", "ben", 409, a_request, f"{PAGE}/approval-required",
           {"was": "on", "pending": "cancel", "why": "So.", "asked": ""}, POLICY,
           {"approval_required": False,
            "pending": {"action": "cancel", "reason": "So.", "requests": ["{request}"]}}),
    Misuse("requests are cancelled without a reason", "adam", 422, a_request, f"{PAGE}/approval-required",
           {"was": "on", "pending": "cancel", "why": " ", "asked": ""}, POLICY,
           {"approval_required": False, "pending": {"action": "cancel", "reason": " ", "requests": ["{request}"]}}),
    Misuse("access for oneself", "ben", 422, nothing, f"{PAGE}/grants", GIVE | {"person": "person:{ben}"},
           "POST /grants", GIVEN | {"person": "{ben}"}),
    Misuse("access for nobody", "ben", 422, nothing, f"{PAGE}/grants", GIVE | {"person": "person:nobody"},
           "POST /grants", GIVEN | {"person": "nobody"}),
    Misuse("access without a reason", "ben", 422, nothing, f"{PAGE}/grants", GIVE | {"reason": " "}, "POST /grants",
           GIVEN | {"reason": " "}),
    Misuse("access that is there", "ben", 422, held, f"{FREE_PAGE}/grants", GIVE, "POST /grants",
           GIVEN | {"app": "{free}"}),
    Misuse("access while a request is pending", "ben", 422, a_request, f"{PAGE}/grants", GIVE, "POST /grants", GIVEN),
    Misuse("access from an outsider", "otto", 404, nothing, f"{PAGE}/grants", GIVE, "POST /grants", GIVEN),
    Misuse("removed without a reason", "ben", 422, held, f"{FREE_PAGE}/grants/{{grant}}/removal", {"reason": ""},
           "POST /grants/{grant}/removal", {"reason": ""}),
    Misuse("removed before", "ben", 409, removed, f"{FREE_PAGE}/grants/{{grant}}/removal", {"reason": "So."},
           "POST /grants/{grant}/removal", {"reason": "So."}),
    Misuse("given back when it is over", "rita", 409, removed, "/apps/{free}/return", {},
           "POST /grants/{grant}/removal", {}),
    Misuse("added though it needs approval", "rita", 409, nothing, "/catalog/{app}/grant", {}, "POST /grants",
           {"app": "{app}"}),
    Misuse("added before", "rita", 409, held, "/catalog/{free}/grant", {}, "POST /grants", {"app": "{free}"}),
)  # fmt: skip


def filled(value: Any, ids: dict[str, str]) -> Any:
    """The value with the ids in place of their names."""
    if isinstance(value, dict):
        return {key: filled(one, ids) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, ids) for one in value]
    if isinstance(value, str):
        for name, id in ids.items():
            value = value.replace(f"{{{name}}}", id)
    return value


@pytest.mark.parametrize("engine", [SQLITE])
@pytest.mark.parametrize("misuse", MISUSES, ids=lambda one: one.name)
def test_each_misuse_gets_the_same_answer_at_each_door(app: Flask, company: Company, misuse: Misuse) -> None:
    salesforce = factories.app("Salesforce", company.ana, owner=company.ben)
    scene = Scene(company, salesforce, factories.app("Figma", owner=company.ben))
    scene.ids = {name: getattr(company, name).public_id for name in ("ana", "ben", "rita")}
    scene.ids |= {"app": salesforce.public_id, "free": scene.free.public_id,
                  "step": factories.step_id(salesforce, company.ana)}  # fmt: skip
    who = getattr(company, misuse.who)
    misuse.setup(scene)
    browser, program = Browser(app, who), Program(app, new_token(who))
    form, body = filled(misuse.form, scene.ids), filled(misuse.body, scene.ids)
    page_address = filled(misuse.page, scene.ids)
    if "asked" in form:  # as the answer to the question that the page asks before
        form["asked"] = pages.question(browser.post(page_address, {"was": "on"}, htmx=True))
    page = browser.post(page_address, form)
    answer = sent(program, *filled(misuse.call, scene.ids).split(), body)
    assert (page.status_code, answer.status_code) == (misuse.status, misuse.status), (page.text[:600], answer.text)
    said = answer.json["detail"]
    if misuse.status != 404:  # on a page 404 has words of its own
        assert said in words_of(page.text)


def sent(program: Program, method: str, path: str, body: dict[str, Any]) -> Any:
    if method == "POST":
        return program.post(path, body)
    read = program.get(path)
    if method == "PUT" and read.status_code == 200:
        others = body.pop("others", None)
        body = read.json | body
        if others is not None:
            body["outcomes"]["expired"]["others"] = others
    return program.call(method, path, body, If_Match=read.headers.get("ETag", '"none"'))
