"""docs/webhooks.md: its snippets run on a real message, and its tables say what is sent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.helpers import changes, factories
from tests.helpers.factories import Company
from tests.helpers.receiver import Received, Receiver
from webapp import clock
from webapp.delivery import outbox
from webapp.delivery.out.deliveries import DELAYS, KEPT_DAYS, TRIES
from webapp.events_out import EVENTS
from webapp.extensions import db
from webapp.models import Delivery, Endpoint
from webapp.operations import apps, comments, people, requests
from webapp.workflow.states import Verdict

GUIDE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.S)


@pytest.fixture
def sent(
    company: Company, hook: Callable[..., Endpoint], receiver: Receiver, send: Callable[[], None]
) -> tuple[str, Received]:
    endpoint = hook(events=["request.submitted"])
    factories.request(company.rita, factories.app("Salesforce", company.ana), message="Für Ångström & Söhne 😀")
    send()
    return hook.secrets[endpoint.id], receiver.calls[0]  # type: ignore[attr-defined]


def test_the_python_snippets_take_a_message_and_refuse_a_changed_one(sent: tuple[str, Received]) -> None:
    secret, call = sent
    with_library, without = snippets("python")
    names: dict[str, Any] = {}
    exec(with_library, names)
    exec(without, names)
    bent = call.body.replace(b"pending", b"deciding")
    assert names["handle"](secret, call.headers, call.body) == 200
    assert names["handle"](secret, call.headers, bent) == 401
    assert names["is_ours"](secret, call.headers, call.body)
    assert not names["is_ours"](secret, call.headers, bent)
    assert names["handle"](secret, {}, call.body) == 401
    for missing in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        less = {name: value for name, value in call.headers.items() if name != missing}
        assert not names["is_ours"](secret, less, call.body), missing
    old = call.headers | {"webhook-timestamp": str(int(time.time()) - 301)}
    assert not names["is_ours"](secret, old, call.body)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_the_node_snippet_takes_a_message_and_refuses_a_changed_one(sent: tuple[str, Received]) -> None:
    secret, call = sent
    (snippet,) = snippets("js")
    body, unsigned = call.body.decode(), {"webhook-timestamp": call.headers["webhook-timestamp"]}
    for headers, text, expected in (
        (call.headers, body, True), (call.headers, body.replace("pending", "deciding"), False),
        (unsigned, body, False), ({}, body, False),
    ):  # fmt: skip
        given = ", ".join(json.dumps(one) for one in (secret, headers, text))
        program = f"{snippet}\nconsole.log(isOurs({given}))"
        ran = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == str(expected).lower()


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the first table under a heading, by the name in their first cell."""
    part = GUIDE.partition(f"## {heading}\n")[2].partition("\n\n|")[2].partition("\n\n")[0]
    cells = [[one.strip() for one in line.strip("|").split(" | ")] for line in f"|{part}".splitlines()[2:]]
    return {row[0].strip("`| "): row for row in cells}


def test_the_table_has_every_event_with_its_sentence() -> None:
    table = rows("Events")
    assert list(table) == [*EVENTS, "test"]
    for name, text in EVENTS.items():
        assert table[name][1].startswith(text.sentence.rstrip(".")), name


def test_the_data_are_those_of_the_table(company: Company, hook: Callable[..., Endpoint]) -> None:
    hook()
    now = clock.now
    app = factories.app("Salesforce", company.ana)
    made = factories.request(company.rita, app)
    comments.add(factories.case_of(made), actor=company.ana, body="Why?", now=now())
    outbox.commit()
    changes.shift("requests", "created_at", -timedelta(days=2))
    requests.remind(factories.case_of(made), actor=company.rita, now=now())
    outbox.commit()
    factories.decide(made, company.ana)
    factories.decide(factories.request(company.otto, app), company.ana, Verdict.DENIED)
    requests.cancel(factories.case_of(factories.request(company.ben, app)), actor=company.ben, now=now())
    people.set_admin(company.ben, is_admin=True, actor=company.adam, now=now())
    people.deactivate(company.rita, actor=company.adam, now=now())
    people.reactivate(company.rita, actor=company.adam, now=now())
    outbox.commit()
    apps.archive(app, actor=company.adam, now=now())
    outbox.commit()
    table, seen = rows("Events"), set()
    for event, body in db.session.execute(select(Delivery.event, Delivery.body)):
        named = set(re.findall(r"`(\w+)`", table[event][2])) - {"reason_length"}
        assert set(json.loads(body)["data"]) == named | {"by"}, event
        seen.add(event)
    assert len(seen) >= 13


def test_the_numbers_are_those_of_the_code() -> None:
    words = " ".join(GUIDE.split())
    assert f"after {TRIES} tries in about five days" in words
    assert f"waits for {KEPT_DAYS} days" in words
    assert "5 s, 1 min, 5 min, 15 min, 1 h, 2 h, 4 h, 8 h, 12 h, then each day" in words
    assert DELAYS == (5, 60, 300, 900, 3600, 7200, 14400, 28800, 43200, 86400, 86400, 86400, 86400)
