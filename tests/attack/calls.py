"""Calls of the API that its document allows, and calls that it does not, with real ids and every kind of token.

schemathesis makes the parameters and bodies from the document; ids come from what the answers showed, so that calls
reach what they are about and later calls meet what earlier ones left. Whatever is called: no 5xx, no status and no
answer that the document does not have, and no token does what it may not.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from PIL import Image
from schemathesis import GenerationMode
from sqlalchemy import update

from tests.api.conftest import new_token
from tests.helpers import factories
from tests.helpers.factories import Company
from webapp.api._document import document
from webapp.api._operation import OPERATIONS, Operation
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import broker, db
from webapp.models import ApiToken, Organisation, Person
from webapp.web.pictures import CONTENT_TYPES
from webapp.workflow.scopes import Scope

# Of ten ids nine are real.
REAL = 0.9
# Fields of bodies and queries that hold an id, by what the id is of.
IDS = {
    "app": "apps", "for_person": "people", "person": "people", "approver": "people", "request": "requests",
    "grant": "grants", "group": "groups", "field": "fields", "notice": "notices", "token": "tokens", "owner": "people",
}  # fmt: skip
ENDS_TOKENS = ("me.end", "tokens.revoke", "people.deactivate", "people.change", "organisation.change")
_KEY = re.compile(r"[0-9A-HJKMNP-TV-Z]{12}")


@dataclass
class Findings:
    """What was called, what was answered, and what should not have been."""

    calls: int = 0
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def by_status(self) -> dict[int, int]:
        found: Counter[int] = Counter()
        for (_, status), number in self.statuses.items():
            found[status] += number
        return dict(sorted(found.items()))

    @property
    def never_done(self) -> list[str]:
        """Operations without one good answer."""
        done = {name for (name, status) in self.statuses if status < 400}
        return sorted({name for name, _ in self.statuses} - done)


@dataclass(frozen=True)
class Key:
    """A token: whose it is, and what it was made for."""

    who: str
    secret: str
    scopes: frozenset[Scope]
    is_admin: bool
    is_service: bool


def keys_of(company: Company, owner: Person) -> list[Key]:
    """Every person's and a service's, each with all scopes that they may have, and with one scope alone."""
    people: dict[str, Person | None] = {
        "rita": company.rita, "ana": company.ana, "otto": company.otto, "owner": owner, "adam": company.adam,
        "service": None,
    }  # fmt: skip
    made = []
    for who, person in people.items():
        is_admin = person is None or person.is_admin
        allowed = [one for one in Scope if (person is not None or one.is_for_services)
                   and (is_admin or not one.is_for_admins)]  # fmt: skip
        for scopes in (allowed, [Scope.REQUESTS_READ]):
            secret = new_token(person, scopes)
            made.append(Key(who, secret, frozenset(scopes), is_admin, person is None))
    return made


class Calls:
    """Makes calls against one app, and judges each answer."""

    def __init__(self, app: Flask, number: int) -> None:
        self._client = app.test_client(use_cookies=False)
        self._random = random.Random(number)
        self._ids: dict[str, list[str]] = defaultdict(list)
        self._validators: dict[str, Any] = {}
        self.findings = Findings()
        self._prepare()

    def _prepare(self) -> None:
        company = factories.company()
        owner = factories.person("Olga Petrova")
        for number in range(3):
            factories.grant(company.ben, factories.app(f"Free {number}", owner=owner))
            asked = factories.app(f"App {number}", company.ana, company.finance, owner=owner)
            factories.field(asked, actor=company.adam, name="Role", kind="choice", options=("Viewer", "Editor"))
            outbox.commit()
            factories.request(company.rita, asked)
            factories.request(company.otto, asked)
        self.company, self.owner = company, owner
        self.keys = keys_of(company, owner)
        db.session.remove()
        admin = next(one for one in self.keys if one.who == "adam")
        for path in ("apps", "people", "groups", "requests", "grants", "notices", "tokens"):
            self.learn_list(path, self._client.get(f"/api/v1/{path}", headers=_headers(admin)).json)
        for app in self._ids["apps"]:
            path = f"apps/{app}/fields"
            self.learn_list(path, self._client.get(f"/api/v1/{path}", headers=_headers(admin)).json)

    def _learn(self, answer: Any, of: str = "") -> None:
        """Remembers the ids of an answer, by the name of what holds them."""
        if isinstance(answer, list):
            for one in answer:
                self._learn(one, of)
        elif isinstance(answer, dict):
            for name, one in answer.items():
                if name == "id" and isinstance(one, str) and _KEY.fullmatch(one) and of:
                    known = self._ids[of]
                    if one not in known:
                        known.append(one)
                        del known[:-50]
                else:
                    self._learn(one, IDS.get(name, of if name == "items" else name))

    def learn_list(self, path: str, answer: Any) -> None:
        """Ids of an answer to this address: a list is of what its address ends with."""
        parts = [one for one in path.strip("/").split("/") if not one.startswith("{")]
        self._learn(answer, parts[-1])

    def id_of(self, name: str, otherwise: str) -> str:
        known = self._ids.get(IDS.get(name, name), [])
        return self._random.choice(known) if known and self._random.random() < REAL else otherwise

    def with_real_ids(self, value: Any, name: str = "") -> Any:
        """A body or query in which most ids are real ones."""
        if isinstance(value, dict):
            if set(value) == {"kind", "id"}:
                kind = value["kind"] if value["kind"] in ("person", "group") else "person"
                return {"kind": kind, "id": self.id_of(kind, str(value["id"]))}
            return {key: self.with_real_ids(one, key) for key, one in value.items()}
        if isinstance(value, list):
            return [self.with_real_ids(one, name.rstrip("s")) for one in value]
        return self.id_of(name, value) if isinstance(value, str) and name in IDS else value

    def _shorter(self, of: Operation, body: Any) -> Any:
        """The body without most of its optional fields, which seldom fit all at once."""
        if not isinstance(body, dict) or of.body is None:
            return body
        needed = {name for name, one in of.body.model_fields.items() if one.is_required()}
        return {name: one for name, one in body.items() if name in needed or self._random.random() < 0.4}

    def call(self, of: Operation, case: Any) -> None:
        # Most are an admin's with all scopes: others are refused nearly everywhere.
        weights = [(6 if key.is_admin else 2) if len(key.scopes) > 1 else 1 for key in self.keys]
        key = self._random.choices(self.keys, weights)[0]
        path = of.path
        for before, name in re.findall(r"([\w-]+)/{(\w+)}", of.path):
            given = str((case.path_parameters or {}).get(name, "x")) or "x"
            path = path.replace(f"{{{name}}}", self.id_of(before, given).replace("/", "-")[:60])
        headers = _headers(key) | {
            name: str(value) for name, value in dict(case.headers or {}).items() if _can_be_sent(name, value)
        }
        if of.needs_match and self._random.random() < REAL:
            headers["If-Match"] = self._etag(of, path, key)
        body = (
            None
            if isinstance(case.body, schemathesis.core.NotSet)
            else self.with_real_ids(self._shorter(of, case.body))
        )
        query = {name: self.with_real_ids(value, name) for name, value in dict(case.query or {}).items()
                 if isinstance(value, str | int | float | bool)}  # fmt: skip
        broker().flushdb()  # the limit of calls is tested by itself
        answer = self._client.open(
            f"/api/v1{path}", method=of.method, headers=headers, query_string=query or None,
            buffered=True, **(_file(body, of) if of.takes else _sent(body)),
        )  # fmt: skip
        self.findings.calls += 1
        self.findings.statuses[of.name, answer.status_code] += 1
        self._judge(of, key, path, body, answer)
        if answer.status_code == 401 or of.name in ENDS_TOKENS:
            self._renew()

    def _renew(self) -> None:
        """Calls end tokens, deactivate people and take rights away: all is given back, so that the next call is
        more than a refusal."""
        db.session.rollback()
        choose("write")
        for name, is_admin in (("rita", False), ("ana", False), ("otto", False), ("adam", True)):
            person = db.session.get_one(Person, getattr(self.company, name).id)
            person.active, person.is_admin = True, is_admin
        db.session.execute(update(Person).where(Person.id == self.owner.id).values(active=True, is_admin=False))
        db.session.execute(update(Organisation).values(tokens_allowed=True, token_days=90))
        db.session.execute(update(ApiToken).values(revoked_at=None))
        db.session.commit()
        db.session.remove()

    def _etag(self, of: Operation, path: str, key: Key) -> str:
        path = path.removesuffix("/picture").removesuffix("/logo")
        return self._client.get(f"/api/v1{path}", headers=_headers(key)).headers.get("ETag", '"x"')

    def _judge(self, of: Operation, key: Key, path: str, body: Any, answer: Any) -> None:
        status = answer.status_code

        def fault(words: str) -> None:
            self.findings.faults.append(
                f"{words}: {of.method} {path} by {key.who} {sorted(key.scopes)[:2]} with {body!r:.300} → "
                f"{status} {answer.text[:300]}"
            )

        if status >= 500:
            fault("broken")
        if status not in of.statuses:
            fault("a status that is not in the document")
        if status < 300 and of.scope is not None and of.scope not in key.scopes:
            fault("done without the scope")
        if status < 300 and of.audience == "admins" and not key.is_admin:
            fault("done without being an admin")
        if status < 300 and of.audience == "people" and key.is_service:
            fault("done by a service")
        if status >= 400:
            if answer.content_type != "application/problem+json":
                fault("no problem")
            else:
                self._fits("Problem", answer.json, fault)
        elif of.answer is not None and answer.data:
            items = answer.json["items"] if of.is_list else [answer.json]
            for one in items[:5]:
                self._fits(of.answer.__name__, one, fault)
            self.learn_list(of.path, answer.json)

    def _fits(self, name: str, value: Any, fault: Any) -> None:
        if name not in self._validators:
            whole = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
            self._validators[name] = validator_for(whole, default=Draft202012Validator)(whole)
        for error in self._validators[name].iter_errors(value):
            fault(f"an answer that does not fit {name}: {error.json_path} {error.message[:100]}")


for _kind in CONTENT_TYPES:
    schemathesis.serializer(_kind)(lambda _, value: value)


def _file(value: Any, of: Operation) -> dict[str, Any]:
    """A picture, a broken one, or what was made of the document."""
    good = BytesIO()
    Image.new("RGB", (8, 8), "red").save(good, "PNG")
    kind, broken = of.takes[0], str(value).encode()[:200]
    return {"data": good.getvalue() if len(broken) % 2 else broken, "content_type": kind}


def _headers(key: Key) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.secret}"}


def _sent(body: Any) -> dict[str, Any]:
    """How the client sends a body; one that is no JSON goes out as it is."""
    if body is None:
        return {}
    if isinstance(body, bytes):
        return {"data": body, "content_type": "application/json"}
    return {"json": body}


def _can_be_sent(name: str, value: Any) -> bool:
    """Whether it is a header of its own: the token stays, and so does what no client can send."""
    text = str(value)
    return name.lower() not in ("authorization", "host", "content-type") and text.isascii() and text.isprintable()


def run(app: Flask, *, cases: int, number: int) -> Iterator[Findings]:
    """So many calls, in rounds through all operations in another order each time; the findings so far after each."""
    calls = Calls(app, number)
    schema = schemathesis.openapi.from_dict(document())
    shuffled = random.Random(number)
    turn = 0
    while calls.findings.calls < cases:
        turn += 1
        for of in shuffled.sample(OPERATIONS, len(OPERATIONS)):
            wrong = turn % 4 == 0
            mode = GenerationMode.NEGATIVE if wrong else GenerationMode.POSITIVE
            strategy = schema[of.path][of.method].as_strategy(generation_mode=mode)
            _examples(calls, of, strategy, number + turn)
        yield calls.findings


def _examples(calls: Calls, of: Operation, strategy: Any, number: int) -> None:
    @seed(number)
    @settings(max_examples=5, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def each(case: Any) -> None:
        calls.call(of, case)

    each()
