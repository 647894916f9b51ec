"""The scanner gauntlet: whatever scanners do with links, nothing is decided, and the person decides afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from flask import Flask
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page
from sqlalchemy import text

from tests import factories
from tests.factories import Company
from tests.smtp_server import Accepted, SmtpServer
from webapp.extensions import broker, db, limiter
from webapp.models import AccessRequest

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


def mailed(company: Company, smtp: SmtpServer, count: int, name: str = "App") -> list[tuple[AccessRequest, Accepted]]:
    """That many requests, each with the mail that its approver got."""
    made = []
    apps = [factories.app(f"{name} {number}", company.ana) for number in range((count + 4) // 5)]
    for number in range(count):
        asker = (company.rita, company.otto, company.ben, company.chloe, company.adam)[number % 5]
        made.append(factories.request(asker, apps[number // 5]))
    send()
    by_reference = {
        request.reference: mail for request in made for mail in smtp.mails if request.reference in mail.subject
    }
    return [(request, by_reference[request.reference]) for request in made]


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
        seen = len(smtp.mails)
        paths = [link_in(mail) for _, mail in made]
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
                    context.close()
                result.visits[visit.__name__] = len(chosen)
                say(f"{visit.__name__}: {len(chosen)} mails in a browser")
        send()
        result.extra = len(smtp.mails) - seen
        result.decisions = factories.rows("decisions")
        result.failures = _settled()
        # Now the people, each with the link and the code of the first mail, on another network.
        for request, mail in made:
            _decide(address, link_in(mail), code_in(mail))
            result.decided_after += _approved(request)
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
        made = mailed(company, smtp, mails, "Digits")
        for _, mail in made:
            types_six_digits(address, link_in(mail))
        result.decisions = factories.rows("decisions", "channel = 'code'")
        send()
        for request, mail in made:
            told = [one for one in smtp.mails if request.reference in one.subject]
            assert "somebody typed five wrong codes" in " ".join(told[-1].text.split())
            robot = Robot(address)
            robot.ask("POST", f"{link_in(mail)}/code", robot.see(link_in(mail)).forms[0].filled(False))
        send()
        for request, mail in made:
            newest = [one for one in smtp.mails if request.reference in one.subject][-1]
            assert link_in(newest) != link_in(mail)
            _decide(address, link_in(newest), code_in(newest))
            result.decided_by_a_new_code += _approved(request)
    finally:
        limiter.enabled = True
        broker().flushdb()
    return result


def _decide(address: str, path: str, code: str) -> None:
    robot = Robot(address)
    form = robot.see(path).forms[0].filled(False)
    robot.ask("POST", f"{path}/approval", form | {"code": code})


def _approved(request: AccessRequest) -> bool:
    db.session.rollback()
    found = db.session.execute(
        text(
            "SELECT r.state, d.channel FROM requests r JOIN steps s ON s.request_id = r.id "
            "JOIN decisions d ON d.step_id = s.id WHERE r.id = :id"
        ),
        {"id": request.id},
    ).all()
    db.session.rollback()
    return [tuple(row) for row in found] == [("approved", "code")]


def _settled() -> int:
    """Requests that are not pending any more: cancelled or expired by a scanner."""
    return factories.rows("requests", "state <> 'pending'")
