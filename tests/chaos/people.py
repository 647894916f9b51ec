"""The company under fire, and callers: people with a session who send forms as a page would."""

from __future__ import annotations

import http.client
import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Flask
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select

from tests.chaos.stack import SECRET
from tests.helpers import factories
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person
from webapp.operations import people, tokens
from webapp.workflow.policy import OutcomeRule, Policy, StepRule
from webapp.workflow.states import RequestState

CSRF = "0" * 40
SESSION_LASTS = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Someone:
    id: int
    public_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Thing:
    """An app."""

    id: int
    public_id: str
    free: bool


@dataclass
class Company:
    admins: list[Someone]
    askers: list[Someone]
    approvers: list[Someone]
    # Approvers who are deactivated and come back.
    leavers: list[Someone]
    groups: dict[str, list[Someone]]
    apps: list[Thing]
    # Person id → the Cookie header of a session.
    cookies: dict[int, str] = field(default_factory=dict)

    @property
    def everybody(self) -> list[Someone]:
        return [*self.admins, *self.askers, *self.approvers, *self.leavers]


def found(app: Flask, *, askers: int, apps: int) -> Company:
    """People, groups and apps, made by the real operations. Each leaver decides alone on some apps."""
    with app.app_context():
        rows = {
            "admin": [factories.person(f"Adam{n} Weiss", admin=True) for n in range(3)],
            "asker": [factories.person(f"Rita{n} Lindqvist") for n in range(askers)],
            "approver": [factories.person(f"Ana{n} Moreau") for n in range(8)],
            "leaver": [factories.person(f"Lea{n} Brandt") for n in range(4)],
        }
        approvers, leavers = rows["approver"], rows["leaver"]
        # Those who ask are in a group, too: nobody may decide their own.
        finance = factories.group("Finance", *approvers[:3], leavers[0], *rows["asker"][:2])
        security = factories.group("Security", *approvers[3:6], *leavers[1:3])
        things = []
        for n in range(apps):
            one, other = approvers[n % len(approvers)], leavers[n % len(leavers)]
            chain: list[Any] = [
                [one], [finance], [one, security], [security, finance], [other], [other, one, finance], [],
            ][n % 7]  # fmt: skip
            outcomes = dict(Policy().outcomes)
            if n % 5 == 0:
                outcomes[RequestState.APPROVED] = OutcomeRule(approvers=True, others=("audit@example.com",))
            policy = Policy(
                approval_required=bool(chain),
                steps=tuple(StepRule(factories.approver(who)) for who in chain),
                outcomes=outcomes,
            )
            made = factories.app(f"App {n:03}", policy=policy, owner=rows["admin"][n % 3] if n % 2 else security)
            things.append(Thing(made.id, made.public_id, not chain))
        company = Company(
            *([_someone(row) for row in rows[kind]] for kind in ("admin", "asker", "approver", "leaver")),
            groups={
                group.public_id: [_someone(row) for row in members]
                for group, members in ((finance, approvers[:3]), (security, approvers[3:6]))
            },
            apps=things,
        )
        for one in company.everybody:
            company.cookies[one.id] = sign_in(app, one.id)
    return company


def _someone(row: Person) -> Someone:
    return Someone(row.id, row.public_id, row.name)


def sign_in(app: Flask, person_id: int) -> str:
    """The Cookie header of a new session; inside an app context."""
    choose("write")
    row = people.start_session(
        person_id, kind="sign_in", browser="chaos", address="127.0.0.1", lasts=SESSION_LASTS, now=clock.now()
    )
    outbox.commit()
    return cookie(app, _user_id=row.public_id, _fresh=True)


def cookie(app: Flask, **session: Any) -> str:
    signer: Any = app.session_interface
    value = signer.get_signing_serializer(app).dumps({"csrf_token": CSRF, **session})
    return f"{app.config['SESSION_COOKIE_NAME']}={value}"


def csrf_token() -> str:
    """What a page's form would carry for the session above."""
    return str(URLSafeTimedSerializer(SECRET, salt="wtf-csrf-token").dumps(CSRF))


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` 0: nobody knows; the request was sent and no whole answer came back."""

    status: int
    location: str = ""
    body: str = ""
    seconds: float = 0.0

    @property
    def done(self) -> bool:
        """The form was taken; a way to the sign-in page is a refusal."""
        return self.status in (200, 201, 303) and not self.location.startswith("/sign-in")

    @property
    def refused(self) -> bool:
        return 400 <= self.status < 500 or (self.status == 303 and not self.done)


class Caller:
    """Sends one form at a time, each over a connection of its own unless `keep`; never twice."""

    def __init__(self, port: int, cookie: str, *, keep: bool = False, timeout: float = 30) -> None:
        self._port, self._cookie, self._keep, self._timeout = port, cookie, keep, timeout
        self._connection: http.client.HTTPConnection | None = None
        self._csrf = csrf_token()
        # Somebody else for the limiter each time.
        self._from = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"

    def post(self, path: str, **form: Any) -> Answer:
        body = urlencode({"csrf_token": self._csrf, **form}, doseq=True)
        return self._send("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def get(self, path: str) -> Answer:
        return self._send("GET", path, None, {})

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        began = time.perf_counter()
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            self._connection.request(
                method,
                path,
                body,
                {
                    "Cookie": self._cookie,
                    "Sec-Fetch-Site": "same-origin",
                    "X-Forwarded-For": self._from,
                    "X-Forwarded-Proto": "http",
                    **headers,
                },
            )
            answer = self._connection.getresponse()
            text = answer.read().decode(errors="replace")
            reply = Answer(answer.status, answer.getheader("Location", ""), text, time.perf_counter() - began)
        except (OSError, http.client.HTTPException):
            self.close()
            return Answer(0, seconds=time.perf_counter() - began)
        if not self._keep or answer.will_close:
            self.close()
        return reply


class Program(Caller):
    """Calls the API with a token."""

    def __init__(self, port: int, secret: str, *, timeout: float = 30) -> None:
        super().__init__(port, "", keep=True, timeout=timeout)
        self._secret = secret

    def call(self, path: str, key: str = "", **body: Any) -> Answer:
        """POST /api/v1<path>, with an Idempotency-Key if one is given."""
        headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        return self._send("POST", f"/api/v1{path}", json.dumps(body), headers)


def token_of(person_id: int | None, *scopes: str) -> str:
    """A token of this person, else of a service; inside an app context."""
    choose("write")
    person = db.session.get_one(Person, person_id) if person_id is not None else None
    admin = db.session.scalars(select(Person).where(Person.is_admin).order_by(Person.id)).first()
    _, secret = tokens.create(name="chaos", scopes=scopes, days=1, actor=person or admin or factories.person(
        "Adam Weiss", admin=True), now=clock.now(), person=person)  # fmt: skip
    outbox.commit()
    return secret
