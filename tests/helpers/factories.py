"""People, groups, apps and requests for tests, made by the real operations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, text

from webapp import clock, encryption, totp
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import (
    AccessRequest,
    ApiToken,
    App,
    Authenticator,
    Endpoint,
    EntitlementField,
    Grant,
    Group,
    Icon,
    Person,
    PolicyRevision,
    Provider,
    Step,
)
from webapp.operations import (
    apps,
    decisions,
    endpoints,
    entitlements,
    grants,
    groups,
    people,
    providers,
    requests,
    tokens,
)
from webapp.operations.proofs import SIGNED_IN
from webapp.operations.proofs import STEP_IN as STEP_IN
from webapp.queries import cases
from webapp.queries.cases import Case
from webapp.text import fold
from webapp.workflow.actor import SYSTEM
from webapp.workflow.policy import Approver, Policy, StepRule
from webapp.workflow.states import Verdict, Visibility

PASSWORD = "countersign-demo"
# argon2id of PASSWORD with cheap parameters: hashing for each test person would take longer than most tests.
_hash = ""


@dataclass
class Company:
    rita: Person
    ana: Person
    ben: Person
    chloe: Person
    otto: Person
    adam: Person
    finance: Group


def person(name: str, *, admin: bool = False, email: str = "") -> Person:
    """An active person, without a password."""
    choose("write")
    made = people.create(
        email=email or f"{fold(name.split()[0])}@example.com",
        name=name,
        actor=SYSTEM,
        now=clock.now(),
        is_admin=admin,
    )
    outbox.commit()
    return made


def with_password(someone: Person, password: str = PASSWORD) -> Person:
    """Gives a password, hashed cheaply."""
    from argon2 import PasswordHasher

    choose("write")
    hash = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)
    db.session.merge(someone).password_hash = hash
    db.session.commit()
    return someone


def with_authenticator(someone: Person) -> str:
    """Gives an authenticator app and recovery codes; returns the app's secret."""
    choose("write")
    secret = totp.new_secret()
    db.session.add(
        Authenticator(person_id=someone.id, secret=encryption.encrypt(secret), last_step=0, confirmed_at=clock.now())
    )
    db.session.commit()
    return secret


def company() -> Company:
    adam = person("Adam Weiss", admin=True)
    cast = [person(name) for name in ("Rita Lindqvist", "Ana Moreau", "Ben Okafor", "Chloe Tan", "Otto Brandt")]
    rita, ana, ben, chloe, otto = cast
    return Company(rita, ana, ben, chloe, otto, adam, group("Finance", ben, chloe))


def group(name: str, *members: Person) -> Group:
    choose("write")
    made = groups.create(name=name, actor=SYSTEM, now=clock.now())
    for member in members:
        groups.add_member(made, member, actor=SYSTEM, now=clock.now())
    outbox.commit()
    return made


def app(name: str, *approvers: Person | Group, owner: Person | Group | None = None, **changes: Any) -> App:
    """A requestable app: with approvers it needs their approval in that order, without it is added at once."""
    choose("write")
    policy = changes.pop("policy", None) or Policy(
        approval_required=bool(approvers), steps=tuple(StepRule(approver(one)) for one in approvers)
    )
    made = apps.create(
        name=name,
        actor=SYSTEM,
        now=clock.now(),
        policy=policy,
        owner=approver(owner) if owner else None,
        requestable=changes.pop("requestable", True),
        **changes,
    )
    outbox.commit()
    return made


def approver(one: Person | Group) -> Approver:
    return Approver(person=one.id) if isinstance(one, Person) else Approver(group=one.id)


def revision_of(one: App) -> PolicyRevision:
    return db.session.get_one(PolicyRevision, one.policy_revision_id)


def step_id(one: App, who: Person | Group | Approver) -> str:
    """The id of the step in the app's rule that this person or group approves."""
    wanted = who if isinstance(who, Approver) else approver(who)
    policy = revision_of(db.session.get_one(App, one.id, populate_existing=True)).snapshot()
    return next(step.id for step in policy.steps if step.approver == wanted)


