"""Apps, fields and rules as files: export, plan, apply, and what is wrong in a file, with its line."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import yaml

from countersign_cli.policy import files, shape
from tests.browser.in_process import served
from tests.cli.conftest import PASSWORD, Server, Terminal
from webapp import clock, demo
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.demo import company
from webapp.demo.diary import Diary
from webapp.passwords import hash_password
from webapp.queries import directory
from webapp.workflow.entitlements import KINDS
from webapp.workflow.policy import OutcomeRule, Policy
from webapp.workflow.states import Assurance, Visibility

NOTHING = "Nothing to do: the server is as the files say."
# Of the demo company: each kind of field, one step and two, a code and a sign-in, owned by people and by groups.
APPS = ("Adobe Creative Cloud", "Apptio", "Benevity", "DocuSign", "Figma", "GitHub")


def few_apps() -> None:
    """The demo company without its history, and with six of its apps: each command reads every app by several calls."""
    hash = hash_password(PASSWORD)
    choose("write")
    directory.lock(exclusive=True)
    story = demo._Story(Diary(clock.now(), company.TIME_ZONE), hash, mailed=False)
    with mock.patch.object(company, "PRODUCTS", [one for one in company.PRODUCTS if one.name in APPS]):
        story.found()
    outbox.commit()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("few"), few_apps) as site:
        yield Server(site.data, int(site.address.rpartition(":")[2]))


@pytest.fixture
def adam(machine) -> Terminal:
    return machine("adam")


@pytest.fixture(scope="module")
def first_export(server, tmp_path_factory) -> Path:
    adam = Terminal(tmp_path_factory.mktemp("export"), server.address, server.token("adam"))
    done = adam("policy", "export", "rules")
    assert done.code == 0, done.err
    return adam.home / "rules"


@pytest.fixture
def exported(adam, first_export) -> Path:
    """The demo company's apps as files; each test leaves them on the server as they were."""
    return shutil.copytree(first_export, adam.home / "rules")


def text(folder: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in sorted((folder / "apps").iterdir())}


def edit(file: Path, old: str, new: str) -> None:
    before = file.read_text()
    assert before.count(old) >= 1, f"{file.name} has no {old!r}"
    file.write_text(before.replace(old, new, 1))


def plan(machine: Terminal, *words: str) -> str:
    done = machine("policy", "plan", "rules", "--table", *words)
    assert done.code == 0, done.err
    return done.out


def test_the_defaults_of_a_file_are_those_of_the_product():
    ours, policy = shape.POLICY, Policy()
    assert (ours["approval_required"], ours["comment_required"], ours["days"], ours["assurance"]) == (
        policy.approval_required, policy.comment_required, policy.days, policy.assurance,
    )  # fmt: skip
    assert (KINDS, tuple(Visibility), tuple(Assurance)) == (shape.KINDS, shape.SEES, shape.ASSURANCES)
    for state, default in shape.OUTCOMES.items():
        rule = policy.outcomes[state]
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in default.items()}
        given["message"] = given.pop("words")
        assert OutcomeRule(**given) == rule


def test_export_plan_change_a_line_apply_and_export_again(adam, exported):
    before = text(exported)
    assert len(before) == len(APPS) and "benevity.yaml" in before
    assert plan(adam) == f"{NOTHING}\n"
    assert adam("policy", "plan", "rules", "--check").code == 0
    file = exported / "apps" / "benevity.yaml"
    edit(file, "  days: 3", "  # the campaign is short\n  days: 2")
    assert plan(adam).splitlines() == [
        "~ change Benevity (apps/benevity.yaml)",
        *[f"    {line}" for line in adam("policy", "plan", "rules").json["changes"][0]["difference"]],
        "1 to change.",
    ]
    shown = plan(adam)
    assert "    -  days: 3\n    +  days: 2\n" in shown and shown.count("\n    +") == shown.count("\n    -") == 1
    assert adam("policy", "plan", "rules", "--check").code == 20
    assert text(exported) == before | {"benevity.yaml": file.read_text()}
    refused = adam("policy", "apply", "rules")
    assert refused.code == 2 and "--yes" in refused.err
    assert "2" not in app_of(adam, "Benevity")["days"]
    done = adam("policy", "apply", "rules", "--yes")
    assert (done.code, done.err) == (0, "Benevity changed.\n")
    assert plan(adam) == f"{NOTHING}\n"
    again = adam("policy", "apply", "rules", "--yes", "--table")
    assert (again.code, again.out) == (0, f"{NOTHING}\n")
    # The file says it already, so it keeps its comment; a second folder gets the same settings.
    assert adam("policy", "export", "rules").json == {"written": [], "unchanged": len(before)}
    assert adam("policy", "export", "other").code == 0
    other = text(adam.home / "other")
    assert other == before | {"benevity.yaml": before["benevity.yaml"].replace("  days: 3", "  days: 2")}
    edit(file, "  days: 2", "  days: 3")
    assert adam("policy", "apply", "rules", "--yes").code == 0


