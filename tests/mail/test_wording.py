"""Every email word for word: `tests/emails/<kind>.txt`, the text and what the HTML says.

REWRITE_EMAILS=1 pytest tests/mail/test_wording.py    # after a change of the words; then read the diff
"""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from webapp.delivery import mail
from webapp.models import AccessRequest, App, Comment, Grant, Invitation, Notice, Organisation, Person
from webapp.notices import NoticeKind
from webapp.queries.chains import ChainStep, StepDecision, Who
from webapp.queries.mail_context import MailContext
from webapp.workflow.entitlements import Entitlement, SetValue
from webapp.workflow.policy import Approver, OutcomeRule, Policy, StepRule
from webapp.workflow.states import Assurance, RequestState, Visibility

FOLDER = Path(__file__).parent.parent / "emails"
NOW = datetime(2026, 11, 24, 9, 41, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ADAM, RITA, ANA, BEN, CHLOE, ZOE = range(1, 7)
NAMES = {ADAM: "Adam Weiss", RITA: "Rita Lindqvist", ANA: "Ana Moreau", BEN: "Ben Okafor", CHLOE: "Chloe Tan",
         ZOE: "Zoe Park"}  # fmt: skip
READ, WRITE = Visibility.READ, Visibility.WRITE
POLICY = Policy(
    steps=(
        StepRule(Approver(person=ANA), visibility={"role": READ, "region": WRITE}),
        StepRule(Approver(group=1), visibility={"role": READ, "region": WRITE, "cost": WRITE}),
    ),
    entitlements=(
        Entitlement("role", "Role", "choice", ("Sales user", "Sales admin"), requester=WRITE),
        Entitlement("region", "Region", "choice", ("EMEA", "APAC"), requester=READ),
        Entitlement("cost", "Cost centre", "text"),
    ),
)
WORDS = "Training is every Tuesday.\nBring your laptop."
PAUSED = {
    "endpoint": "8Q2MPR7XKJ4D", "kind": "webhook", "name": "Service desk",
    "why": "It has taken nothing for 5 days. The last answer: 503 Service Unavailable",
}  # fmt: skip
PAUSED_CHANNEL = {"endpoint": "1K8ZQW6N3BVY", "kind": "slack", "name": "Finance", "why": "It answered “404 Not Found”."}
SECURITY = {"left": 3, "name": "Chrome on Mac", "by": ADAM}
TOKEN = {"token": "laptop", "scopes": ["requests:read", "decide"], "until": "2027-01-31T12:00:00+00:00", "by": RITA}
VALUES = {"role": SetValue("Sales user", RITA), "region": SetValue("EMEA", ANA)}


def person(number: int) -> Person:
    name = NAMES[number]
    return Person(id=number, public_id=f"{number:012}", name=name, email=f"{name.split()[0].lower()}@example.com",
                  time_zone="")  # fmt: skip


def who(number: int) -> Who:
    return Who(number, f"{number:012}", NAMES[number])


def step(position: int, state: str, **changes: Any) -> ChainStep:
    group = position == 1
    made = ChainStep(
        id=position + 1, request_id=1, position=position, state=state, tier="approver", due_at=NOW + 3 * DAY,
        opened_at=NOW - HOUR if state != "waiting" else None,
        settled_at=NOW if state not in ("open", "waiting") else None, overdue=False, person=None if group else who(ANA),
        group_id=1 if group else None, group_public_id="G" * 12 if group else "", group_name="Finance" if group else "",
        asked=[who(BEN), who(CHLOE)] if group else [who(ANA)], asked_count=2 if group else 1,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def decided(position: int, verdict: str, by: int, comment: str = "", channel: str = "code") -> ChainStep:
    return step(position, verdict, decisions=[StepDecision(who(by), verdict, channel, comment, NOW)])


def facts(
    kind: str, to: int | None, role: str, state: str = "pending", steps: list[ChainStep] | None = None, *,
    about: int = 1, policy: Policy = POLICY, asked_by: int = RITA, owner: str = "Adam Weiss", data: str = "{}",
    message: str = "To see the accounts in EMEA.", by: int | None = None, note: str = "",
    comment: Comment | None = None,
) -> MailContext:  # fmt: skip
    notice = Notice(public_id="N" * 12, kind=kind, role=role, round=1, data_json=data, created_at=NOW, step_id=about,
                    address=None if to else "it-desk@example.com")  # fmt: skip
    request = AccessRequest(
        id=1, public_id="7K3F9Q2M3XTA", app_id=1, asked_by_id=asked_by, for_person_id=RITA, message=message,
        state=state, version=1, created_at=NOW - DAY, settled_at=NOW if state != "pending" else None,
        settled_by_id=by, settled_note=note,
    )  # fmt: skip
    request.values = VALUES
    grant = Grant(created_at=NOW, person_id=RITA, removed_at=NOW, removed_by_id=ADAM, given_by_id=ADAM,
                  removed_reason="She moved teams.", given_reason="She moved teams.")  # fmt: skip
    grant.values = VALUES
    return MailContext(
        notice, Organisation(name="Example Company", time_zone="Europe/Paris", sender=""),
        person(to) if to else None,
        App(id=1, public_id="A" * 12, name="Salesforce", launch_url="https://sales.example.com/", icon=""),
        policy, request, person(asked_by), person(RITA), Invitation(), grant, comment=comment,
        apps=["Figma", "Salesforce"],
        steps=steps if steps is not None else [step(0, "open"), step(1, "waiting")],
        names=NAMES, owner=owner,
        stand_in=("example", "000000"),
    )  # fmt: skip


def with_words(state: RequestState) -> Policy:
    return Policy(
        steps=POLICY.steps, entitlements=POLICY.entitlements, outcomes={state: OutcomeRule(message=WORDS)},
    )  # fmt: skip


ANA_YES = decided(0, "approved", ANA)
SECOND = [ANA_YES, step(1, "open")]
SIGN_IN = Policy(steps=POLICY.steps, entitlements=POLICY.entitlements, assurance=Assurance.SIGN_IN)
APPROVED = [ANA_YES, decided(1, "approved", BEN, "Standard licence.")]
DENIED = [ANA_YES, decided(1, "denied", BEN, "No licence is free.\nAsk Chloe in January.")]
EXPIRED = [ANA_YES, step(1, "expired")]
CANCELLED = [step(0, "skipped"), step(1, "skipped")]
SAID = Comment(person_id=ANA, body="Which team is it for?\nI look at it today.", created_at=NOW)

EMAILS = {
    "asked": lambda: facts("approval-asked", ANA, "approver"),
    "asked-without-reason": lambda: facts("approval-asked", ANA, "approver", message="", owner=""),
    "asked-group": lambda: facts("approval-asked", BEN, "approver", steps=SECOND, about=2),
    "asked-large-group": lambda: facts(
        "approval-asked", BEN, "approver", about=2,
        steps=[ANA_YES, step(1, "open", asked=[who(BEN), who(CHLOE), who(ZOE)], asked_count=14)],
    ),
    "asked-sign-in": lambda: facts("approval-asked", ANA, "approver", policy=SIGN_IN),
    "asked-for-someone": lambda: facts("approval-asked", ANA, "approver", asked_by=CHLOE),
    "asked-reminder": lambda: facts("approval-asked", ANA, "approver", data='{"again": true}'),
    "asked-same": lambda: facts("approval-asked", ANA, "approver", data='{"same": true}'),
    "asked-new-code": lambda: facts("approval-asked", ANA, "approver", data='{"new_code": true}'),
    "asked-new-link": lambda: facts("approval-asked", ANA, "approver", data='{"new_code": true}', policy=SIGN_IN),
    "asked-owner": lambda: facts(
        "approval-asked", ADAM, "approver",
        steps=[step(0, "open", tier="owner", asked=[who(ADAM)]), step(1, "waiting")],
    ),
    "asked-admin": lambda: facts(
        "approval-asked", ADAM, "approver",
        steps=[step(0, "open", tier="admins", asked=[who(ADAM), who(ZOE)], asked_count=2), step(1, "waiting")],
    ),
    "code-locked": lambda: facts("code-closed", ANA, "approver"),
    "approved": lambda: facts(
        "request-approved", RITA, "requester", "approved", APPROVED, policy=with_words(RequestState.APPROVED)
    ),
    "approved-approver": lambda: facts("request-approved", CHLOE, "approver", "approved", APPROVED, about=2),
    "approved-other": lambda: facts("request-approved", None, "other", "approved", APPROVED),
    "approved-asked-by-another": lambda: facts("request-approved", CHLOE, "requester", "approved", APPROVED,
                                               asked_by=CHLOE),
    "approved-by-an-admin": lambda: facts(
        "request-approved", RITA, "requester", "approved",
        [decided(0, "approved", ADAM, "Ana is away.", "admin"), step(1, "skipped")],
    ),
    "denied": lambda: facts(
        "request-denied", RITA, "requester", "denied", DENIED, policy=with_words(RequestState.DENIED)
    ),
    "denied-approver": lambda: facts("request-denied", ANA, "approver", "denied", DENIED),
    "denied-other": lambda: facts("request-denied", None, "other", "denied", DENIED),
    "expired": lambda: facts("request-expired", RITA, "requester", "expired", EXPIRED),
    "expired-approver": lambda: facts("request-expired", BEN, "approver", "expired", EXPIRED, about=2),
    "expired-other": lambda: facts("request-expired", None, "other", "expired", EXPIRED),
    "cancelled-approver": lambda: facts("request-cancelled", ANA, "approver", "cancelled", CANCELLED, by=RITA,
                                        note="I no longer need it."),
    "cancelled-approver-by-an-admin": lambda: facts("request-cancelled", ANA, "approver", "cancelled", CANCELLED,
                                                    by=ADAM, note="Salesforce is going away."),
    "cancelled-requester": lambda: facts("request-cancelled", RITA, "requester", "cancelled", CANCELLED, by=ADAM,
                                         note="Salesforce is going away."),
    "settled-approved": lambda: facts("request-settled", CHLOE, "approver", "approved", APPROVED, about=2),
    "settled-denied": lambda: facts("request-settled", CHLOE, "approver", "denied", DENIED, about=2),
    "comment-requester": lambda: facts("request-comment", RITA, "requester", comment=SAID),
    "comment-approver": lambda: facts("request-comment", ANA, "approver",
                                      comment=Comment(person_id=RITA, body="By Friday, please.", created_at=NOW)),
    "added": lambda: facts("app-added", RITA, "requester", policy=with_words(RequestState.APPROVED)),
    "given-back": lambda: facts("grant-returned", ADAM, "other"),
    "granted": lambda: facts("grant-added", RITA, "requester"),
    "granted-owner": lambda: facts("grant-added", ANA, "other"),
    "removed-several": lambda: facts("grants-removed", RITA, "requester"),
    "removed-several-owner": lambda: facts("grants-removed", ADAM, "other"),
    "removed": lambda: facts("grant-removed", RITA, "requester"),
    "removed-owner": lambda: facts("grant-removed", ADAM, "other"),
    "invitation": lambda: facts("invitation", RITA, "requester"),
    "reset": lambda: facts("password-reset", RITA, "requester"),
    "reset-by-an-admin": lambda: facts("password-reset", RITA, "requester", data='{"by": 1}'),
    "api-token": lambda: facts("api-token", RITA, "requester", data=json.dumps(TOKEN | {"what": "created"})),
    "api-token-by-the-command-line": lambda: facts("api-token", RITA, "requester",
                                                   data=json.dumps(TOKEN | {"what": "created", "by": None})),
    "api-token-revoked": lambda: facts("api-token", RITA, "requester",
                                       data=json.dumps(TOKEN | {"what": "revoked", "by": ADAM})),
    "api-token-leaked": lambda: facts("api-token", RITA, "requester",
                                      data=json.dumps(TOKEN | {"what": "leaked", "by": ADAM})),
    **{
        f"security-{what}": lambda what=what: facts("security-changed", RITA, "requester",
                                                    data=json.dumps(SECURITY | {"what": what}))
        for what in ("authenticator-added", "authenticator-replaced", "authenticator-removed", "codes-renewed",
                     "code-used", "passkey-added", "passkey-removed", "passkey-refused", "reset")
    },
    "access-to-check": lambda: facts("access-to-check", ADAM, "other", "approved", APPROVED, about=2),
    "webhook-paused": lambda: facts("webhook-paused", ADAM, "other", data=json.dumps(PAUSED)),
    "chat-channel-paused": lambda: facts("webhook-paused", ADAM, "other", data=json.dumps(PAUSED_CHANNEL)),
    "test": lambda: facts("test", ADAM, "requester"),
}  # fmt: skip


def shown(message: mail.Mail) -> str:
    """One page: the subject, the text part, and the HTML's words, one line for each cell."""
    html = message.html or ""
    preheader = re.search(r'<div aria-hidden="true"[^>]*>(.*?)</div>', html, re.S)
    assert preheader
    body = html[preheader.end() :]
    body = re.sub(r"</(td|tr|p|h1|div|table)>|<br>", "\n", body)
    lines = (" ".join(unescape(re.sub(r"<[^>]+>", "", line)).split()) for line in body.splitlines())
    words = "\n".join(line for line in lines if line)
    to = f"{message._names['To']} <{message.recipients[0]}>".strip()
    return (
        f"To: {to}\nSubject: {message.subject}\nPreheader: {unescape(preheader[1]).strip()}\n\n"
        f"{message.body}\n======== HTML\n{words}\n"
    )


@pytest.mark.parametrize("engine", ["sqlite"])
def test_every_email_says_what_its_file_says(app: Flask) -> None:
    found = {name: shown(mail.render(make())) for name, make in EMAILS.items()}
    if os.environ.get("REWRITE_EMAILS"):
        FOLDER.mkdir(exist_ok=True)
        for file in FOLDER.glob("*.txt"):
            file.unlink()
        for name, words in found.items():
            (FOLDER / f"{name}.txt").write_text(words)
    for name, words in found.items():
        assert words == (FOLDER / f"{name}.txt").read_text(), f"tests/emails/{name}.txt"
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(EMAILS)


def test_every_kind_of_email_has_a_file() -> None:
    assert {make().notice.kind for make in EMAILS.values()} == set(NoticeKind)


def test_no_line_of_a_text_is_too_long_and_no_words_are_out_of_style() -> None:
    for file in FOLDER.glob("*.txt"):
        head, _, rest = file.read_text().partition("\n\n")
        text, _, html = rest.partition("======== HTML")
        assert all(len(line) <= 100 for line in text.splitlines()), file
        # The words of the chain are drawn for pages and emails alike.
        for wrong in (r"\bmails?\b", r"[Ss]omebody|[Nn]obody|[Ww]hoever", r"n't\b|n’t\b", r"last yes", r"withdr[ae]w"):
            assert not re.search(wrong, head + html.partition("View")[0]), (file, wrong)
