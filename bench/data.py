"""The company that is measured: a few hundred people and apps, two years of settled requests, and long queues.

Written by bulk inserts, since the real operations would take minutes; the tables end up as they would leave them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import func, insert, select, text, update

from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db, keyring
from webapp.models import (
    AccessRequest,
    App,
    Decision,
    Grant,
    Group,
    Invitation,
    Membership,
    Person,
    PolicyRevision,
    Step,
)
from webapp.models.requests import dump_values
from webapp.operations import people
from webapp.text import public_id, search_text, sort_key
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import Approver, Policy, StepRule
from webapp.workflow.policy_codec import FORM, digest, dumps, loads
from webapp.workflow.states import Visibility

PEOPLE = 300
HISTORY = 5_000
ROWS = 30
CATEGORIES = (
    "Collaboration", "Data", "Design", "Development", "Finance", "Marketing", "Operations", "People", "Sales",
    "Security", "Support", "Travel",
)  # fmt: skip
SUBJECTS = ("invoices", "contracts", "dashboards", "tickets", "photographs", "prototypes", "calendars", "forecasts",
            "campaigns", "onboarding", "inventory", "translations")  # fmt: skip
ICONS = ("brush", "chart-pie", "receipt", "mail", "users", "calendar", "database", "lifebuoy")
BATCH = 1_000
APPS = select(App.id, App.policy_revision_id, PolicyRevision.body).join(
    PolicyRevision, PolicyRevision.id == App.policy_revision_id
)


@dataclass(frozen=True)
class Company:
    """Keys of those who matter. Rita has 30 apps and 30 pending requests; 30 requests wait for Ana; Otto has nothing.

    Mia has 15 apps and 15 pending requests, Paul 24 and 6.
    """

    adam: int
    rita: int
    mia: int
    paul: int
    ana: int
    otto: int
    others: tuple[int, ...]
    finance: int


def fill(apps: int = 200, history: int = HISTORY, *, queues: bool = True) -> Company:
    """Everything, into an empty, migrated database; inside an app context. Without `queues` nobody has asked yet."""
    choose("write")
    now = clock.now()
    names = [("Adam Weiss", True), ("Rita Lindqvist", False), ("Mia Sorel", False), ("Paul Hartmann", False),
             ("Ana Moreau", False),
             ("Otto Brandt", False), ("Ben Okafor", False), ("Chloe Tan", False)]  # fmt: skip
    names += [(f"Person {number:03}", False) for number in range(PEOPLE)]
    ids = add(Person, [_person(name, is_admin, now) for name, is_admin in names])
    adam, rita, mia, paul, ana, otto, ben, chloe, *others = ids
    finance = add(Group, [{"public_id": public_id(), "name": "Finance", "sort_key": "finance", "created_at": now}])[0]
    db.session.execute(insert(Membership), [{"group_id": finance, "person_id": one} for one in (ben, chloe)])
    company = Company(adam, rita, mia, paul, ana, otto, tuple(others), finance)
    add_apps(company, apps)
    if not queues:
        analyse()
        return company
    by_name = db.session.execute(APPS.order_by(App.sort_key)).all()
    asked = [row for row in by_name if loads(row.body).approval_required]
    free = [row for row in by_name[ROWS:] if len(loads(row.body).steps) == 2]
    # Ana has answered these, so that her queue holds exactly the rows that follow.
    for person, has, asks in ((rita, ROWS, ROWS), (mia, 15, 15), (paul, 24, 6)):
        _give(person, by_name[:has], now)
        _ask(company, [(person, row) for row in free[:asks]], now, answered=True)
    _ask(company, [(others[number], asked[number]) for number in range(ROWS)], now)
    _settle(company, [(others[n % len(others)], asked[(n * 7) % len(asked)]) for n in range(history)], now)
    db.session.commit()
    analyse()
    return company


def add_apps(company: Company, number: int, first: int = 0) -> None:
    """Requestable apps; every fourth needs no approval, the others Ana's, half of those Finance's, too."""
    now = clock.now()
    for begin in range(first, first + number, BATCH):
        rows, bodies = [], []
        for n in range(begin, min(begin + BATCH, first + number)):
            subject, category = SUBJECTS[(n // 5) % len(SUBJECTS)], CATEGORIES[n % len(CATEGORIES)]
            name = f"{subject.capitalize()} {n:05}"
            description = f"Where everybody keeps {subject}: write, share and find them again. Number {n}."
            rows.append(
                {
                    "public_id": public_id(), "name": name, "sort_key": sort_key(name), "description": description,
                    "search_text": search_text(name, description, category), "category": category,
                    "icon": ICONS[n % len(ICONS)], "launch_url": "https://app.example.com/", "requestable": True,
                    "for_everyone": True, "owner_person_id": company.adam, "created_at": now,
                }
            )  # fmt: skip
            bodies.append(dumps(_policy(company, n)))
        ids = add(App, rows)
        revisions = add(
            PolicyRevision,
            [
                {"app_id": id, "number": 1, "schema": FORM, "body": body, "hash": digest(body), "created_at": now}
                for id, body in zip(ids, bodies, strict=True)
            ],
        )
        db.session.execute(
            update(App),
            [{"id": id, "policy_revision_id": revision} for id, revision in zip(ids, revisions, strict=True)],
        )
    db.session.commit()


def add_overdue(company: Company, number: int) -> None:
    """Pending requests whose first step is overdue, with one person asked, and whose second step waits."""
    now = clock.now()
    apps = [app for app in db.session.execute(APPS.order_by(App.id)) if len(loads(app.body).steps) == 2]
    taken = set(
        db.session.execute(
            select(AccessRequest.app_id, AccessRequest.for_person_id).where(AccessRequest.state == "pending")
        ).tuples()
    )
    pairs = ((person, app) for app in apps for person in company.others if (app.id, person) not in taken)
    for begin in range(0, number, BATCH * 5):
        chunk = [next(pairs) for _ in range(min(BATCH * 5, number - begin))]
        _ask(company, chunk, now - timedelta(days=10))
        db.session.commit()
    analyse()


def add_askable(company: Company, number: int) -> list[str]:
    """`number` more apps that need Ana's approval, for as many submitted requests: their public ids."""
    last = db.session.scalar(select(func.max(App.id))) or 0
    add_apps(company, number * 2, first=1_000_000 + last)
    found = db.session.scalars(
        select(App.public_id)
        .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
        .where(App.id > last, PolicyRevision.body.like('%"approval_required":true%'))
        .order_by(App.id)
        .limit(number)
    ).all()
    return list(found)