def app_of(machine: Terminal, name: str) -> dict[str, str]:
    """The rules of an app, as the server has them: setting → its text."""
    key = machine("apps", name).json[0]["id"]
    assert machine("policy", "export", "now").code == 0
    found = next(one for one in text(machine.home / "now").values() if f"id: {key}" in one)
    return {name: str(value) for name, value in yaml.safe_load(found)["policy"].items()}


NEW = """\
name: Zeplin
description: Hand over designs.
owner:
  person: MARTA@example.com
audience: [Marketing]
requestable: true
fields:
- name: Role
  kind: choice
  options: [Yes, No]
  required: true
  default: No
- name: Seats
  kind: number
  default: 2
policy:
  days: 4
  steps:
  - approver: {group: Finance}
    days: 2
    fields: {Role: read, Seats: write}
  - approver: {person: ana@example.com}
  outcomes:
    denied:
      reasons: [Use Figma.]
"""


def test_a_new_file_is_a_new_app_and_a_missing_one_is_archived_by_prune_only(adam, exported):
    file = exported / "apps" / "zeplin.yaml"
    file.write_text(NEW)
    assert plan(adam).startswith("+ create Zeplin (apps/zeplin.yaml)\n    +name: Zeplin\n")
    done = adam("policy", "apply", "rules", "--yes")
    assert done.code == 0 and done.err == "Zeplin created.\n", done.err
    assert plan(adam) == f"{NOTHING}\n"
    adam("policy", "export", "rules")
    made = yaml.safe_load(file.read_text())
    assert made == yaml.safe_load(NEW)  # what says the same stays as it was written
    file.unlink()
    assert plan(adam).splitlines() == ["Only on the server, left alone: Zeplin.", NOTHING]
    adam("policy", "export", "rules")
    made = yaml.safe_load(file.read_text())
    assert made["fields"][0]["options"] == ["Yes", "No"] and made["fields"][0]["default"] == "No"
    assert made["owner"] == {"person": "marta@example.com"} and made["policy"]["steps"][0]["days"] == 2
    assert made["policy"]["outcomes"] == {"denied": {"reasons": ["Use Figma."]}}

    # A field is renamed, one is added, one leaves: only with --prune.
    edit(file, "- name: Seats", "- name: Places\n  renamed_from: Seats")
    edit(file, "Seats: write", "Places: write")
    edit(file, "- name: Role", "- name: Until\n  kind: text\n- name: Role")
    done = adam("policy", "apply", "rules", "--yes")
    assert done.code == 0, done.err
    assert plan(adam) == f"{NOTHING}\n"
    (exported / "apps" / "zeplin.yaml").unlink()
    adam("policy", "export", "rules")
    made = yaml.safe_load(file.read_text())
    assert [one["name"] for one in made["fields"]] == ["Until", "Role", "Places"]
    assert made["policy"]["steps"][0]["fields"] == {"Role": "read", "Places": "write"}
    edit(file, "- name: Until\n  kind: text\n  requester: write\n", "")
    assert plan(adam).splitlines() == ["Only on the server, left alone: Zeplin: the field Until.", NOTHING]
    assert "-- name: Until" in plan(adam, "--prune")
    assert adam("policy", "apply", "rules", "--yes", "--prune").code == 0
    assert plan(adam, "--prune") == f"{NOTHING}\n"
    file.unlink()
    assert plan(adam, "--prune").splitlines() == ["- archive Zeplin", "1 to archive."]
    done = adam("policy", "apply", "rules", "--yes", "--prune")
    assert (done.code, done.err) == (0, "Zeplin archived.\n")
    assert "Zeplin" not in [one["name"] for one in adam("apps").json]


