"""Screens and API are doors to the same operations, also for admins: the same status and sentence at each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.api.conftest import Program, new_token
from tests.conftest import SQLITE, Browser
from tests.helpers import factories, pages
from tests.helpers.factories import Company
from tests.test_doors import words_of
from tests.test_doors_apps import filled, sent
from webapp import clock
from webapp.admin.forms import stamp
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Notice, Person
from webapp.operations import groups, people
from webapp.workflow.actor import SYSTEM


@dataclass(frozen=True)
class Misuse:
    """Adam, or `who`, sends `form` to the page, and `call` with `body`; names of ids stand in braces. `asked` in a form
    is the answer to the question that the page asks before; a PATCH sends the ETag."""

    name: str
    status: int
    setup: Callable[[Company, dict[str, str]], None]
    page: str
    form: dict[str, Any]
    call: str
    body: dict[str, Any]
    who: str = "adam"


def nothing(company: Company, ids: dict[str, str]) -> None:
    pass


def otto_is_gone(company: Company, ids: dict[str, str]) -> None:
    choose("write")
    people.deactivate(company.otto, actor=company.adam, now=clock.now())
    outbox.commit()


def ben_has_a_password(company: Company, ids: dict[str, str]) -> None:
    factories.with_password(company.ben)


def used(company: Company, ids: dict[str, str]) -> None:
    factories.app("Figma", company.finance)


def archived(company: Company, ids: dict[str, str]) -> None:
    choose("write")
    groups.archive(company.finance, actor=company.adam, now=clock.now())
    outbox.commit()


def an_email(company: Company, ids: dict[str, str]) -> None:
    factories.request(company.rita, factories.app("Figma", company.ana))
    ids["notice"] = db.session.scalars(select(Notice.public_id).limit(1)).one()


PERSON, GROUP, NOTICE = "/people/{ben}", "/groups/{finance}", "/notices/{notice}"
WAS = {"was": stamp({"name": "Ben Okafor", "email": "ben@example.com", "about": ""})}
DETAILS = {"name": "Ben Okafor", "email": "ben@example.com", "about": ""} | WAS
NEW = {"name": "Mia Berg", "email": "mia@example.com", "about": ""}

MISUSES = (
    Misuse("a person without a name", 422, nothing, "/admin/people", NEW | {"name": " "}, "POST /people",
           NEW | {"name": " "}),
    Misuse("no such address", 422, nothing, "/admin/people", NEW | {"email": "mia"}, "POST /people",
           NEW | {"email": "mia"}),
    Misuse("an address that is taken", 422, nothing, "/admin/people", NEW | {"email": "RITA@example.com"},
           "POST /people", NEW | {"email": "RITA@example.com"}),
    Misuse("a description that is too long", 422, nothing, "/admin/people", NEW | {"about": "x" * 121},
           "POST /people", NEW | {"about": "x" * 121}),
    Misuse("changed to an address that is taken", 422, nothing, "/admin/people/{ben}/details",
           DETAILS | {"email": "rita@example.com"}, f"PATCH {PERSON}", {"email": "rita@example.com"}),
    Misuse("changed to no name", 422, nothing, "/admin/people/{ben}/details", DETAILS | {"name": ""},
           f"PATCH {PERSON}", {"name": ""}),
    Misuse("the last admin", 409, nothing, "/admin/people/{adam}/admin", {"was": "on"}, "PATCH /people/{adam}",
           {"is_admin": False}),
    Misuse("an admin who is deactivated", 409, otto_is_gone, "/admin/people/{otto}/admin", {"on": "1"},
           "PATCH /people/{otto}", {"is_admin": True}),
    Misuse("deactivating oneself", 409, nothing, "/admin/people/{adam}/deactivation", {"asked": ""},
           "POST /people/{adam}/deactivation", {}),
    Misuse("deactivated before", 409, otto_is_gone, "/admin/people/{otto}/deactivation", {"asked": ""},
           "POST /people/{otto}/deactivation", {}),
    Misuse("reactivated though active", 409, nothing, "/admin/people/{ben}/reactivation", {},
           f"POST {PERSON}/reactivation", {}),
    Misuse("invited though deactivated", 409, otto_is_gone, "/admin/people/{otto}/invitation", {},
           "POST /people/{otto}/invitation", {}),
    Misuse("invited though they have a password", 409, ben_has_a_password, "/admin/people/{ben}/invitation", {},
           f"POST {PERSON}/invitation", {}),
    Misuse("a new password where there is none", 409, nothing, "/admin/people/{ben}/password-reset", {},
           f"POST {PERSON}/password-reset", {}),
    Misuse("no session to end", 409, nothing, "/admin/people/{ben}/sessions/ending", {},
           f"POST {PERSON}/sessions/ending", {}),
    Misuse("all access without a reason", 422, nothing, "/admin/people/{ben}/grants/removal", {"reason": " "},
           f"POST {PERSON}/access-removal", {"reason": " "}),
    Misuse("all access, but not all of it was seen", 409, nothing, "/admin/people/{ben}/grants/removal",
           {"reason": "So.", "shown": "9PDW0R5T6KAE"}, f"POST {PERSON}/access-removal",
           {"reason": "So.", "grants": ["9PDW0R5T6KAE"]}),
    Misuse("nobody", 404, nothing, "/admin/people/NOBODY000000/reactivation", {},
           "POST /people/NOBODY000000/reactivation", {}),
    Misuse("a group without a name", 422, nothing, "/admin/groups", {"name": ""}, "POST /groups", {"name": ""}),
    Misuse("a group's name that is taken", 422, nothing, "/admin/groups", {"name": "finance"}, "POST /groups",
           {"name": "finance"}),
    Misuse("renamed to nothing", 422, nothing, "/admin/groups/{finance}/name", {"name": "", "was": "Finance"},
           f"PATCH {GROUP}", {"name": ""}),
    Misuse("archived while in use", 409, used, "/admin/groups/{finance}/archive", {"asked": ""},
           f"POST {GROUP}/archival", {}),
    Misuse("a member who is deactivated", 409, otto_is_gone, "/admin/groups/{finance}/members", {"person": "{otto}"},
           f"PUT {GROUP}/members/{{otto}}", {}),
    Misuse("a member of an archived group", 404, archived, "/admin/groups/{finance}/members", {"person": "{otto}"},
           f"PUT {GROUP}/members/{{otto}}", {}),
    Misuse("sent again though it waits", 409, an_email, "/admin/mail/{notice}/sending", {}, f"POST {NOTICE}/resend",
           {}),
    Misuse("tried though it is queued", 409, an_email, "/admin/mail/{notice}/attempt", {}, f"POST {NOTICE}/attempt",
           {}),
    Misuse("discarded though it is not on hold", 409, an_email, "/admin/mail/{notice}/dropping", {},
           f"POST {NOTICE}/discarding", {}),
    Misuse("people, for who is no admin", 404, nothing, "/admin/people/{ben}/reactivation", {},
           f"POST {PERSON}/reactivation", {}, who="otto"),
)  # fmt: skip


@pytest.mark.parametrize("engine", [SQLITE])
@pytest.mark.parametrize("misuse", MISUSES, ids=lambda one: one.name)
def test_each_misuse_gets_the_same_answer_at_each_door(app: Flask, company: Company, misuse: Misuse) -> None:
    ids = {name: getattr(company, name).public_id for name in ("adam", "ben", "otto", "rita", "finance")}
    misuse.setup(company, ids)
    who = getattr(company, misuse.who)
    secret = new_token(who) if misuse.who == "adam" else demoted(who.id)
    browser, program = Browser(app, who), Program(app, secret)
    page_address, form = filled(misuse.page, ids), filled(misuse.form, ids)
    if "asked" in form:
        form["asked"] = pages.question(browser.get(page_address, htmx=True))
    page = browser.post(page_address, form)
    answer = sent(program, *filled(misuse.call, ids).split(), filled(misuse.body, ids))
    assert (page.status_code, answer.status_code) == (misuse.status, misuse.status), (page.text[:600], answer.text)
    if misuse.status != 404:  # on a page 404 has words of its own
        assert answer.json["detail"] in words_of(page.text)


def demoted(id: int) -> str:
    """A token with all scopes of an admin, of somebody who is none any more."""

    def be_admin(is_admin: bool) -> Person:
        choose("write")
        someone = db.session.get_one(Person, id, populate_existing=True)
        people.set_admin(someone, is_admin=is_admin, actor=SYSTEM, now=clock.now())
        outbox.commit()
        return db.session.get_one(Person, id, populate_existing=True)

    secret = new_token(be_admin(True))
    be_admin(False)
    return secret
