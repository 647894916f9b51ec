"""A company with one of each, a browser and a token for each role: what the tables of routes are run against."""

from __future__ import annotations

import shutil
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

from flask import Flask
from sqlalchemy import select, update

from tests.api.conftest import new_token
from tests.conftest import Browser
from tests.helpers import changes, factories, lookups
from tests.helpers.factories import Company
from webapp import clock, links
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.embedded import hookstore, mailstore
from webapp.extensions import broker, db
from webapp.models import ApiToken, Endpoint, EndpointSecret, Notice, Person, PersonSession
from webapp.operations import device_codes, directories, endpoints, entitlements
from webapp.tokens import digest

# Of a call that came to the webhook viewer.
HEADERS = {"webhook-timestamp": "1796025858", "webhook-signature": "v1,mZ0t2c="}


class World:
    """Kept as a database file, which is put back before each call. `cookies` and `tokens` (of forms) are of browsers,
    `secrets` (API tokens) of programs, by role; `ids` are public ids by name."""

    def __init__(self, app: Flask, data: Path) -> None:
        self.app, self.data = app, data
        self.ids: dict[str, str] = {}
        self.cookies: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        with app.app_context():
            choose("write")
            self._build()
            db.session.remove()
            db.engine.dispose()
        if (data / "test.db").exists():
            shutil.copy(data / "test.db", data / "world.db")

    def _build(self) -> None:
        company = factories.company()
        factories.with_password(company.adam)
        owner, invited, gone = (factories.person(name) for name in ("Olga Petrova", "Nina Ferrari", "Gus Left"))
        factories.with_password(owner)
        changes.deactivate(gone, company.adam)
        self._apps(company, owner)
        factories.with_password(company.ben)
        self.ids |= {
            "group": company.finance.public_id,
            "person": company.ben.public_id,
            "member": company.ben.public_id,
            "outsider": company.otto.public_id,
            "invited": invited.public_id,
            "gone": gone.public_id,
            "requester": company.rita.public_id,
            "session": factories.session_of(company.rita),
            "token": factories.token(company.rita).public_id,
            "provider": factories.provider(company.adam).public_id,
            "soon": (clock.now() + timedelta(days=20)).date().isoformat(),
            "notice": db.session.scalars(select(Notice.public_id).limit(1)).one(),
            "password": links.password_token(company.otto.public_id, company.otto.password_round),
        }
        device, self.ids["device_secret"] = device_codes.ask(
            name="laptop", scopes=["requests:read"], days=30, address="127.0.0.1", now=clock.now()
        )
        db.session.commit()
        self.ids |= {"device": device.shown_code, "device_id": device.public_id}
        self._endpoints(company)
        self._directory(company)
        people = {"outsider": company.otto, "requester": company.rita, "approver": company.ana, "owner": owner,
                  "admin": company.adam}  # fmt: skip
        self._browsers(people)
        self._programs(people)

    def _apps(self, company: Company, owner: Person) -> None:
        wanted = factories.app("Benevity", company.ana, owner=owner)
        asked = factories.app("Salesforce", company.ana, owner=owner)
        free = factories.app("Apptio", owner=owner)
        open_to_all = factories.app("Loom", owner=owner)
        held, kept = factories.app("Workday"), factories.app("Notion", owner=owner)
        grant, own_grant = factories.grant(company.ben, free), factories.grant(company.rita, kept)
        factories.grant(company.rita, held)
        made = factories.request(company.rita, asked)
        changes.shift("requests", "created_at", timedelta(hours=-25))
        changes.shift("notices", "created_at", timedelta(hours=-25))
        factories.with_icon(wanted, body=b"png", sha256="0" * 64)
        archived = factories.app("Zoom", owner=owner)
        changes.archive_app(archived, company.adam)
        field, old_field = (factories.field(asked, actor=company.adam, name=name) for name in ("Role", "Region"))
        entitlements.archive(asked, old_field.public_id, actor=company.adam, now=clock.now())
        outbox.commit()
        self.ids |= {
            "request": made.public_id,
            "wanted": wanted.public_id,
            "asked": asked.public_id,
            "app": asked.public_id,
            "free": free.public_id,
            "open": open_to_all.public_id,
            "held": held.public_id,
            "grant": grant.public_id,
            "own_grant": own_grant.public_id,
            "archived": archived.public_id,
            "field": field.public_id,
            "old_field": old_field.public_id,
            "link": lookups.link(made, company.ana).removeprefix("/decide/"),
        }

    def _directory(self, company: Company) -> None:
        choose("write")
        made, _ = directories.create(name="Entra ID", actor=company.adam, now=clock.now())
        outbox.commit()
        token = db.session.scalars(select(ApiToken.public_id).where(ApiToken.directory_id == made.id)).one()
        self.ids |= {"directory": made.public_id, "directory_token": token}

    def _endpoints(self, company: Company) -> None:
        """A webhook with a delivery, and a chat channel."""
        choose("write")

        def add(kind: str) -> Endpoint:
            address = f"https://{kind}.example.com/in"
            return endpoints.create(kind=kind, name=kind, address=address, actor=company.adam, now=clock.now())[0]

        hook, channel = add("webhook"), add("slack")
        delivery = endpoints.send_test(hook, actor=company.adam, now=clock.now())
        outbox.commit()
        self.ids |= {
            "endpoint": hook.public_id,
            "webhook": hook.public_id,
            "channel": channel.public_id,
            "delivery": delivery.public_id,
            "secret": db.session.scalars(select(EndpointSecret.public_id)).one(),
        }

    def _browsers(self, people: dict[str, Person]) -> None:
        self._keep("nobody", Browser(self.app, None))
        for role, person in people.items():
            self._keep(role, Browser(self.app, person))
        for role in ("owner", "admin"):
            self._keep(f"stale {role}", Browser(self.app, people[role]))
            newest = db.session.query(PersonSession).order_by(PersonSession.id.desc()).first()
            newest.reauthenticated_at -= timedelta(minutes=16)
            db.session.commit()

    def _keep(self, role: str, browser: Browser) -> None:
        self.tokens[role] = browser.token()
        cookie = browser.client.get_cookie("countersign")
        assert cookie is not None
        self.cookies[role] = cookie.value

    def _programs(self, people: dict[str, Person]) -> None:
        """ "unscoped" is the admin's token with a scope of a newer version only."""
        intranet = ApiToken.hash == digest(new_token(None, name="Intranet"))
        self.ids["service_token"] = db.session.scalars(select(ApiToken.public_id).where(intranet)).one()
        self.ids["beginning"] = db.session.scalars(select(ApiToken.beginning).where(intranet)).one()
        self.secrets = {role: new_token(person) for role, person in people.items()} | {"service": new_token(None)}
        unscoped = new_token(people["admin"])
        choose("write")
        db.session.execute(update(ApiToken).where(ApiToken.hash == digest(unscoped)).values(scope_list="moon:walk"))
        db.session.commit()
        self.secrets |= {"nobody": "", "unscoped": unscoped}

    def fresh(self) -> None:
        """Puts everything back as it was built."""
        with self.app.app_context():
            db.engine.dispose()
            broker().flushdb()
        for leftover in self.data.glob("test.db*"):
            leftover.unlink()
        shutil.copy(self.data / "world.db", self.data / "test.db")
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "c@example.com", "ana@example.com", "Rita asks"
        mail.set_content("See there.")
        hookstore.empty(self.data / "webhooks")
        self.ids["hook"] = hookstore.store(
            self.data / "webhooks", endpoint="Viewer", event="test", message_id="msg_1", headers=HEADERS,
            body='{"type":"test"}', seconds=0.1, secret="9fQ2",
        ).id  # fmt: skip
        mailstore.empty(self.data / "mailbox")
        self.ids["mail"] = mailstore.store(
            self.data / "mailbox", sender="c@example.com", recipients=["ana@example.com"], content=mail.as_bytes()
        )
