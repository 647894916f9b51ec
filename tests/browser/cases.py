"""Where the demo company's requests, links and people are found."""

from __future__ import annotations

import secrets

from tests.helpers import factories
from webapp import clock, create_app, links
from webapp.config import Settings
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Group, Person
from webapp.operations import device_codes

from .site import Site, email

# Whoever signed in with the browser of that name did so 16 minutes ago.
OLD = "UPDATE sessions SET proved_at = datetime(proved_at, '-16 minutes') || '.000000' WHERE browser = ?"
REQUEST = """
    SELECT requests.public_id FROM requests
    JOIN apps ON apps.id = requests.app_id JOIN people ON people.id = requests.for_person_id
    WHERE apps.name = ? AND people.email = ? ORDER BY requests.id DESC LIMIT 1
"""
INVITATION = """
    SELECT invitations.id, invitations.public_id, invitations.round, invitations.key_id FROM invitations
    JOIN steps ON steps.id = invitations.step_id JOIN requests ON requests.id = steps.request_id
    JOIN people ON people.id = invitations.person_id
    WHERE requests.public_id = ? AND people.email = ? ORDER BY invitations.id DESC LIMIT 1
"""


class Cases:
    """Addresses of the demo company's things, found in its database."""

    def __init__(self, site: Site) -> None:
        self.site = site
        port = site.address.rpartition(":")[2]
        environment = {"COUNTERSIGN_EMBEDDED": "1", "COUNTERSIGN_DATA": str(site.data), "PORT": port}
        self.app = create_app(Settings.from_env(environment))

    def one(self, query: str, *values: object) -> tuple:
        with self.site.database() as database:
            row = database.execute(query, values).fetchone()
        assert row is not None, f"the demo company has no {values}"
        return row

    def change(self, statement: str, *values: object) -> None:
        with self.site.database() as database:
            assert database.execute(statement, values).rowcount

    def app_id(self, name: str) -> str:
        return self.one("SELECT public_id FROM apps WHERE name = ?", name)[0]

    def person_id(self, name: str) -> str:
        return self.one("SELECT public_id FROM people WHERE email = ?", email(name))[0]

    def group_id(self, name: str) -> str:
        return self.one("SELECT public_id FROM groups WHERE name = ?", name)[0]

    def request_id(self, who: str, app: str) -> str:
        """Of the newest one."""
        return self.one(REQUEST, app, email(who))[0]

    def link(self, who: str, app: str, approver: str, *, wrong_codes: int | None = None, older: bool = False) -> str:
        """The address in the mail to that approver. With so many wrong codes tried; older: a newer one was mailed."""
        id, public_id, round, key_id = self.one(INVITATION, self.request_id(who, app), email(approver))
        if wrong_codes is not None:
            self.change("UPDATE invitations SET wrong_codes = ? WHERE id = ?", wrong_codes, id)
        if older:
            self.change("UPDATE invitations SET round = round + 1 WHERE id = ?", id)
        with self.app.app_context():
            return f"/decide/{links.approval_token(public_id, round, key_id)}"

    def code(self, who: str, app: str, approver: str) -> str:
        _, public_id, round, key_id = self.one(INVITATION, self.request_id(who, app), email(approver))
        with self.app.app_context():
            return links.code(public_id, round, key_id)

    def rules_of_a_new_app(self) -> str:
        """The address of its page. It has a field, and Ana and then Finance decide; no other test uses it."""
        with self.app.app_context():
            choose("write")
            ana, adam = (db.session.query(Person).filter_by(email=email(name)).one() for name in ("Ana", "Adam"))
            finance = db.session.query(Group).filter_by(name="Finance").one()
            made = factories.app(f"Sorting {secrets.token_hex(4)}", ana, finance, requestable=False)
            factories.field(
                made, actor=adam, name="Plan", kind="choice", options=("Viewer", "Editor"), requester="write"
            )
            outbox.commit()
            address = f"/admin/apps/{made.public_id}"
            db.session.remove()
        return address

    def waiting_terminal(self) -> str:
        """The page about a terminal that waits for its person."""
        with self.app.app_context():
            choose("write")
            row, _ = device_codes.ask(name="laptop", scopes=["requests:read", "audit:read"], days=30,
                                      address="127.0.0.1", now=clock.now())  # fmt: skip
            db.session.commit()
            return f"/device?code={row.shown_code}"

    def password_link(self, who: str) -> str:
        public_id, round = self.one("SELECT public_id, password_round FROM people WHERE email = ?", email(who))
        with self.app.app_context():
            return f"/password/{links.password_token(public_id, round)}"
