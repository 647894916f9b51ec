"""Sessions and keys: what a thief, a leaver and a removed key can still do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace as with_changes
from typing import Any

import pytest
from flask import Flask

from tests.conftest import Browser
from tests.helpers import changes, factories, lookups
from tests.helpers.changes import archive, turn_off
from tests.helpers.factories import PASSWORD
from tests.helpers.pages import words
from webapp import create_app, links
from webapp.database.transactions import choose
from webapp.delivery.jobs import sweep
from webapp.extensions import db
from webapp.models import Person

from .installation import code_in, link_in, send

NEW = "the new secret key of today"


def token(page: Any) -> str:
    found = re.search(r'name="csrf_token"\s+value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def cookies(client: Any) -> dict[str, tuple[str, str]]:
    return {
        one.key: (one.value, one.path)
        for name, path in (("countersign", "/"), ("countersign_decisions", "/decide"))
        if (one := client.get_cookie(name, path=path)) is not None
    }


def with_cookies(app: Flask, kept: dict[str, tuple[str, str]]) -> Any:
    client = app.test_client()
    for name, (value, path) in kept.items():
        client.set_cookie(name, value, path=path)
    return client


# ---------- A thief's copy ----------


def test_a_cookie_that_was_planted_before_signing_in_opens_nothing(app: Any, company: Any) -> None:
    """Fixation: the thief keeps a copy of what Rita's browser carried, its form's token included."""
    factories.with_password(company.rita)
    client = app.test_client()
    form = token(client.get("/sign-in"))
    planted = cookies(client)
    client.post("/sign-in", data={"csrf_token": form, "email": "rita@example.com", "password": PASSWORD})
    assert client.get("/account").status_code == 200
    thief = with_cookies(app, planted)
    assert thief.get("/account").status_code == 303
    # And the token he knows does not fit her session.
    assert client.post("/account/theme", data={"csrf_token": form, "theme": "dark"}).status_code == 400


@pytest.mark.parametrize("end", ["sign-out", "everywhere", "deactivation", "password"])
def test_whatever_ends_a_session_ends_every_copy_of_it(app: Any, company: Any, end: str) -> None:
    """And with all but the sign-out of one browser, the other sessions and the browsers remembered for decisions."""
    ana, adam = company.ana, company.adam
    factories.with_password(ana)
    first = factories.request(company.rita, factories.app("Benevity", ana))
    second = factories.request(company.otto, factories.app("Zoom", ana))
    phone, desk = Browser(app, ana), Browser(app, ana)
    away = Browser(app)
    away.post(f"{lookups.link(first, ana)}/approval", {"code": lookups.code(first, ana), "remember": "1"})
    kept = {**cookies(desk.client), **{k: v for k, v in cookies(away.client).items() if k != "countersign"}}
    path = lookups.link(second, ana)
    assert with_cookies(app, kept).get("/account").status_code == 200
    assert "Code from the email" not in words(away.get(path))
    if end == "sign-out":
        desk.post("/sign-out")
    elif end == "everywhere":
        desk.post("/account/sessions/ending")
    elif end == "deactivation":
        changes.deactivate(ana, adam)
    else:
        form = {"current": PASSWORD, "password": "quite another one 1", "again": "quite another one 1"}
        assert desk.post("/account/password", form).status_code == 303
    assert with_cookies(app, kept).get("/account").status_code == 303, "the thief's copy"
    assert phone.get("/account").status_code == (200 if end == "sign-out" else 303)
    if end == "deactivation":
        assert away.get(path).status_code == 404
    else:
        assert ("Code from the email" in words(away.get(path))) == (end != "sign-out")
    before = lookups.everything()
    thief = Browser(app)
    thief.client = with_cookies(app, {k: v for k, v in kept.items() if k == "countersign"})
    for verdict in ("approval", "denial"):
        assert thief.post(f"/requests/{second.public_id}/{verdict}", {"reason": "No."}).status_code in (303, 400)
    assert lookups.everything() == before
    assert lookups.decisions(second) == []


def test_a_remembered_browser_does_nothing_but_decide_on_valid_links(app: Any, company: Any) -> None:
    """Each route of the url map, with that cookie alone: as for nobody."""
    from tests.helpers.route_table import TABLE

    ana = company.ana
    first = factories.request(company.rita, factories.app("Benevity", ana))
    second = factories.request(company.otto, factories.app("Zoom", ana))
    away = Browser(app)
    away.post(f"{lookups.link(first, ana)}/approval", {"code": lookups.code(first, ana), "remember": "1"})
    kept = cookies(away.client)
    assert set(kept) == {"countersign", "countersign_decisions"}
    value, _ = kept["countersign_decisions"]
    # Sent to every address, not only where the browser would send it.
    with_it, without = with_cookies(app, {"countersign_decisions": (value, "/")}), app.test_client()
    before = lookups.everything()
    for row in TABLE:
        at = re.sub(r"\{\w+\}", second.public_id, row.at)
        answers = []
        for one in (with_it, without):
            one.delete_cookie("countersign")
            # A form of one's own has a token that fits, so that it is not the token that refuses.
            form = {"csrf_token": token(one.get("/sign-in")), **row.form} if row.method == "POST" else None
            answers.append(one.open(at, method=row.method, data=form))
        assert len({(one.status_code, one.headers.get("Location")) for one in answers}) == 1, row.name
        # The viewer of webhooks takes no form: it refuses what is not signed.
        assert answers[0].status_code != 400 or row.rule == "/webhook-viewer/in", row.name
    # Anybody may begin to sign in by a passkey.
    assert lookups.everything() | {"sign_in_states": []} == before | {"sign_in_states": []}
    assert away.post(f"{lookups.link(second, ana)}/approval").status_code == 303, "what it is for"


# ---------- A new key ----------


@dataclass
class Carried:
    """What people have in their hands on the day the key changes."""

    session: dict[str, tuple[str, str]]
    form: str
    remembered: dict[str, tuple[str, str]]
    link: str
    code: str
    password: str
    request: Any
    other: Any


@pytest.fixture
def again(app: Flask) -> Iterator[Any]:
    """`again(secret_key=…)`: the same installation after a restart with other keys."""
    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        other = create_app(with_changes(app.extensions["settings"], **changes))
        other.config["TESTING"] = True
        other.test_client_class = app.test_client_class
        mail, before = other.extensions["mail"], app.extensions["mail"]
        mail.server, mail.port = before.server, before.port
        made.append(other)
        return other

    yield make
    for other in made:
        with other.app_context():
            db.session.remove()
            db.engine.dispose()
        other.extensions["broker"].close()


@pytest.fixture
def carried(app: Flask, company: Any, smtp: Any) -> Carried:
    ana = factories.with_password(company.ana)
    made = factories.request(company.rita, factories.app("Benevity", ana))
    other = factories.request(company.otto, factories.app("Zoom", ana))
    third = factories.request(company.chloe, factories.app("Slack", ana))
    send()
    mails = {
        one.reference: mail for one in (made, other, third) for mail in smtp.mails if one.reference in mail.subject
    }
    client = app.test_client()
    page = client.get("/sign-in")
    form = {"csrf_token": token(page), "email": "ana@example.com", "password": PASSWORD, "remember": "1"}
    client.post("/sign-in", data=form)
    form_token = token(client.get("/account"))
    away = Browser(app)
    away.post(f"{lookups.link(third, ana)}/approval", {"code": lookups.code(third, ana), "remember": "1"})
    password = f"/password/{links.password_token(company.otto.public_id, company.otto.password_round)}"
    return Carried(
        session=cookies(client),
        form=form_token,
        remembered={"countersign_decisions": cookies(away.client)["countersign_decisions"]},
        link=link_in(mails[made.reference]),
        code=code_in(mails[made.reference]),
        password=password,
        request=made,
        other=other,
    )


def guest(app: Flask, kept: dict[str, tuple[str, str]] | None = None) -> Browser:
    browser = Browser(app)
    browser.client = with_cookies(app, kept or {})
    return browser


def test_while_two_keys_overlap_everything_in_peoples_hands_goes_on(
    app: Any, again: Any, carried: Carried, company: Any
) -> None:
    after = again(secret_key=NEW, secret_key_fallbacks=(app.extensions["settings"].secret_key,))
    ana = with_cookies(after, carried.session)
    assert ana.get("/account").status_code == 200
    assert ana.post("/account/theme", data={"csrf_token": carried.form, "theme": "dark"}).status_code == 303
    # The cookie that comes back is signed by the new key, and is kept as long as before.
    second = factories.request(company.ben, factories.app("Miro", company.ana))
    with app.app_context():
        path = lookups.link(second, company.ana)
    assert "Code from the email" not in words(guest(after, carried.remembered).get(path))
    nobody = guest(after)
    assert nobody.get(carried.link).status_code == 200
    assert nobody.post(f"{carried.link}/approval", {"code": carried.code}).status_code == 303
    assert lookups.decisions(carried.request) == [("Ana", "approved", "code")]
    assert nobody.get(carried.password).status_code == 200
    form = {"password": "quite another one 1", "again": "quite another one 1"}
    assert nobody.post(carried.password, form).status_code == 303


def test_when_the_old_key_goes_it_all_ends_and_those_who_are_asked_get_a_new_mail(
    app: Any, again: Any, carried: Carried, smtp: Any
) -> None:
    settings = app.extensions["settings"]
    overlap = again(secret_key=NEW, secret_key_fallbacks=(settings.secret_key,))
    # A form opened in the overlap, with a session of the old key, is signed by the new one.
    assert with_cookies(overlap, carried.session).get("/account").status_code == 200
    after = again(secret_key=NEW)
    before = lookups.everything()
    ana = with_cookies(after, carried.session)
    assert ana.get("/account").status_code == 303
    assert ana.post("/account/theme", data={"csrf_token": carried.form, "theme": "dark"}).status_code in (303, 400)
    nobody = guest(after, carried.remembered)
    for path in (carried.link, carried.password):
        answer = nobody.get(path)
        assert answer.status_code == 404
    for verdict in ("approval", "denial"):
        answer = nobody.post(f"{carried.link}/{verdict}", {"code": carried.code, "reason": "No."})
        assert answer.status_code == 404
    assert lookups.everything() == before
    send()
    sent = len(smtp.mails)
    with after.app_context():
        choose("write")
        sweep()
        send()
    newer = {mail.subject: mail for mail in smtp.mails[sent:]}
    assert len(smtp.mails) == sent + 2 == sent + len(newer), "one for each that is still open"
    mail = next(mail for subject, mail in newer.items() if carried.request.reference in subject)
    assert link_in(mail) != carried.link
    fresh = guest(after)
    assert fresh.post(f"{link_in(mail)}/approval", {"code": code_in(mail)}).status_code == 303
    assert lookups.decisions(carried.request) == [("Ana", "approved", "code")]
    other = next(mail for subject, mail in newer.items() if carried.other.reference in subject)
    assert "Code from the email" in words(guest(after, carried.remembered).get(link_in(other)))


# ---------- An admin's own request ----------


def test_an_admin_cannot_bend_the_rule_of_their_own_open_request(app: Any, company: Any, login_as: Any) -> None:
    adam: Person = company.adam
    app_ = factories.app("Figma", company.ana, owner=company.ben)
    made = factories.request(adam, app_)
    admin = login_as(adam)
    path = f"/admin/requests/{made.public_id}"
    for action, form in (
        ("cancellation", {"reason": "Mine."}),
        ("reassignment", {"reason": "Mine.", "decider": f"person:{company.otto.public_id}"}),
        ("extension", {"reason": "Mine.", "days": "30"}),
    ):
        before = lookups.everything()
        assert admin.post(f"{path}/{action}", form).status_code == 403
        assert lookups.everything() == before
    for verdict in ("approval", "denial"):
        assert admin.post(f"/requests/{made.public_id}/{verdict}", {"reason": "Mine."}).status_code == 403
    # Turning approval off, or archiving, with "approve those that wait" as the way.
    for act in (turn_off, archive):
        answer = act(admin, app_, pending="approve", why="Mine.")
        assert answer.status_code in (403, 409, 422), act
        assert lookups.state(made) == "pending"
    # Nor the rule itself, by any form of the app's page.
    before = lookups.everything()
    for action, form in (
        ("assurance", {"assurance": "sign_in", "was": '{"assurance": "code"}'}),
        ("steps/new", {"step": f"person:{company.otto.public_id}"}),
        ("steps/1/removal", {}),
        ("time-limit", {"days": "5", "was": '{"days": "3"}'}),
    ):
        answer = admin.post(f"/admin/apps/{app_.public_id}/{action}", form)
        assert answer.status_code == 409, action
    assert lookups.everything() == before
    # And when everybody else is gone, it falls to nobody rather than to them.
    for person in (company.ana, company.ben):
        changes.deactivate(person, adam)
    assert admin.post(f"/requests/{made.public_id}/approval").status_code == 403
    assert lookups.decisions(made) == []
