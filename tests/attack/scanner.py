"""The scanner gauntlet: whatever scanners do with links, nothing is decided, and the person decides afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from flask import Flask
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page
from sqlalchemy import text

from tests.helpers import factories, rules
from tests.helpers.chromium import close
from tests.helpers.factories import Company
from tests.helpers.smtp_server import Accepted, SmtpServer
from webapp.extensions import broker, db, limiter
from webapp.models import AccessRequest, App

from .installation import code_in, link_in, send
from .robots import IN_A_BROWSER, PLAIN, Robot, types_six_digits


@dataclass
class Result:
    """What came of it. `visits` counts (mail, behaviour) pairs, `extra` the mails that scanners caused."""

    mails: int = 0
    visits: dict[str, int] = field(default_factory=dict)
    decisions: int = 0
    extra: int = 0
    decided_after: int = 0
    decided_by_a_new_code: int = 0
    failures: int = 0


# What the approver has to do: how the app asks for it.
KINDS = ("code", "sign-in", "second step", "field")
ROLE = "Reader"


@dataclass(frozen=True)
class Asked:
    """A request, how its app is decided, and the mail that Ana got."""

    request: AccessRequest
    kind: str
    mail: Accepted


def mailed(
    company: Company, smtp: SmtpServer, count: int, name: str = "App", kinds: Sequence[str] = KINDS
) -> list[Asked]:
    """That many requests that Ana is asked to decide, of each kind in turn."""
    askers = (company.rita, company.otto, company.ben, company.chloe, company.adam)
    apps: dict[str, App] = {}
    made: list[tuple[AccessRequest, str]] = []
    for number in range(count):
        # Nobody asks twice for one app: five askers and the kinds begin anew together.
        kind, asker = kinds[number % len(kinds)], askers[number % 5]
        named = f"{name} {kind} {number // (5 * len(kinds))}"
        if named not in apps:
            apps[named] = _app(company, named, kind)
        made.append((factories.request(asker, apps[named]), kind))
        if kind == "second step":
            factories.decide(made[-1][0], company.chloe if asker is company.ben else company.ben, comment="Fine.")
    send()
    newest = _newest(company, smtp)
    return [Asked(request, kind, newest[request.reference]) for request, kind in made]


def _newest(company: Company, smtp: SmtpServer) -> dict[str, Accepted]:
    """A request's reference → the newest mail about it that Ana got."""
    to_ana = (mail for mail in smtp.mails if mail.recipients == [company.ana.email])
    return {mail.subject.rpartition("(")[2].rstrip(")"): mail for mail in to_ana}


def _app(company: Company, name: str, kind: str) -> App:
    ana = company.ana
    field = rules.text_field("role", required=True)
    policy = {
        "code": rules.rule(ana),
        "sign-in": rules.signed_in_only(ana),
        "second step": rules.rule(company.finance, ana),
        "field": rules.rule(ana, see=({"role": rules.WRITE},), entitlements=(field,)),
    }[kind]
    return factories.app(name, policy=policy)


def gauntlet(
    app: Flask,
    company: Company,
    smtp: SmtpServer,
    address: str,
    *,
    mails: int,
    chromium: Chromium | None,
    browsed: int | None = None,
    plain: Sequence[Callable[[str, str], None]] = PLAIN,
    in_a_browser: Sequence[Callable[[Page, str], None]] = IN_A_BROWSER,
    say: Callable[[str], None] = lambda words: None,
) -> Result:
    """Every behaviour on every mail (the browser's on the first `browsed`), on those that scanners cause, too."""
    result = Result(mails=mails)
    # The limits must not be what stops a scanner.
    limiter.enabled = False
    try:
        made = mailed(company, smtp, mails)
        factories.with_password(company.ana)
        seen, decided = len(smtp.mails), factories.rows("decisions")
        paths = [link_in(one.mail) for one in made]
        for behave in plain:
            for path in paths:
                behave(address, path)
            result.visits[behave.__name__] = len(paths)
            say(f"{behave.__name__}: {len(paths)} mails")
        if chromium is not None:
            for visit in in_a_browser:
                chosen = list(islice(paths, browsed))
                for path in chosen:
                    context = chromium.new_context()
                    visit(context.new_page(), address + path)
                    close(context)
                result.visits[visit.__name__] = len(chosen)
                say(f"{visit.__name__}: {len(chosen)} mails in a browser")
        send()
        result.extra = len(smtp.mails) - seen
        result.decisions = factories.rows("decisions") - decided
        result.failures = _settled()
        # Now the person, each time with the link of the first mail and its code or the password, on another network.
        for one in made:
            _decide(address, one, one.mail, company)
            result.decided_after += _approved(one, company)
    finally:
        limiter.enabled = True
        broker().flushdb()
    return result