def analyse() -> None:
    """Fresh statistics, as autovacuum would have made them by the next minute."""
    choose("write")
    db.session.execute(text("ANALYZE"))
    db.session.commit()


def cookie(app: Flask, person_id: int) -> str:
    """The cookie of a new session of this person; the view behind the sign-in form would set the same."""
    choose("write")
    row = people.start_session(
        person_id, kind="sign_in", browser="bench", address="127.0.0.1", lasts=timedelta(hours=6), now=clock.now()
    )
    outbox.commit()
    signer: Any = app.session_interface
    value = signer.get_signing_serializer(app).dumps(
        {"_user_id": row.public_id, "_fresh": True, "csrf_token": "0" * 40}
    )
    return f"{app.config['SESSION_COOKIE_NAME']}={value}"


def _person(name: str, is_admin: bool, now: Any) -> dict[str, Any]:
    email = f"{name.lower().replace(' ', '.')}@example.com"
    return {"public_id": public_id(), "email": email, "name": name, "sort_key": sort_key(name), "is_admin": is_admin,
            "search_text": search_text(name, email), "about": "Sales, Hamburg", "created_at": now}  # fmt: skip


def _policy(company: Company, number: int) -> Policy:
    role = Entitlement(
        f"role{number:08}", "Role", "choice", ("Reader", "Writer", "Admin"), default="Reader",
        requester=Visibility.WRITE,
    )  # fmt: skip
    if number % 4 == 0:
        return Policy(approval_required=False, entitlements=(role,))
    steps = [StepRule(Approver(person=company.ana), visibility={role.id: Visibility.READ})]
    if number % 2:
        steps.append(StepRule(Approver(group=company.finance)))
    return Policy(steps=tuple(steps), entitlements=(role,))


