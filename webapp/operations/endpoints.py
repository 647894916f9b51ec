"""Webhooks and chat channels: add, change, pause, test, remove; signing secrets; send a delivery again."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import exists, func, or_, select, update

from webapp import networks
from webapp.delivery import outbox
from webapp.delivery.out import bodies, chat, posting, signing
from webapp.encryption import Unreadable, decrypt, encrypt, is_current
from webapp.events_out import EVENTS, TEST, TOPICS
from webapp.extensions import db
from webapp.models import App, Delivery, Endpoint, EndpointSecret, Group, Person, db_now
from webapp.notices import NoticeKind, notice
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import one_line, sha256
from webapp.times import utc
from webapp.workflow.actor import SYSTEM, AnyActor

from ._sql import changed
from .errors import Conflict, Invalid

NAME_LIMIT = 80
COUNT_LIMIT = 50
APPS_LIMIT = 100
TESTS_AN_HOUR = 20
# An old secret is valid for so long after a new one was made.
SECRETS_OVERLAP = timedelta(days=2)
# An endpoint that takes nothing for so long is paused.
PAUSED_AFTER = timedelta(days=5)
KINDS = {"webhook": "Webhook", "slack": "Slack", "teams": "Microsoft Teams"}


def create(
    *, kind: str, name: str, address: str, actor: AnyActor, now: datetime, events: Sequence[str] = (),
    apps: Sequence[App] = (), category: str = "", with_texts: bool = False, person: Person | None = None,
    group: Group | None = None, app: App | None = None,
) -> tuple[Endpoint, str]:  # fmt: skip
    """A new endpoint, and the secret that signs what it gets, which is shown once; "" for a chat channel.

    `events` are names (of a channel: topics), none for all. A channel is for one of `person`, `group` and `app`, else
    for all admins. Raises Invalid.
    """
    if kind not in KINDS:
        raise Invalid(kind="Choose Webhook, Slack or Microsoft Teams.")
    in_use = db.session.scalar(select(func.count()).where(Endpoint.removed_at.is_(None)))
    if (in_use or 0) >= COUNT_LIMIT:
        raise Invalid(name=f"There are {COUNT_LIMIT} webhooks and chat channels. Remove one first.")
    row = Endpoint(kind=kind, created_by_id=actor.responsible_id, created_at=now)
    _set(row, name=name, address=address, events=events, apps=apps, category=category, with_texts=with_texts)
    _set_audience(row, person=person, group=group, app=app)
    db.session.add(row)
    db.session.flush()
    _record(EventKind.ENDPOINT_CREATED, row, actor=actor, now=now, before=None, after=_plain(row))
    return row, _add_secret(row, now=now) if kind == "webhook" else ""


def change(
    endpoint: Endpoint, *, name: str, events: Sequence[str], actor: AnyActor, now: datetime, apps: Sequence[App] = (),
    category: str = "", with_texts: bool = False, address: str | None = None,
) -> None:  # fmt: skip
    """Other settings. What was posted before keeps its body, but goes to the new address. `address` None: as it is.
    Raises Invalid or Conflict."""
    lock(endpoint)
    before, stored = _plain(endpoint), endpoint.address
    if address is None:
        address = address_of(endpoint)
    _set(endpoint, name=name, address=address, events=events, apps=apps, category=category, with_texts=with_texts)
    after = _plain(endpoint)
    if endpoint.address != stored and before["host"] == after["host"]:
        # Another secret in the address is another receiver. What is hashed is encrypted, so nobody can guess it.
        before["secret_part"], after["secret_part"] = sha256(stored), sha256(endpoint.address)
    differs = [key for key in after if before[key] != after[key]]
    if differs:
        _record(EventKind.ENDPOINT_CHANGED, endpoint, actor=actor, now=now,
                before={key: before[key] for key in differs}, after={key: after[key] for key in differs})  # fmt: skip


def pause(endpoint: Endpoint, *, actor: AnyActor, now: datetime) -> None:
    """Nothing is sent to it until it is resumed; what happens meanwhile waits. Raises Conflict."""
    lock(endpoint)
    if endpoint.paused_at is not None:
        raise Conflict(f"{endpoint.name} is paused already.")
    endpoint.paused_at, endpoint.paused_why = now, ""
    _record(EventKind.ENDPOINT_PAUSED, endpoint, actor=actor, now=now)


def resume(endpoint: Endpoint, *, actor: AnyActor, now: datetime) -> None:
    """What waits is sent now, in order. Raises Conflict."""
    lock(endpoint)
    if endpoint.paused_at is None:
        raise Conflict(f"{endpoint.name} is not paused.")
    endpoint.paused_at, endpoint.paused_why, endpoint.failing_since = None, "", None
    changed(
        update(Delivery)
        .where(Delivery.endpoint_id == endpoint.id, Delivery.state == "due", Delivery.due_at > db_now())
        .values(due_at=db_now())
    )
    _record(EventKind.ENDPOINT_RESUMED, endpoint, actor=actor, now=now)
    outbox.wake(outbox.Channel.WEBHOOK)


def remove(endpoint: Endpoint, *, actor: AnyActor, now: datetime) -> None:
    """No further event is sent to it; what was sent can still be seen. Raises Conflict."""
    lock(endpoint)
    endpoint.removed_at = now
    # Nobody can write there any more with what is stored.
    endpoint.address = ""
    changed(
        EndpointSecret.metadata.tables["endpoint_secrets"].delete().where(EndpointSecret.endpoint_id == endpoint.id)
    )
    waiting = update(Delivery).where(Delivery.endpoint_id == endpoint.id, Delivery.state.in_(("due", "held")))
    changed(waiting.values(state="obsolete", error="The endpoint was removed.", settled_at=db_now()))
    _record(EventKind.ENDPOINT_REMOVED, endpoint, actor=actor, now=now)


def send_test(endpoint: Endpoint, *, actor: AnyActor, now: datetime) -> Delivery:
    """An event that says only that it is a test, sent as every other. Raises Conflict while it is paused."""
    lock(endpoint)
    if endpoint.paused_at is not None:
        raise Conflict(f"{endpoint.name} is paused. Resume it first.")
    lately = db.session.scalar(
        select(func.count()).where(
            Delivery.endpoint_id == endpoint.id, Delivery.event == TEST, Delivery.created_at > now - timedelta(hours=1)
        )
    )
    if (lately or 0) >= TESTS_AN_HOUR:
        raise Conflict(f"{TESTS_AN_HOUR} tests were sent to {endpoint.name} in the last hour. Try again later.")
    if endpoint.is_chat:
        body = chat.test(endpoint.kind, str(endpoint.name))
    else:
        body = bodies.dump(TEST, utc(now), {"endpoint": {"id": endpoint.public_id, "name": str(endpoint.name)}})
    db.session.flush()
    posting.add([posting.row(endpoint, TEST, body, at=now)])
    outbox.wake(outbox.Channel.WEBHOOK)
    _record(EventKind.ENDPOINT_TESTED, endpoint, actor=actor, now=now)
    newest = select(Delivery).where(Delivery.endpoint_id == endpoint.id).order_by(Delivery.id.desc()).limit(1)
    return db.session.scalars(newest).one()


def rotate_secret(endpoint: Endpoint, *, actor: AnyActor, now: datetime) -> tuple[EndpointSecret, str]:
    """A new secret, shown once; the one before is valid for SECRETS_OVERLAP more. Raises Conflict while two are."""
    lock(endpoint)
    if endpoint.is_chat:
        raise Conflict("Messages to a chat channel are not signed. Its address is the secret: replace that.")
    in_use = _secrets(endpoint)
    if len(in_use) > 1:
        raise Conflict(f"Two secrets are valid. You can make another when …{in_use[-1].ending} has ended.")
    for one in in_use:
        one.retires_at = now + SECRETS_OVERLAP
    secret = _add_secret(endpoint, now=now)
    _record(EventKind.ENDPOINT_SECRET_CHANGED, endpoint, actor=actor, now=now)
    return _secrets(endpoint)[0], secret


def end_secret(endpoint: Endpoint, secret: EndpointSecret, *, actor: AnyActor, now: datetime) -> None:
    """An old secret signs nothing any more. Raises Conflict for the only one."""
    lock(endpoint)
    in_use = _secrets(endpoint)
    if secret.endpoint_id != endpoint.id or secret.id not in {one.id for one in in_use}:
        raise Conflict("This secret has ended already.")
    if secret.retires_at is None:
        raise Conflict("This is the secret in use. Make a new one first; then this one ends by itself.")
    secret.retires_at = now
    _record(EventKind.ENDPOINT_SECRET_ENDED, endpoint, actor=actor, now=now)


def send_again(delivery: Delivery, endpoint: Endpoint, *, actor: AnyActor, now: datetime) -> None:
    """The same message with the same id is due now, with all its attempts; one that waits for its next attempt, too.
    So is one that is on hold after a restore. Raises Conflict for one that is due or being sent."""
    lock(endpoint)
    waits = (Delivery.state == "due") & (Delivery.due_at > db_now())
    again = changed(
        update(Delivery)
        .where(Delivery.id == delivery.id, or_(Delivery.state.in_(("sent", "dead", "obsolete", "held")), waits))
        .values(state="due", due_at=db_now(), tries=0, settled_at=None)
    )
    if again != 1:
        raise Conflict("This delivery is being sent already. Its next attempt shows what comes of it.")
    audit.record(
        EventKind.DELIVERY_SENT_AGAIN, at=now, actor=actor, request=delivery.request_id, app=delivery.app_id,
        endpoint=endpoint.id, endpoint_kind=endpoint.kind, delivery=delivery.id, event=delivery.event,
    )  # fmt: skip
    outbox.wake(outbox.Channel.WEBHOOK)


# What the worker calls


def fails_too_long(endpoint_id: int) -> bool:
    """Whether it has taken nothing for PAUSED_AFTER, by the database's clock."""
    limit = db_now(-int(PAUSED_AFTER.total_seconds()))
    return bool(db.session.scalar(select(exists().where(Endpoint.id == endpoint_id, Endpoint.failing_since < limit))))