def digits(company: Company, smtp: SmtpServer, address: str, *, mails: int) -> Result:
    """A program that types six digits closes the code, like an attacker: the person is told, and decides by a new
    mail from the same page."""
    result = Result(mails=mails)
    limiter.enabled = False
    try:
        # Where only a sign-in decides, there is no code to close.
        made = mailed(company, smtp, mails, "Digits", [kind for kind in KINDS if kind != "sign-in"])
        decided = factories.rows("decisions")
        for one in made:
            types_six_digits(address, link_in(one.mail))
        result.decisions = factories.rows("decisions") - decided
        send()
        newest = _newest(company, smtp)
        for one in made:
            told = newest[one.request.reference]
            assert "Someone entered a wrong code 5 times" in " ".join(told.text.split())
            robot = Robot(address)
            robot.ask("POST", f"{link_in(one.mail)}/code", robot.see(link_in(one.mail)).forms[0].filled(False))
        send()
        newest = _newest(company, smtp)
        for one in made:
            mail = newest[one.request.reference]
            assert link_in(mail) != link_in(one.mail)
            _decide(address, one, mail, company)
            result.decided_by_a_new_code += _approved(one, company)
    finally:
        limiter.enabled = True
        broker().flushdb()
    return result


def _decide(address: str, asked: Asked, mail: Accepted, company: Company) -> None:
    """What the person does who has the mail: from its link, with its code, or signing in where the page says so."""
    robot = Robot(address)
    page = robot.see(link_in(mail))
    given = {"code": code_in(mail)} if asked.kind != "sign-in" else {}
    if asked.kind == "sign-in":
        door = next(one for one in page.addresses if one.startswith("/sign-in"))
        typed = robot.see(door).forms[0].filled(False)
        answer = robot.ask("POST", "/sign-in", typed | {"email": company.ana.email, "password": factories.PASSWORD})
        page = robot.see(answer.headers["Location"])
    if asked.kind == "field":
        given["field-role"] = ROLE
    form = next(one for one in page.forms if one.action.endswith("/approval"))
    robot.ask("POST", form.action, form.filled(False) | given)


def _approved(asked: Asked, company: Company) -> bool:
    """Whether the request is approved, in the last step by Ana, by the channel of its kind, with the field she set."""
    db.session.rollback()
    found = db.session.execute(
        text(
            "SELECT r.state, d.person_id, d.channel, d.set_json FROM requests r JOIN steps s ON s.request_id = r.id "
            "JOIN decisions d ON d.step_id = s.id WHERE r.id = :id ORDER BY s.position"
        ),
        {"id": asked.request.id},
    ).all()
    db.session.rollback()
    state, person, channel, given = found[-1] if found else ("", 0, "", "")
    return (
        len(found) == (2 if asked.kind == "second step" else 1)
        and (state, person) == ("approved", company.ana.id)
        and channel == ("browser" if asked.kind == "sign-in" else "code")
        and (asked.kind != "field" or ROLE in given)
    )


def _settled() -> int:
    """Requests that are not pending any more: cancelled or expired by a scanner."""
    return factories.rows("requests", "state <> 'pending'")
