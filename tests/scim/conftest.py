"""A directory with a token, and a client that pushes by it."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.helpers.factories import Company
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.operations import directories

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


class Pusher:
    """Pushes by one token. Answers are parsed JSON in `.json`."""

    def __init__(self, app: Flask, secret: str) -> None:
        self._client = app.test_client(use_cookies=False)
        self.secret = secret

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        given = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/scim+json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.open(f"/scim/v2{path}", method=method, json=body, headers=given, buffered=True)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.call("GET", path, **headers)

    def person(self, name: str, **more: Any) -> TestResponse:
        """Pushes a new person: "Nils Berg" has the address nils@example.com."""
        first = name.split()[0].lower()
        body = {
            "schemas": [USER],
            "userName": f"{first}@corp.example.com",
            "externalId": f"ext-{first}",
            "displayName": name,
            "emails": [{"value": f"{first}@example.com", "type": "work", "primary": True}],
            "active": True,
        }
        return self.call("POST", "/Users", body | more)

    def group(self, name: str, *members: str) -> TestResponse:
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": one} for one in members]}
        return self.call("POST", "/Groups", body)

    def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> TestResponse:
        return self.call("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)}, **headers)


@pytest.fixture
def secret_of(company: Company) -> Callable[[str], str]:
    """Connects a directory of this name; returns its token."""

    def connect(name: str) -> str:
        choose("write")
        _, secret = directories.create(name=name, actor=company.adam, now=clock.now())
        outbox.commit()
        return secret

    return connect


@pytest.fixture
def entra(app: Flask, secret_of: Callable[[str], str]) -> Pusher:
    return Pusher(app, secret_of("Entra ID"))