def pause_failing(endpoint_id: int, why: str, *, now: datetime) -> None:
    """Pauses an endpoint that takes nothing, and tells the admins; changes nothing if it is paused already."""
    paused = changed(
        update(Endpoint)
        .where(Endpoint.id == endpoint_id, Endpoint.paused_at.is_(None), Endpoint.removed_at.is_(None))
        .values(paused_at=now, paused_why=why)
    )
    if not paused:
        return
    endpoint = db.session.get_one(Endpoint, endpoint_id, populate_existing=True)
    _record(EventKind.ENDPOINT_PAUSED, endpoint, actor=SYSTEM, now=now)
    admins = db.session.scalars(select(Person.id).where(Person.is_admin, Person.active).order_by(Person.id)).all()
    data = json.dumps({"endpoint": endpoint.public_id, "kind": endpoint.kind, "name": str(endpoint.name), "why": why})
    outbox.post([notice(NoticeKind.WEBHOOK_PAUSED, "other", now=now, person_id=one, data_json=data) for one in admins])


def encrypt_anew() -> int:
    """Encrypts by the newest key what an older one encrypted, so that the older one can be removed; returns how many
    were changed. Those whose key is gone stay as they are."""
    number = 0
    for endpoint in db.session.scalars(select(Endpoint).where(Endpoint.removed_at.is_(None))):
        anew = _anew(endpoint.address)
        if anew:
            number += changed(
                update(Endpoint).where(Endpoint.id == endpoint.id, Endpoint.address == endpoint.address)
                .values(address=anew)
            )  # fmt: skip
    for secret in db.session.scalars(select(EndpointSecret)):
        anew = _anew(secret.secret)
        if anew:
            number += changed(update(EndpointSecret).where(EndpointSecret.id == secret.id).values(secret=anew))
    return number


