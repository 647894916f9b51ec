"""countersign login, logout, whoami; the file with the tokens; exit codes of who is not signed in."""

from __future__ import annotations

import json
import re
import stat

import pytest

from countersign_cli import settings
from countersign_cli.failures import Failure
from tests.cli.conftest import Terminal, submit
from tests.helpers.processes import free_port, until

OPENED = '#!/bin/sh\necho "$1" > opened\n'


def saved(machine: Terminal) -> dict:
    return json.loads((machine.home / "countersign" / "tokens.json").read_text())


def test_rita_signs_in_by_a_code_that_she_approves_in_the_browser(machine, server):
    hers = machine()
    browser = hers.home / "browser"
    browser.write_text(OPENED)
    browser.chmod(0o755)
    hers.environment["BROWSER"] = f"{browser} %s"
    login = hers.start("login", server.address, "--name", "rita-laptop")
    page = until(lambda: (hers.home / "opened").exists() and (hers.home / "opened").read_text().strip())
    assert page.startswith(f"{server.address}/device?code=")
    code = page.rpartition("=")[2]
    with server.browser("rita") as client:
        shown = client.get(page).text
        assert "rita-laptop" in shown and code in shown and "Allow it only if you started this yourself" in shown
        scopes = re.findall(r'name="scope"\s+value="([^"]+)"', shown)
        assert submit(client, page, f"/device/{code}/approval", {"scope": scopes}).status_code == 303
    out, err = login.communicate(timeout=30)
    assert login.returncode == 0 and code in err
    assert json.loads(out)["person"]["email"] == "rita@example.com"
    del hers.environment["COUNTERSIGN_ADDRESS"]
    me = hers("whoami")
    assert me.code == 0 and me.json["address"] == server.address and me.json["token"]["scopes"] == sorted(scopes)
    assert "decide" in scopes and "people:admin" not in scopes
    file = settings_file(hers)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    # Signing out ends the token at the server, too.
    token = saved(hers)["addresses"][server.address]["token"]
    assert hers("logout").code == 0 and saved(hers)["addresses"] == {}
    again = hers("whoami", COUNTERSIGN_TOKEN=token, COUNTERSIGN_ADDRESS=server.address)
    assert again.code == 3 and "has ended" in again.err
    assert hers("logout").code == 3


def settings_file(machine: Terminal):
    return machine.home / "countersign" / "tokens.json"


def test_what_was_denied_in_the_browser_is_refused(machine, server):
    hers = machine()
    login = hers.start("login", server.address)
    assert login.stderr is not None
    code = re.search(r"[A-Z]{4}-[A-Z]{4}", login.stderr.readline())[0]
    with server.browser("rita") as client:
        submit(client, f"/device?code={code}", f"/device/{code}/denial", {})
    out, err = login.communicate(timeout=30)
    assert login.returncode == 1 and "denied in the browser" in err and out == ""
    assert not settings_file(hers).exists()


def test_a_token_is_read_from_standard_input(machine, server):
    his, token = machine(), server.token("adam")
    done = his("login", server.address, "--token-stdin", stdin=f"{token}\n")
    assert done.code == 0 and done.json["person"]["name"] == "Adam Weiss"
    assert token not in done.out + done.err
    assert saved(his)["current"] == server.address
    assert his("whoami", "--table").out.splitlines()[1].startswith("You")


@pytest.mark.parametrize(("stdin", "code"), [("", 2), ("csn_nonsense\n", 3)])
def test_a_bad_token_is_not_kept(machine, server, stdin, code):
    his = machine()
    assert his("login", server.address, "--token-stdin", stdin=stdin).code == code
    assert not settings_file(his).exists()


def test_several_addresses_and_the_environment_wins(machine, server):
    his = machine()
    other = server.address.replace("127.0.0.1", "localhost")
    his("login", server.address, "--token-stdin", stdin=server.token("adam"))
    his("login", other, "--token-stdin", stdin=server.token("rita"))
    del his.environment["COUNTERSIGN_ADDRESS"]

    def who(*words: str, **environment: str) -> str:
        return his("whoami", *words, **environment).json["person"]["email"].partition("@")[0]

    assert who() == "rita"
    assert who("--address", server.address) == "adam"
    assert who(COUNTERSIGN_ADDRESS=server.address) == "adam"
    assert who(COUNTERSIGN_TOKEN=server.token("ana")) == "ana"
    assert his("logout").code == 0 and who() == "adam"


def test_without_a_token_it_says_how_to_sign_in(machine):
    done = machine()("requests")
    assert done.code == 3 and "countersign login" in done.err and done.out == ""


def test_a_missing_scope_says_which(machine):
    done = machine("rita", "requests:read")("apps")
    assert done.code == 3 and "apps:read" in done.err


def test_a_server_that_is_away(machine):
    done = machine()("whoami", COUNTERSIGN_ADDRESS=f"http://127.0.0.1:{free_port()}", COUNTERSIGN_TOKEN="csn_x")
    assert done.code == 6 and "cannot be reached" in done.err and "Traceback" not in done.err


def test_a_damaged_file_is_named(machine):
    hers = machine()
    settings_file(hers).parent.mkdir()
    settings_file(hers).write_text("[]")
    done = hers("whoami")
    assert done.code == 2 and "tokens.json" in done.err and "sign in again" in done.err


@pytest.mark.parametrize(
    ("given", "is_read_as"),
    [
        ("apps.example.com", "https://apps.example.com"),
        ("https://apps.example.com:8443/", "https://apps.example.com:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_addresses(given, is_read_as):
    assert settings.checked(given) == is_read_as


@pytest.mark.parametrize("given", ["http://apps.example.com", "ftp://x", "https://", "https://a:b", "https://u@h", ""])
def test_addresses_that_are_refused(given):
    with pytest.raises(Failure) as refusal:
        settings.checked(given)
    assert refusal.value.exit_code == 2
