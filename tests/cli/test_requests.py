"""Requesting, deciding and looking: the same rules and sentences as on the screens, with exit codes for scripts."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.conftest import Terminal
from tests.helpers.processes import until


@pytest.fixture
def tom(machine) -> Terminal:
    return machine("tom")


@pytest.fixture(scope="module")
def requested(server, tmp_path_factory):
    """A request of Tom's for Benevity, which waits for Ana: one for all tests, because requesting has a limit."""
    tom = Terminal(tmp_path_factory.mktemp("tom"), server.address, server.token("tom"))
    made = tom("request", "Benevity", "-m", "For the volunteers’ day").json
    yield made
    assert tom("cancel", made["id"]).code == 0


def test_apps_are_found_by_words(tom):
    found = tom("apps", "benev").json
    assert [one["name"] for one in found] == ["Benevity"]
    assert len(tom("apps").json) > 20
    assert tom("apps", "no such app at all").json == []


def test_otto_requests_and_ana_and_finance_approve(machine):
    otto, ana, ben = machine("otto"), machine("ana"), machine("ben")
    done = otto("request", "Salesforce", "-m", "For the fair in Milan", "-f", "Role=Read only")
    assert done.code == 0 and done.json["state"] == "pending", done.err
    reference = done.json["reference"]
    assert reference in [one["reference"] for one in otto("requests", "--state", "pending").json]
    assert reference in [one["reference"] for one in ana("requests", "--waiting").json]
    shown = ana("show", reference.lower()).json
    assert shown["message"] == "For the fair in Milan" and shown["fields"]["Role"] == "Read only"
    refused = ana("approve", reference, "-f", "Region=Nonsense")
    assert refused.code == 1 and "Region" in refused.err
    first = ana("approve", reference, "-m", "Welcome", "-f", "Region=Americas", "--table")
    assert first.code == 0 and first.out.startswith(f"{reference} approved: Salesforce for Otto Brandt.\nWaiting for F")
    done = ben("approve", reference, "-f", "Cost centre=4100")
    assert done.code == 0 and done.json["state"] == "approved", done.err
    assert done.json["fields"] == shown["fields"] | done.json["fields"] | {"Region": "Americas", "Cost centre": "4100"}
    assert done.json["steps"][0]["decisions"][0]["comment"] == "Welcome"
    # A second approval, cancelling what is closed, and requesting what one has are conflicts.
    again = [ana("approve", reference), otto("cancel", reference), otto("request", "Salesforce", "-m", "Again")]
    assert [(one.code, one.err[:7]) for one in again] == [(5, "Error: ")] * 3


def test_a_denial_needs_a_reason_and_ends_waiting(machine, tom):
    waiting = tom.start("request", "Figma", "--wait", "-m", "For the fair")
    assert waiting.stderr is not None
    reference = re.search(r"R-\w{6}", waiting.stderr.readline())[0]
    decider = machine(tom("show", reference).json["steps"][0]["asked"][0]["name"].split()[0])
    assert decider("deny", reference).code == 2
    assert decider("deny", reference, "--reason", "Use the shared account").json["state"] == "denied"
    out, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 10 and json.loads(out)["state"] == "denied"


def test_waiting_gives_up_after_its_time(machine, tom):
    done = tom("request", "1Password", "--wait", "--timeout", "1", "-m", "For the fair")
    assert done.code == 13 and done.json["state"] == "pending"
    waiting = tom.start("request", "LinkedIn Learning", "--wait", "-m", "To learn")
    made = until(lambda: [one for one in tom("requests", "--state", "pending").json
                          if one["app"]["name"] == "LinkedIn Learning"])  # fmt: skip
    assert tom("cancel", made[0]["id"], "-m", "Not needed").json["state"] == "cancelled"
    assert waiting.wait(30) == 12
    waiting.communicate()
    assert tom("cancel", done.json["id"]).code == 0


def test_nobody_decides_their_own_request(tom, requested):
    done = tom("approve", requested["reference"])
    assert done.code == 1 and done.err.startswith("Error: ")


def test_what_others_may_not_see_is_not_found(machine, requested):
    lena = machine("lena")
    for words in (("show", requested["reference"]), ("approve", requested["id"])):
        assert lena(*words).code == 4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("request", "no such app"), 4, "There is no app"),
        (("request", "s"), 4, "fits more than one app"),
        (("show", "nonsense"), 2, "not a reference"),
        (("show", "R-000000"), 4, "no request R-000000"),
        (("show", "000000000000"), 4, ""),
        (("request", "Benevity", "--field", "Role"), 2, "--field NAME=VALUE"),
        (("request", "Benevity", "--field", "Nonsense=1"), 1, "There is no field Nonsense"),
        (("requests", "--state", "nonsense"), 2, "nonsense"),
        (("nonsense",), 2, "nonsense"),
        (("request",), 2, "Missing argument"),
    ],
)
def test_what_is_refused_and_how(tom, words, code, said):
    done = tom(*words)
    assert (done.code, done.out) == (code, "") and said in done.err


def test_a_second_request_for_the_same_app_is_a_conflict(tom, requested):
    done = tom("request", "benevity")
    assert done.code == 5 and "Error: " in done.err


def test_a_comment_and_a_reminder_that_comes_too_early(tom, requested):
    assert tom("comment", requested["reference"], "It is for Friday").code == 0
    done = tom("remind", requested["reference"])
    assert done.code == 5 and done.err


def test_a_list_is_cut_to_its_limit(machine):
    adam = machine("adam")
    assert len(adam("requests", "--all", "--limit", "3").json) == 3
    everything = adam("requests", "--all", "--limit", "100000").json
    assert len(everything) > 50 and len({one["id"] for one in everything}) == len(everything)
    only = adam("requests", "--all", "--app", "Benevity", "--limit", "5").json
    assert {one["app"]["name"] for one in only} == {"Benevity"}


def test_tables_on_a_terminal_and_json_when_asked_for(tom, requested):
    table = tom.on_a_terminal("requests").out.splitlines()
    assert table[0].split()[:3] == ["Request", "App", "For"]
    assert any(line.startswith(requested["reference"]) and "Ana" in line for line in table)
    assert all(len(line) <= 100 for line in table)
    assert json.loads(tom.on_a_terminal("requests", "--json").out)
    assert tom("requests", "--table").out.startswith("Request")
    shown = tom.on_a_terminal("show", requested["reference"]).out
    assert "For the volunteers’ day" in shown and "Step 1: Ana" in shown and "State      pending" in shown
    assert tom.on_a_terminal("requests", "--state", "expired", "--app", "Benevity").out == "There is no such request.\n"
