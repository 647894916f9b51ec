"""The pages of the webhook viewer: what came is listed and searched, opened as text, and removed by a button only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.helpers import pages
from tests.helpers.factories import Company
from webapp.embedded import hookstore
from webapp.embedded.hookstore import StoredHook
from webapp.extensions import settings

PAGE = "/webhook-viewer"


@pytest.fixture
def folder(app: Flask, company: Company) -> Path:
    found: Path = settings().data / "webhooks"
    hookstore.empty(found)
    return found


@pytest.fixture
def browser(login_as: Any) -> Any:
    return login_as(None)


def came(folder: Path, event: str = "request.approved", *, id: str = "msg_1", app: str = "Figma") -> StoredHook:
    body = {"type": event, "data": {"request": {"reference": "R-47P6NR", "app": {"name": app}}}}
    headers = {"webhook-timestamp": "1796025858", "webhook-signature": "v1,mZ0t2c="}
    return hookstore.store(folder, endpoint="Viewer", event=event, message_id=id, headers=headers, seconds=0.4,
                           body=json.dumps(body), secret="9fQ2")  # fmt: skip


def test_the_newest_is_opened_with_what_a_receiver_checks(browser: Any, folder: Path) -> None:
    came(folder)
    page = pages.words(browser.get(PAGE))
    for words in ("request.approved", "Figma, R-47P6NR", "msg_1", "new, not seen before", "fits the secret whsec_…9fQ2",
                  "not older than 5 minutes", '"reference": "R-47P6NR"'):  # fmt: skip
        assert words in page, words


def test_what_came_twice_is_marked(browser: Any, folder: Path) -> None:
    came(folder)
    second = came(folder)
    page = pages.words(browser.get(f"{PAGE}/{second.id}"))
    assert "came again" in page and "came before: skip it" in page


def test_a_body_is_text_and_nothing_in_it_is_run(browser: Any, folder: Path) -> None:
    made = came(folder, app="<script>alert(1)</script>")
    page = browser.get(f"{PAGE}/{made.id}")
    assert "<script>alert" not in page.text and "&lt;script&gt;alert" in page.text
    raw = browser.get(f"{PAGE}/{made.id}/body")
    assert raw.mimetype == "text/plain" and raw.text == made.body and raw.headers["Cache-Control"] == "no-store"
    assert raw.headers["X-Content-Type-Options"] == "nosniff"


def test_events_are_searched_and_filtered(browser: Any, folder: Path) -> None:
    came(folder, "request.approved", id="msg_1", app="Figma")
    came(folder, "access.given", id="msg_2", app="Miro")
    found = pages.words(browser.get(f"{PAGE}?q=figma"))
    assert "msg_1" in found and "Miro" not in found
    found = pages.words(browser.get(f"{PAGE}?event=access.given"))
    assert "msg_2" in found and "Figma" not in found
    assert "No events match" in browser.get(f"{PAGE}?q=zebra").text


def test_the_list_is_paged(browser: Any, folder: Path) -> None:
    for number in range(40):
        came(folder, id=f"msg_{number:02}")
    first = browser.get(PAGE)
    assert len(re.findall(r"#event", first.text)) == 30
    older = re.search(r'href="(/webhook-viewer\?before=[^"]+)"', first.text)
    assert older is not None
    second = browser.get(older[1])
    assert len(re.findall(r"#event", second.text)) == 10 and "Newer" in second.text


def test_a_button_empties_it_and_a_get_does_not(browser: Any, folder: Path) -> None:
    came(folder)
    assert browser.get(f"{PAGE}/emptying").status_code == 404
    assert browser.get(f"{PAGE}/in").status_code == 404
    assert browser.get(f"{PAGE}/nothing/body").status_code == 404
    assert "request.approved" in browser.get(PAGE).text
    assert browser.post(f"{PAGE}/emptying").headers["Location"] == PAGE
    assert "No events yet" in browser.get(PAGE).text
    assert browser.post(f"{PAGE}/emptying").status_code == 303