def _anew(stored: str) -> str:
    if is_current(stored):
        return ""
    try:
        return encrypt(decrypt(stored))
    except Unreadable:
        return ""


def lock(endpoint: Endpoint) -> None:
    """Until the commit; raises Conflict for one that was removed. Not FOR UPDATE: deliveries refer to the row, and are
    added while the audit log is locked, which its holder waits for."""
    db.session.refresh(endpoint, with_for_update={"key_share": True})
    if endpoint.removed_at is not None:
        raise Conflict(f"{endpoint.name} was removed, so nothing is sent to it. Add it again under Admin, Settings.")


def _set(
    row: Endpoint, *, name: str, address: str, events: Sequence[str], apps: Sequence[App], category: str,
    with_texts: bool,
) -> None:  # fmt: skip
    wrong = {}
    name, category, address = one_line(name), one_line(category), address.strip()
    if not name:
        wrong["name"] = "Enter a name, so that you and the audit log know which one it is."
    elif len(name) > NAME_LIMIT:
        wrong["name"] = f"Use {NAME_LIMIT} characters or fewer. You entered {len(name):,}."
    if fault := networks.fault_of(address):
        wrong["address"] = fault
    known = TOPICS if row.is_chat else EVENTS
    unknown = [one for one in events if one not in known]
    if unknown:
        wrong["events"] = f"“{one_line(unknown[0])[:40]}” is not in the list. Choose from it."
    if len(apps) > APPS_LIMIT:
        wrong["apps"] = f"Choose {APPS_LIMIT} apps or fewer, or a category. You chose {len(apps)}."
    if apps and category:
        wrong["apps"] = "Choose apps or a category, not both."
    if len(category) > 60:
        wrong["category"] = f"Use 60 characters or fewer. You entered {len(category):,}."
    if wrong:
        raise Invalid(**wrong)
    row.name, row.category, row.with_texts = name, category, with_texts
    row.event_list = " ".join(one for one in known if one in events)
    row.app_ids_json = json.dumps(sorted({one.id for one in apps}))
    if _present_address(row) != address:
        row.address = encrypt(address)
        row.failing_since = None
    parts = urlsplit(address)
    # Of a chat channel the path is a secret.
    row.host = (parts.netloc + ("" if row.is_chat else parts.path))[:260]