def test_what_was_changed_since_the_plan_is_not_overwritten(adam, exported, server: Server, monkeypatch):
    """The terminal asks before it applies; while it waits, somebody changes the app on the page."""
    from countersign_cli.api import Api
    from countersign_cli.failures import Refused
    from countersign_cli.policy import apply, plan
    from countersign_cli.policy import server as reading

    edit(exported / "apps" / "figma.yaml", "  days: 3", "  days: 9")
    api = Api(server.address, adam.environment["COUNTERSIGN_TOKEN"])
    names = reading.Names(api)
    made = plan.make(files.read(exported), reading.load(api, names), api, names, prune=False)
    there = made.changes[0].there
    details, etag = api.get_with_etag(f"/apps/{there.id}")
    api.change("PATCH", f"/apps/{there.id}", {"note": "Changed by somebody."}, etag=etag)
    with pytest.raises(apply.Failure, match="was changed on the server since the plan") as refused:
        apply.run(made, api, names, pending=None, tell=lambda _: None)
    assert refused.value.exit_code == 5
    assert api.get(f"/apps/{there.id}/policy")["days"] == 3
    # Also when it happens between our look and our change: If-Match.
    with pytest.raises(Refused) as late:
        api.change("PUT", f"/apps/{there.id}/policy", there.policy | {"days": 9}, etag='"0000000000000000"')
    assert late.value.exit_code == 5
    _, etag = api.get_with_etag(f"/apps/{there.id}")
    api.change("PATCH", f"/apps/{there.id}", {"note": details["note"]}, etag=etag)
    api.close()


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("  days: 3", "  dayz: 3", "  dayz", "There is no setting “dayz” here. Did you mean “days”?"),
        ("  days: 3", "  days: three", "  days", "Write a whole number of days."),
        ("  days: 3", "  days: 3\n  days: 4", "  days: 4", "“days” is here twice."),
        ("  assurance: code", "  assurance: codes", "  assurance", "Write one of: code, sign_in."),
        ("requestable: true", "requestable: maybe", "requestable", "Write true or false."),
        ("person: ana@example.com", "people: ana", "people: ana", "There is no setting “people” here."),
        ("Licence: write", "Rank: write", "Rank", "The app has no field “Rank”."),
        ("- name: Licence", "- name: Role", "- name: Role\n  kind: choice\n  options:\n  - Standard", "two fields"),
        ("name: Benevity", "name: [", "", "This is not YAML"),
        ("name: Benevity", "name: 'Benevity", "", "This is not YAML"),
        ("name: Benevity", "nam: Benevity", "nam:", "Did you mean “name”?"),
        ("name: Benevity", "name:", "name:", "Write the name of the app"),
        ("id: ", "id: 000000000000\nid_: ", "id_", "There is no setting “id_” here."),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(first_export, tmp_path, old, new, line, said):
    (tmp_path / "apps").mkdir()
    file = Path(shutil.copy(first_export / "apps" / "benevity.yaml", tmp_path / "apps"))
    edit(file, old, new)
    with pytest.raises(files.Failure, match="nothing was changed") as refused:
        files.read(tmp_path)
    found = [re.fullmatch(r"apps/benevity\.yaml:(\d+): (.*)", one) for one in refused.value.more]
    assert refused.value.exit_code == 2 and any(said in one[2] for one in found)
    if line:
        number = file.read_text().partition(line)[0].count("\n") + 1
        assert number in [int(one[1]) for one in found]


def test_what_the_server_does_not_have_is_told_with_its_line_all_at_once(adam, exported):
    file = exported / "apps" / "benevity.yaml"
    edit(file, "person: ana@example.com", "person: anna@example.com")
    edit(file, "  kind: choice", "  kind: text")
    edit(exported / "apps" / "apptio.yaml", "group: Finance", "group: Nobody")
    done = adam("policy", "apply", "rules", "--yes")
    assert done.code == 2 and "3 mistakes in the files; nothing was changed." in done.err

    def line(of: Path, words: str) -> int:
        return of.read_text().partition(words)[0].count("\n") + 1

    for where, said in (
        (f"apptio.yaml:{line(exported / 'apps' / 'apptio.yaml', 'group: Nobody')}", "There is no group “Nobody”."),
        (f"benevity.yaml:{line(file, 'person: anna')}", "There is no person with the email address anna@example.com."),
        (f"benevity.yaml:{line(file, 'kind: text')}", "The field “Role” is of the kind choice, which never changes."),
    ):
        assert f"apps/{where}: {said}" in done.err


