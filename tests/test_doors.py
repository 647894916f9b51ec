"""Screens, API and command line are doors to the same operations: each misuse gets the same status and sentence."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from countersign_cli.main import commands
from tests.api.conftest import Program, new_token
from tests.attack.installation import serving
from tests.conftest import SQLITE, Browser
from tests.helpers import changes, factories
from tests.helpers.factories import Company
from webapp.models import AccessRequest, App


@dataclass
class Scene:
    """What a misuse needs: the company, an app with approval by Ana, and what the setup adds."""

    company: Company
    app: App
    made: AccessRequest | None = None
    free: App | None = None


@dataclass(frozen=True)
class Misuse:
    """`who` does it. `form` and `body` are what each door sends, to addresses with {request}, {app} and {free}."""

    name: str
    who: str
    status: int
    sentence: str
    setup: Callable[[Scene], None]
    page: str
    call: str
    form: dict[str, Any]
    body: dict[str, Any]


def asked(scene: Scene) -> None:
    scene.made = factories.request(scene.company.rita, scene.app)


def approved(scene: Scene) -> None:
    asked(scene)
    assert scene.made is not None
    factories.decide(scene.made, scene.company.ana)


def overdue(scene: Scene) -> None:
    asked(scene)
    assert scene.made is not None
    factories.overdue(scene.made)


def two_steps(scene: Scene) -> None:
    scene.app = factories.app("Snowflake", scene.company.ana, scene.company.ben)
    asked(scene)


def both_mine(scene: Scene) -> None:
    """Ana looks at step 1; Chloe decides it; now step 2 waits for Ana."""
    group = factories.group("Data", scene.company.ana, scene.company.chloe)
    scene.app = factories.app("Snowflake", group, scene.company.ana)
    asked(scene)
    assert scene.made is not None
    factories.decide(scene.made, scene.company.chloe)


def with_a_field(scene: Scene) -> None:
    factories.field(scene.app, actor=scene.company.adam, writer=scene.company.ana, name="Role", kind="choice",
                    options=("Viewer", "Editor"), required=True)  # fmt: skip
    from webapp.delivery import outbox

    outbox.commit()
    asked(scene)


def left_the_group(scene: Scene) -> None:
    group = factories.group("Data", scene.company.ana, scene.company.chloe)
    scene.app = factories.app("Snowflake", group)
    asked(scene)
    changes.leave(group, scene.company.chloe, scene.company.adam)


def archived(scene: Scene) -> None:
    changes.archive_app(scene.app, scene.company.adam)


def held(scene: Scene) -> None:
    approved(scene)


def free(scene: Scene) -> None:
    scene.free = factories.app("Figma")


def no_need(scene: Scene) -> None:
    scene.app = factories.app("Figma")


def nothing(scene: Scene) -> None:
    pass


def alone(scene: Scene) -> None:
    """Nobody but the requester could decide."""
    scene.app = factories.app("Payroll", scene.company.adam)


APPROVE, DENY = "/requests/{request}/approval", "/requests/{request}/denial"
ASK_PAGE, ASK = "/catalog/{app}/request", "/requests"
PLEASE: dict[str, Any] = {"app": "{app}", "message": "Please."}
LONG = "x" * 1001
TOO_LATE = "This request has changed: someone else has decided, or the deadline has passed."

MISUSES = (
    Misuse("own request", "rita", 403, "You cannot approve or deny your own request.", asked, APPROVE, APPROVE, {}, {}),
    Misuse("outsider", "otto", 404, "", asked, APPROVE, APPROVE, {}, {}),
    Misuse("who left the group", "chloe", 404, "", left_the_group, APPROVE, APPROVE, {}, {}),
    Misuse("not your turn", "ben", 404, "", two_steps, APPROVE, APPROVE, {}, {}),
    Misuse("an admin is no approver", "adam", 403, "", asked, APPROVE, APPROVE, {}, {}),
    Misuse("decided already", "ana", 409, "", approved, APPROVE, APPROVE, {}, {}),
    Misuse("after the deadline", "ana", 409, "", overdue, APPROVE, APPROVE, {}, {}),
    Misuse("the step has moved on", "ana", 409, "", both_mine, APPROVE, APPROVE, {"step": "{first step}"}, {"step": 1}),
    Misuse("denied without a reason", "ana", 422, "", asked, DENY, DENY, {"reason": " "}, {"reason": " "}),
    Misuse("a comment that is too long", "ana", 422, "Use 1,000 characters or fewer. You entered 1,001.", asked,
           APPROVE, APPROVE, {"comment": LONG}, {"comment": LONG}),
    Misuse("a field with no such choice", "ana", 422, "“Owner” is not an option for Role. Choose from the list.",
           with_a_field, APPROVE, APPROVE, {"field": "Owner"}, {"fields": {"Role": "Owner"}}),
    Misuse("a required field is empty", "ana", 422, "Choose Role.", with_a_field, APPROVE, APPROVE, {"field": ""}, {}),
    Misuse("an archived app", "rita", 404, "", archived, ASK_PAGE, ASK, {"message": "Please."}, PLEASE),
    Misuse("asked for already", "rita", 409, "", asked, ASK_PAGE, ASK, {"message": "Please."}, PLEASE),
    Misuse("there already", "rita", 409, "", held, ASK_PAGE, ASK, {"message": "Please."}, PLEASE),
    Misuse("needs no approval", "rita", 409, "", no_need, ASK_PAGE, ASK, {"message": "Please."}, PLEASE),
    Misuse("nobody could decide", "adam", 409, "", alone, ASK_PAGE, ASK, {"message": "Please."}, PLEASE),
    Misuse("a message that is too long", "rita", 422, "Use 1,000 characters or fewer. You entered 1,001.", nothing,
           ASK_PAGE, ASK, {"message": LONG}, PLEASE | {"message": LONG}),
    Misuse("cancelled when it is over", "rita", 409, "", approved, "/requests/{request}/cancellation",
           "/requests/{request}/cancellation", {}, {}),
    Misuse("cancelled by another", "adam", 403, "Only the requester can do this.", asked,
           "/requests/{request}/cancellation", "/requests/{request}/cancellation", {}, {}),
    Misuse("reminded too early", "rita", 409, "", asked, "/requests/{request}/reminder",
           "/requests/{request}/reminders", {}, {}),
    Misuse("an empty comment", "rita", 422, "Enter a comment.", asked, "/requests/{request}/comments",
           "/requests/{request}/comments", {"comment": " "}, {"text": " "}),
)  # fmt: skip


def filled(value: Any, scene: Scene) -> Any:
    """The value with the ids of the scene."""
    if isinstance(value, dict):
        return {key: filled(one, scene) for key, one in value.items()}
    if not isinstance(value, str):
        return value
    ids = {"{app}": scene.app.public_id, "{request}": scene.made.public_id if scene.made else ""}
    if scene.made is not None:
        steps = factories.case_of(scene.made).steps
        ids["{first step}"] = str(steps[0].id)
    for name, id in ids.items():
        value = value.replace(name, id)
    return value


def words_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page)).split())


@pytest.mark.parametrize("engine", [SQLITE])
@pytest.mark.parametrize("misuse", MISUSES, ids=lambda one: one.name)
def test_each_misuse_gets_the_same_answer_at_each_door(app: Flask, company: Company, misuse: Misuse) -> None:
    scene = Scene(company, factories.app("Salesforce", company.ana))
    misuse.setup(scene)
    who = getattr(company, misuse.who)
    form = filled(misuse.form, scene)
    if "field" in form:
        made = factories.revision_of(scene.app).snapshot().entitlements[0]
        form = {f"field-{made.id}": form["field"]}
    page_address, call_address = filled(misuse.page, scene), filled(misuse.call, scene)
    body = filled(misuse.body, scene)
    page = Browser(app, who).post(page_address, form)
    answer = Program(app, new_token(who)).post(call_address, body)
    assert (page.status_code, answer.status_code) == (misuse.status, misuse.status), (page.text[:600], answer.text)
    said = answer.json["detail"]
    assert misuse.sentence in said
    if misuse.status != 404:  # on a page 404 has words of its own
        assert said in words_of(page.text)


@pytest.mark.parametrize("engine", [SQLITE])
def test_who_was_deactivated_is_shown_the_door_at_each(app: Flask, company: Company) -> None:
    browser, program = Browser(app, company.rita), Program(app, new_token(company.rita))
    changes.deactivate(company.rita, company.adam)
    assert browser.get("/").status_code == 303
    assert program.get("/me").status_code == 401


# The third door: the command line. Exit codes by status; docs/cli.md.
EXITS = {403: 1, 404: 4, 409: 5, 422: 1}


def command_of(call: str, body: dict[str, Any], request: str) -> list[str] | None:
    """What somebody would type for this call; None where the command line has no such thing."""
    options = [f"--{name}={body[name]}" for name in ("comment", "reason") if name in body]
    options += [f"--field={name}={value}" for name, value in body.get("fields", {}).items()]
    word = call.rpartition("/")[2]
    if "step" in body:
        return None
    if call == ASK:
        return ["request", body["app"], f"--message={body['message']}"]
    if word in ("approval", "denial"):
        return [{"approval": "approve", "denial": "deny"}[word], request, *options]
    if word == "comments":
        return ["comment", request, body["text"]]
    return {"cancellation": ["cancel", request], "reminders": ["remind", request]}.get(word)


@pytest.mark.parametrize("engine", [SQLITE])
@pytest.mark.parametrize("misuse", MISUSES, ids=lambda one: one.name)
def test_and_at_the_command_line(app: Flask, company: Company, misuse: Misuse, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(company, factories.app("Salesforce", company.ana))
    misuse.setup(scene)
    who, body, call = getattr(company, misuse.who), filled(misuse.body, scene), filled(misuse.call, scene)
    command = command_of(call, body, scene.made.public_id if scene.made else "")
    if command is None or misuse.setup is no_need:
        # `approve` decides the step that is open; `request` adds what needs no approval.
        assert "step" in body or misuse.setup is no_need
        return
    said = Program(app, new_token(who)).post(call, body).json["detail"]
    with serving(app) as address:
        monkeypatch.setenv("COUNTERSIGN_ADDRESS", address.replace("127.0.0.1", "localhost"))
        monkeypatch.setenv("COUNTERSIGN_TOKEN", new_token(who))
        ran = CliRunner().invoke(commands, command)
    assert ran.exit_code == EXITS[misuse.status], ran.output
    if misuse.status != 404:  # what cannot be found is told by the look-up before the call
        assert said in " ".join(ran.output.split()), ran.output
