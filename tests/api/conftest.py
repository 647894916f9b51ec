"""Programs: a client with a token for each of the company's people, and for a service."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.helpers.factories import Company
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person
from webapp.operations import tokens
from webapp.workflow.actor import SYSTEM
from webapp.workflow.scopes import Scope


class Program:
    """A program with one token. Answers are parsed JSON in `.json`."""

    def __init__(self, app: Flask, secret: str) -> None:
        self._client = app.test_client(use_cookies=False)
        self.secret = secret

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Calls /api/v1<path>; header names with underscores for hyphens."""
        given = {"Authorization": f"Bearer {self.secret}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self._client.open(f"/api/v1{path}", method=method, json=body, headers=given)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.call("POST", path, {} if body is None else body, **headers)


def new_token(person: Person | None, scopes: Iterable[str] | None = None, *, name: str = "laptop") -> str:
    """A token of this person, else of a service, with these scopes; all that it may have unless they are given."""
    choose("write")
    if scopes is None:
        allowed = [one for one in Scope if person is not None or one.is_for_services]
        scopes = [one for one in allowed if person is None or person.is_admin or not one.is_for_admins]
    _, secret = tokens.create(name=name, scopes=[str(one) for one in scopes], days=30, actor=person or SYSTEM,
                              now=clock.now(), person=person)  # fmt: skip
    outbox.commit()
    db.session.remove()
    return secret


@pytest.fixture
def program(app: Flask, company: Company) -> Callable[..., Program]:
    """program("rita", "requests:read") is a program with Rita's token; program("service") with a service's."""

    def make(who: str, *scopes: str) -> Program:
        person = None if who == "service" else getattr(company, who)
        return Program(app, new_token(person, scopes or None))

    return make
