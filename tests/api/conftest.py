"""Programs: a client with a token for each of the company's people, and for a service."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.helpers import factories
from tests.helpers.factories import Company
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person
from webapp.operations import tokens
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
        return self._client.open(f"/api/v1{path}", method=method, json=body, headers=given, buffered=True)

    def upload(self, path: str, file: bytes, kind: str, **headers: str) -> TestResponse:
        """PUT with a file as the body."""
        given = {"Authorization": f"Bearer {self.secret}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self._client.put(f"/api/v1{path}", data=file, content_type=kind, headers=given, buffered=True)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.call("POST", path, {} if body is None else body, **headers)

    def change(self, method: str, path: str, body: Any, *, read: str = "") -> TestResponse:
        """A change with the ETag of what is read at the same address, or at `read`."""
        etag = self.get(read or path).headers["ETag"]
        return self.call(method, path, body, If_Match=etag)

    def pages(self, path: str, *, between: Callable[[], object] = lambda: None) -> Iterator[list[Any]]:
        """The items of each page, as the Link headers lead; `between` is called after each page."""
        while path:
            answer = self.get(path)
            assert answer.status_code == 200, answer.text
            yield answer.json["items"]
            between()
            link = answer.headers.get("Link", "")
            path = link[1:].partition(">")[0].partition("/api/v1")[2]

    def every(self, path: str, *, between: Callable[[], object] = lambda: None) -> list[Any]:
        """All items of a list, page by page."""
        return [one for page in self.pages(path, between=between) for one in page]


def new_token(person: Person | None, scopes: Iterable[str] | None = None, *, name: str = "laptop",
              made_by: Person | None = None) -> str:  # fmt: skip
    """A token of this person, else of a service, with these scopes; all that it may have unless they are given.
    `made_by`: the admin who makes the token of a service, one of them unless given."""
    choose("write")
    if scopes is None:
        allowed = [one for one in Scope if person is not None or one.is_for_services]
        scopes = [one for one in allowed if person is None or person.is_admin or not one.is_for_admins]
    actor = person or made_by or factories.an_admin()
    _, secret = tokens.create(name=name, scopes=[str(one) for one in scopes], days=30, actor=actor, now=clock.now(),
                              person=person)  # fmt: skip
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