def _set_audience(row: Endpoint, *, person: Person | None, group: Group | None, app: App | None) -> None:
    given = [one for one in (person, group, app) if one is not None]
    if not row.is_chat and given:
        raise Invalid(**{"for": "A webhook is for no one in particular. Choose its events and apps."})
    if len(given) > 1:
        raise Invalid(**{"for": "Choose a person, a group or an app, not several of them."})
    if person is not None and not person.active:
        raise Invalid(**{"for": f"{person.name} is deactivated. Choose somebody else."})
    if group is not None and group.archived_at is not None:
        raise Invalid(**{"for": f"{group.name} is archived. Choose another group."})
    row.person_id = person.id if person is not None else None
    row.group_id = group.id if group is not None else None
    row.app_id = app.id if app is not None else None


def _present_address(row: Endpoint) -> str:
    """ "" for none yet, and for one whose key is gone: that is entered again."""
    try:
        return decrypt(row.address) if row.address else ""
    except Unreadable:
        return ""


def address_of(row: Endpoint) -> str:
    """Where it leads to. Raises Invalid where the key of the address is gone."""
    try:
        return decrypt(row.address)
    except Unreadable as error:
        raise Invalid(address=f"The address cannot be read. {error}") from None


def _secrets(endpoint: Endpoint) -> list[EndpointSecret]:
    """Those in use, the newest first."""
    in_use = or_(EndpointSecret.retires_at.is_(None), EndpointSecret.retires_at > db_now())
    mine = select(EndpointSecret).where(EndpointSecret.endpoint_id == endpoint.id, in_use)
    return list(db.session.scalars(mine.order_by(EndpointSecret.id.desc())))


def _add_secret(endpoint: Endpoint, *, now: datetime) -> str:
    secret = signing.make_secret()
    db.session.add(EndpointSecret(endpoint_id=endpoint.id, secret=encrypt(secret), ending=secret[-4:], created_at=now))
    db.session.flush()
    return secret


def _record(kind: EventKind, endpoint: Endpoint, *, actor: AnyActor, now: datetime, **facts: Any) -> None:
    audit.record(kind, at=now, actor=actor, person=endpoint.person_id, app=endpoint.app_id, endpoint=endpoint.id,
                 endpoint_kind=endpoint.kind, **facts)  # fmt: skip


def _plain(row: Endpoint) -> dict[str, object]:
    """For the record: what an admin typed as its hash."""
    return {
        "name": sha256(row.name),
        "host": sha256(row.host),
        "events": row.event_list or "all",
        "apps": len(row.app_ids) or "all",
        "category": sha256(row.category),
        "with_texts": row.with_texts,
    }
