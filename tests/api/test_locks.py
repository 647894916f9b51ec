"""What waits for what: whoever requests or adds an app relies on its rules until the commit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Program
from tests.helpers import factories
from tests.helpers.factories import Company
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import App
from webapp.queries import directory

Make = Callable[..., Program]
Call = Callable[[Program, App], Any]


def replaced(adam: Program, app: App) -> Any:
    path = f"/apps/{app.public_id}/policy"
    return adam.change("PUT", path, adam.get(path).json | {"approval_required": False})


def archived(adam: Program, app: App) -> Any:
    return adam.post(f"/apps/{app.public_id}/archival")


def with_a_field(adam: Program, app: App) -> Any:
    return adam.post(f"/apps/{app.public_id}/fields", {"name": "Role", "kind": "text", "default": "Reader"})


def opened(adam: Program, app: App) -> Any:
    return adam.change("PATCH", f"/apps/{app.public_id}", {"note": "Ask first."})


@pytest.mark.both_engines
@pytest.mark.parametrize("change", [replaced, archived, with_a_field, opened])
def test_the_rules_of_an_app_change_when_nobody_is_about_to_rely_on_them(
    program: Make, company: Company, change: Call
) -> None:
    figma, adam = factories.app("Figma", company.ana), program("adam")
    answers: list[int] = []
    calling = threading.Thread(target=lambda: answers.append(change(adam, figma).status_code))
    db.session.rollback()
    choose("write")
    # As a request and an addition do, before they look the rules up again.
    directory.lock()
    calling.start()
    calling.join(0.7)
    assert calling.is_alive() and answers == []
    db.session.rollback()
    calling.join(20)
    assert answers[0] in (200, 201)