def field(one: App, *, actor: Person, writer: Person | Group | Approver | None = None, required: bool = False,
          **values: Any) -> EntitlementField:  # fmt: skip
    """A field of the app that the requester does not see; the step of `writer` may set it. Nothing is committed."""
    defaults = {"name": "Licence", "kind": "text", "options": (), "default": (), "help": "", "requester": "hidden"}
    alone = required and writer is None
    made = entitlements.create(one, **(defaults | values), required=alone, actor=actor, now=clock.now())
    if writer is not None:
        cell = {(step_id(one, writer), made.public_id): (Visibility.HIDDEN, Visibility.WRITE)}
        entitlements.see(one, steps=cell, actor=actor, now=clock.now())
        if required:
            entitlements.edit(one, made.public_id, required=True, actor=actor, now=clock.now())
    return made


def request(asker: Person, wanted: App, *, message: str = "I need it for my work.", given: Any = None) -> AccessRequest:
    """A submitted request."""
    choose("write")
    made = requests.submit(
        wanted, revision_of(wanted), actor=asker, message=message, given=given or {}, now=clock.now()
    )
    outbox.commit()
    return made


def with_icon(app: App, *, body: bytes, sha256: str) -> None:
    """These bytes are the app's uploaded icon; nobody looks whether they are a picture, or that their hash."""
    choose("write")
    icon = Icon(content_type="image/png", sha256=sha256, body=body)
    db.session.add(icon)
    db.session.flush()
    shown = db.session.merge(app)
    shown.icon_id, shown.icon_hash = icon.id, icon.sha256
    db.session.commit()


def grant(person: Person, wanted: App) -> Grant:
    """An app without approval, added by the person."""
    choose("write")
    made = grants.add_directly(wanted, revision_of(wanted), actor=person, now=clock.now())
    outbox.commit()
    return made


def case_of(made: AccessRequest) -> Case:
    found = cases.load(id=made.id)
    assert found is not None
    return found


def decide(
    made: AccessRequest, actor: Person, verdict: Verdict = Verdict.APPROVED, comment: str = "", given: Any = None
) -> None:
    """One decision, committed."""
    choose("write")
    decisions.decide(
        case_of(made),
        actor=actor,
        verdict=verdict,
        comment=comment or ("No." if verdict is Verdict.DENIED else ""),
        given=given,
        proof=SIGNED_IN,
        now=clock.now(),
    )
    outbox.commit()


def overdue(made: AccessRequest) -> None:
    """Moves the open step's stored due instant into the past."""
    choose("write")
    past = clock.now() - timedelta(minutes=5)
    db.session.query(Step).filter(Step.request_id == made.id, Step.state == "open").update({"due_at": past})
    db.session.commit()


def an_admin() -> Person:
    """The admin who was made first."""
    return db.session.scalars(select(Person).where(Person.is_admin, Person.active).order_by(Person.id)).first()


def token(someone: Person | None, *scopes: str, name: str = "laptop", days: int = 30) -> ApiToken:
    """An API token of this person, else of a service."""
    choose("write")
    made, _ = tokens.create(name=name, scopes=scopes or ("requests:read",), days=days, actor=someone or an_admin(),
                            person=someone, now=clock.now())  # fmt: skip
    outbox.commit()
    return made


def webhook(admin: Person, *, name: str = "Service desk", **more: Any) -> Endpoint:
    """A webhook that is told everything."""
    choose("write")
    given = {"kind": "webhook", "address": "https://hooks.example.com/countersign"} | more
    made, _ = endpoints.create(name=name, actor=admin, now=clock.now(), **given)
    outbox.commit()
    return made


def provider(admin: Person, *, name: str = "Company login", **changes: Any) -> Provider:
    """A provider of single sign-on that is in use, at an address that is not called."""
    made = providers.create(
        name=name, issuer="https://localhost", client_id="countersign", client_secret="", actor=admin, now=clock.now()
    )
    providers.switch(made, on=True, actor=admin, now=clock.now())
    if changes:
        providers.change(made, **changes, actor=admin, now=clock.now())
    outbox.commit()
    return made


def session_of(someone: Person) -> str:
    """A signed-in session's public id."""
    choose("write")
    row = people.start_session(
        someone.id, kind="sign_in", browser="test", address="127.0.0.1", lasts=timedelta(hours=1), now=clock.now()
    )
    outbox.commit()
    return row.public_id


def rows(table: str, where: str = "true") -> int:
    """How many rows a table has."""
    db.session.rollback()
    count = db.session.execute(text(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one()
    db.session.rollback()
    return int(count)
