"""Emptying the Mailbox removes every mail, by a button and in no other way."""

import re

import pytest

from webapp.embedded import mailstore

from .test_mailbox_mails import client, deliver, listed, settings

__all__ = ["client", "deliver", "settings"]


@pytest.fixture
def token(client, deliver):
    deliver()
    return re.search(r'name="csrf_token" value="([^"]+)"', client.get("/mailbox").text)[1]


def test_the_button_empties_it(client, token):
    answer = client.post("/mailbox/emptying", data={"csrf_token": token})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/mailbox")
    assert "No emails yet" in client.get("/mailbox").text


def test_emptying_twice_is_no_error(client, token):
    client.post("/mailbox/emptying", data={"csrf_token": token})
    assert client.post("/mailbox/emptying", data={"csrf_token": token}).status_code == 303


def test_a_get_empties_nothing(client, token):
    # The address reads as the id of a mail that is not there.
    assert client.get("/mailbox/emptying").status_code in (404, 405)
    assert len(listed(client.get("/mailbox"))) == 1


def test_without_the_forms_token_nothing_is_emptied(client, token, settings):
    assert client.post("/mailbox/emptying").status_code == 400
    assert len(mailstore.page(settings.data / "mailbox").mails) == 1