def test_what_the_server_refuses_is_told_with_the_line_of_the_app(adam, exported):
    file = exported / "apps" / "benevity.yaml"
    edit(file, "  days: 3", "  days: 5000")
    done = adam("policy", "apply", "rules", "--yes")
    assert done.code == 1 and "apps/benevity.yaml:" in done.err and "Nothing was changed before." in done.err
    assert "days" in done.err


def test_the_same_app_twice_and_an_id_that_is_not_there(adam, exported):
    file = exported / "apps" / "benevity.yaml"
    (exported / "apps" / "copy.yaml").write_text(file.read_text())
    done = adam("policy", "plan", "rules")
    assert done.code == 2 and "The same id is in apps/benevity.yaml:" in done.err
    (exported / "apps" / "copy.yaml").write_text("name: Copy\nid: '000000000000'\n")
    done = adam("policy", "plan", "rules")
    assert done.code == 2 and "apps/copy.yaml:2: The app with this id does not exist here" in done.err


def test_an_owner_keeps_the_rules_of_their_own_apps_in_files(machine):
    marta = machine("marta")
    done = marta("policy", "export", "rules", "--table")
    assert done.code == 0 and "0 unchanged" in done.out, done.err
    rules = marta.home / "rules"
    assert 0 < len(text(rules)) < 10
    assert "Nothing to do" in plan(marta)
    file = sorted((rules / "apps").iterdir())[0]
    before = file.read_text()
    edit(file, "policy:\n", "policy:\n  comment_required: true\n")
    assert "+  comment_required: true" in plan(marta)
    assert marta("policy", "apply", "rules", "--yes").code == 0
    assert "Nothing to do" in plan(marta)
    file.write_text(before)
    assert marta("policy", "apply", "rules", "--yes").code == 0
    assert "Nothing to do" in plan(marta)


def test_an_owner_is_told_whom_they_cannot_look_up(machine):
    marta = machine("marta")
    marta("policy", "export", "rules")
    file = sorted((marta.home / "rules" / "apps").iterdir())[0]
    kept = [line for line in file.read_text().splitlines() if line.startswith(("name:", "id:"))]
    steps = ["policy:", "  steps:", "  - approver: {person: ana@example.com}", "  - approver: {group: Nobody}"]
    file.write_text("\n".join([*kept, *steps, ""]))
    done = marta("policy", "plan", "rules")
    assert done.code == 2, done.err
    assert ":5: Only admins look people up by email address. Write the id of ana@example.com." in done.err
    assert ":6: None of your apps names the group “Nobody”; only admins add one." in done.err


def test_files_of_others_apps_are_refused(machine, exported):
    done = machine("rita")("policy", "plan", "rules")
    assert done.code == 2 and "The app with this id does not exist here" in done.err


def test_a_folder_that_is_not_there(adam):
    done = adam("policy", "plan", "nowhere")
    assert done.code == 2 and "countersign policy export nowhere" in done.err


@pytest.mark.parametrize(
    "body", ["", "- a\n", "a: &x [*x]\n", "? [a]\n: b\n", "!!python/object:os.system x\n", "\x00", "{" * 5000]
)
def test_odd_files_are_refused_in_a_sentence(tmp_path, body):
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "odd.yaml").write_text(body)
    with pytest.raises(files.Failure) as refused:
        files.read(tmp_path)
    assert refused.value.exit_code == 2 and all(one.startswith("apps/odd.yaml:") for one in refused.value.more)


@pytest.mark.parametrize(
    "value", ["plain", "two\nlines\n", " led by a space", "ends: with\n\n", "No", "1.0", "null", "日本", "#x", "a\tb"]
)
def test_every_text_is_read_as_it_was_written(tmp_path, value):
    app = shape.new(shape.APP) | {"name": "X", "note": value}
    path = tmp_path / "x.yaml"
    path.write_text(files.written(app))
    assert files.read_file(path) == (files.AppFile(path, app, files.read_file(path)[0].lines), [])


def test_file_names():
    taken: set[str] = set()
    for name, expected in (
        ("Adobe Creative Cloud", "adobe-creative-cloud"),
        ("日本", "app"),
        ("Café/..", "cafe"),
        ("cafe", "cafe-2"),
    ):
        made = files.name_of(name, taken)
        taken.add(made)
        assert made == f"{expected}.yaml"
