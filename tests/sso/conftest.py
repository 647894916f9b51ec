"""A strict provider that the tests may call, and a browser that goes there and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

from tests.helpers.browsers import Browser
from tests.helpers.factories import Company
from webapp import clock, networks, outgoing
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person, PersonSession, Provider
from webapp.networks import Allowed
from webapp.operations import providers
from webapp.sso import provider as calls

from .strict import CLIENT, SECRET, StrictProvider


@pytest.fixture(scope="session")
def strict_server() -> Iterator[StrictProvider]:
    made = StrictProvider()
    yield made
    made.stop()


@pytest.fixture
def strict(strict_server: StrictProvider, monkeypatch: pytest.MonkeyPatch) -> StrictProvider:
    """The refusal of loopback is lifted for its port."""
    strict_server.reset()
    calls.forget()
    ours = {("127.0.0.1", strict_server.port)}
    for module in (networks, outgoing):
        monkeypatch.setattr(module, "allowed_for", lambda url: Allowed(sockets=ours))
    return strict_server


@pytest.fixture
def provider(app: Flask, company: Company, strict: StrictProvider) -> Provider:
    """A button "Strict", which links by address and adds people."""
    made = providers.create(
        name="Strict", issuer=strict.issuer, client_id=CLIENT, client_secret=SECRET, actor=company.adam, now=clock.now()
    )
    providers.change(made, creates_people=True, actor=company.adam, now=clock.now())
    providers.switch(made, on=True, actor=company.adam, now=clock.now())
    outbox.commit()
    return made


class Visitor(Browser):
    """A browser that goes to the provider and comes back as whom `strict.claims` names."""

    def __init__(self, app: Flask, strict: StrictProvider, person: Person | None = None) -> None:
        super().__init__(app, person)
        self.strict = strict

    def leave(self, path: str) -> str:
        """Where the provider sends the browser back to."""
        answer = self.get(path)
        assert answer.status_code == 303, answer.text
        parts = urlsplit(self.strict.authorize(answer.location))
        assert f"{parts.scheme}://{parts.netloc}" == "http://localhost"
        return f"{parts.path}?{parts.query}"

    def come(self, provider: Provider, next: str = "/") -> Any:
        return self.get(self.leave(f"/sso/{provider.public_id}/start?next={next}"))

    def who(self) -> str | None:
        """The name of who is signed in in this browser."""
        with self.client.session_transaction() as session:
            public_id = session.get("_user_id")
        db.session.rollback()
        return db.session.scalar(
            select(Person.name)
            .join(PersonSession, PersonSession.person_id == Person.id)
            .where(PersonSession.public_id == public_id, PersonSession.ended_at.is_(None))
        )


@pytest.fixture
def visitor(app: Flask, strict: StrictProvider) -> Callable[..., Visitor]:
    return lambda person=None: Visitor(app, strict, person)


def claims_of(person: Person, subject: str = "", **more: Any) -> dict[str, Any]:
    """What a provider would say of somebody."""
    return {"sub": subject or f"sub-{person.first_name}", "email": person.email, "email_verified": True,
            "name": person.name, **more}  # fmt: skip