def _give(person: int, apps: Iterable[Any], now: Any) -> None:
    since = now - timedelta(days=40)
    rows = [
        {"public_id": public_id(), "app_id": app.id, "person_id": person, "created_at": since,
         "values_json": dump_values(loads(app.body).defaults())}
        for app in apps
    ]  # fmt: skip
    add(Grant, rows)


def _ask(company: Company, wanted: Iterable[tuple[int, Any]], at: Any, *, answered: bool = False) -> None:
    """Pending requests at their first step, or, where Ana has `answered`, at their second: Finance's."""
    wanted = list(wanted)
    requests = add(
        AccessRequest,
        [
            {
                "public_id": public_id(), "app_id": app.id, "asked_by_id": person, "for_person_id": person,
                "policy_revision_id": app.policy_revision_id, "created_at": at,
                "message": "I prepare the figures of my region with it, every Monday.",
                "values_json": dump_values(loads(app.body).defaults()),
            }
            for person, app in wanted
        ],
    )  # fmt: skip
    due = at + timedelta(days=3)
    steps = []
    for id, (_, app) in zip(requests, wanted, strict=True):
        for position, rule in enumerate(loads(app.body).steps):
            row = {"request_id": id, "position": position, "days": 3, "approver_person_id": rule.approver.person,
                   "approver_group_id": rule.approver.group, "state": "waiting", "opened_at": None, "due_at": None,
                   "settled_at": None}  # fmt: skip
            if position == int(answered):
                row |= {"state": "open", "opened_at": at, "due_at": due}
            elif position == 0:
                row |= {"state": "approved", "opened_at": at, "due_at": due, "settled_at": at}
            steps.append(row)
    keyed = list(zip(add(Step, steps), steps, strict=True))
    finance = db.session.scalars(select(Membership.person_id).where(Membership.group_id == company.finance)).all()
    app_of = {id: app.id for id, (_, app) in zip(requests, wanted, strict=True)}
    invited = [
        {"public_id": public_id(), "step_id": id, "request_id": step["request_id"],
         "app_id": app_of[step["request_id"]], "requested_at": at, "person_id": one,
         "key_id": keyring().current, "created_at": at, "live": step["state"] == "open"}
        for id, step in keyed
        if step["state"] != "waiting"
        for one in (finance if step["approver_group_id"] else [company.ana])
    ]  # fmt: skip
    add(Invitation, invited)
    _decide(company, [id for id, step in keyed if step["state"] == "approved"], at)


def _decide(company: Company, steps: list[int], at: Any) -> None:
    add(
        Decision,
        [
            {"step_id": id, "person_id": company.ana, "verdict": "approved", "channel": "code", "created_at": at}
            for id in steps
        ],
    )


def _settle(company: Company, wanted: list[tuple[int, Any]], now: Any) -> None:
    """Approved requests of the past."""
    for begin in range(0, len(wanted), BATCH):
        chunk = wanted[begin : begin + BATCH]
        at = now - timedelta(days=400)
        requests = add(
            AccessRequest,
            [
                {
                    "public_id": public_id(), "app_id": app.id, "asked_by_id": person, "for_person_id": person,
                    "policy_revision_id": app.policy_revision_id, "created_at": at, "state": "approved",
                    "settled_at": at + timedelta(hours=5), "message": "For my work.",
                }
                for person, app in chunk
            ],
        )  # fmt: skip
        steps = add(
            Step,
            [
                {
                    "request_id": id, "position": 0, "state": "approved", "days": 3, "opened_at": at,
                    "due_at": at + timedelta(days=3), "settled_at": at + timedelta(hours=5),
                    "approver_person_id": company.ana,
                }
                for id in requests
            ],
        )  # fmt: skip
        add(
            Invitation,
            [
                {"public_id": public_id(), "step_id": id, "request_id": request, "app_id": app.id,
                 "requested_at": at, "person_id": company.ana, "key_id": keyring().current, "created_at": at,
                 "live": False}
                for id, request, (_, app) in zip(steps, requests, chunk, strict=True)
            ],
        )  # fmt: skip
        _decide(company, steps, at + timedelta(hours=5))


def add(model: Any, rows: list[dict[str, Any]]) -> list[int]:
    """Inserts, and answers the new ids in the order of the rows."""
    if not rows:
        return []
    return list(db.session.scalars(insert(model).returning(model.id, sort_by_parameter_order=True), rows))
