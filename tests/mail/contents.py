"""What the tests of emails' contents share: a rule with two steps, and what stands in an email."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import Accepted
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import Policy, StepRule
from webapp.workflow.states import Visibility

Drain = Callable[[], None]
READ, WRITE = Visibility.READ, Visibility.WRITE
ROLE = Entitlement("role", "Role", "choice", ("Sales user", "Sales admin"), requester=WRITE)
REGION = Entitlement("region", "Region", "choice", ("EMEA", "APAC"), requester=READ)
COST = Entitlement("cost", "Cost centre", "text")


def link_in(mail: Accepted, path: str) -> str:
    """The one address of that kind, the same in the text and in the HTML."""
    found = set(re.findall(rf"http://localhost/{path}[^\s\"<]*", mail.text + mail.html))
    assert len(found) == 1, found
    return str(found.pop())


def says(mail: Accepted, *sentences: str) -> None:
    """Each sentence stands in the text and in the HTML, whatever the line breaks."""
    plain = re.sub(r"\s+", " ", mail.text)
    html = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", mail.html.replace("<br>", " "))))
    for sentence in sentences:
        assert sentence in plain, mail.text
        assert sentence in html, mail.html


def never_says(mail: Accepted, *words: str) -> None:
    for word in words:
        assert word not in mail.text
        assert word not in mail.html
        assert word not in mail.subject


def two_steps(company: Company, **changes: object) -> Policy:
    """Ana sets the region, then Finance; the cost centre is Finance's alone."""
    rule = Policy(
        steps=(
            StepRule(factories.approver(company.ana), visibility={"role": READ, "region": WRITE}),
            StepRule(factories.approver(company.finance), visibility={"role": READ, "region": READ, "cost": WRITE}),
        ),
        entitlements=(ROLE, REGION, COST),
    )
    return replace(rule, **changes)  # type: ignore[arg-type]
