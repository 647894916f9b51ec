"""Who has what, the audit log, people, groups and access: what owners and admins do from a terminal."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Terminal
from tests.helpers.processes import until


@pytest.fixture
def adam(machine) -> Terminal:
    return machine("adam")


def test_who_has_an_app_and_what_somebody_has(machine, adam):
    found = adam("who-has", "Slack").json
    assert len(found) > 2 and {one["app"]["name"] for one in found} == {"Slack"}
    apps = {one["app"]["name"] for one in adam("what-has", "otto@example.com").json}
    assert "Slack" in apps
    otto = machine("otto")
    assert {one["app"]["name"] for one in otto("what-has", "me").json} == apps
    assert [one["person"]["name"] for one in otto("who-has", "slack").json] == ["Otto Brandt"]
    assert len(adam("who-has", "Slack", "--all").json) >= len(found)
    table = adam.on_a_terminal("what-has", "Otto Brandt").out.splitlines()
    assert table[0].split() == ["App", "Since", "Until", "How", "Fields"] and any("Slack" in line for line in table)


def test_others_are_looked_up_by_admins_only(machine):
    done = machine("otto")("what-has", "Rita")
    assert done.code in (3, 4)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("what-has", "nobody@example.com"), 4, "There is no person “nobody@example.com”"),
        (("what-has", "a"), 4, "fits more than one person"),
        (("admin", "members", "Nonsense"), 4, "There is no group"),
        (("admin", "give", "Figma", "otto@example.com"), 2, "--reason"),
        (("admin", "remove", "Figma", "otto@example.com", "-m", "x"), 4, "has no access to Figma"),
        (("admin", "invite", "otto@example.com", "--name", "Otto"), 1, ""),
    ],
)
def test_what_is_refused_and_how(adam, words, code, said):
    done = adam(*words)
    assert (done.code, done.out) == (code, "") and said in done.err, done.err


def test_access_is_given_and_removed_with_a_reason(adam):
    given = adam("admin", "give", "Spendesk", "tom@example.com", "-m", "Until the card comes")
    assert given.code == 0 and given.json["given_by"]["name"] == "Adam Weiss", given.err
    assert "given by Adam Weiss" in adam("who-has", "Spendesk", "--table").out
    removed = adam("admin", "remove", "spendesk", "Tom Keller", "-m", "The card is here", "--table")
    assert (removed.code, removed.out) == (0, "Access of Tom Keller to Spendesk removed.\n")
    assert "Tom Keller" not in adam("who-has", "Spendesk", "--table").out


def test_an_app_without_approval_is_added(machine):
    tom = machine("tom")
    done = tom("request", "Apptio", "--table")
    assert (done.code, done.out) == (0, "Apptio added. It needs no approval.\n")
    assert tom("request", "Apptio").code == 5


def test_people_and_groups(adam):
    assert [one["email"] for one in adam("admin", "people", "otto").json] == ["otto@example.com"]
    invited = adam("admin", "invite", "nils@example.com", "--name", "Nils Holm", "--table")
    assert (invited.code, invited.out) == (0, "Nils Holm invited.\n")
    assert "Finance" in adam("admin", "groups", "--table").out
    assert adam("admin", "add-member", "Finance", "nils@example.com").json["group"]["name"] == "Finance"
    assert "Nils Holm" in [one["name"] for one in adam("admin", "members", "finance").json]
    assert adam("admin", "remove-member", "Finance", "Nils Holm", "--table").out == "Nils Holm removed from Finance.\n"
    assert adam("admin", "deactivate", "Nils Holm").code == 1  # nobody confirmed it
    assert adam("admin", "deactivate", "Nils Holm", "--yes").json["state"] == "deactivated"
    assert [one["name"] for one in adam("admin", "people", "--state", "deactivated", "nils").json] == ["Nils Holm"]


def test_the_audit_log_is_read_and_followed(adam):
    shown = [json.loads(line) for line in adam("audit", "tail", "-n", "5").out.splitlines()]
    assert len(shown) == 5 and [one["seq"] for one in shown] == sorted(one["seq"] for one in shown)
    assert all("sentence" in one for one in shown)
    follow = adam.start("audit", "tail", "-f", "-n", "1", "--topic", "people")
    assert follow.stdout is not None
    first = json.loads(follow.stdout.readline())
    assert adam("admin", "invite", "olga@example.com", "--name", "Olga Petrova").code == 0
    entry = until(lambda: json.loads(follow.stdout.readline()))
    assert entry["seq"] > first["seq"] and "Olga Petrova" in entry["sentence"] and entry["token"]["name"] == "test"
    follow.terminate()
    follow.communicate()
    assert "(token test)" in adam.on_a_terminal("audit", "tail", "-n", "3", "--topic", "people").out


def test_the_audit_log_is_for_admins(machine):
    assert machine("otto")("audit", "tail").code == 3
