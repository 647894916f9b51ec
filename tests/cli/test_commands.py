"""The commands as a whole: help, completion, one name for those of the API and of the server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib

import click
import pytest

from countersign_cli.main import COMMANDS, commands
from tests.helpers.processes import PROJECT

SHELLS = ("bash", "zsh", "fish")


def every_command(group: click.Group) -> list[click.Command]:
    found: list[click.Command] = []
    for one in group.commands.values():
        found += [*every_command(one), one] if isinstance(one, click.Group) else [one]
    return found


@pytest.mark.parametrize("command", every_command(commands), ids=lambda one: one.name)
def test_every_command_says_what_it_does_in_a_sentence(command):
    assert command.help and command.help.strip()[0].isupper() and "." in command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{command.name} {option.name}"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_completion_of_each_shell_is_made_and_read(machine, shell, tmp_path):
    done = machine().process("completion", shell)
    assert done.code == 0 and "_COUNTERSIGN_COMPLETE" in done.out
    if shutil.which(shell):
        file = tmp_path / "completion"
        file.write_text(done.out)
        read = subprocess.run([shell, "-n", file], capture_output=True, text=True)
        assert (read.returncode, read.stderr) == (0, "")


def test_completion_names_commands_and_options(machine):
    some = machine()
    words = {"_COUNTERSIGN_COMPLETE": "bash_complete", "COMP_WORDS": "countersign req", "COMP_CWORD": "1"}
    assert some.process(**words).out.split() == ["plain,request", "plain,requests"]
    words |= {"COMP_WORDS": "countersign requests --wai", "COMP_CWORD": "2"}
    assert some.process(**words).out.split() == ["plain,--waiting"]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """bin/countersign, on the machine of the server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}
    command = [sys.executable, "-m", "webapp", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, env=kept | environment, timeout=60)


def test_on_the_server_there_are_both_kinds_of_commands(server):
    shown = run("--help", COUNTERSIGN_DATA=str(server.data)).stdout
    first, _, second = shown.partition("Commands for the machine of the server:")
    assert all(f"  {one.name} " in first for one in COMMANDS if one.name)
    assert all(f"  {name} " in second for name in ("check", "upgrade", "create-admin", "restored"))
    assert "tail" in run("audit", "--help").stdout and "anchor" in run("audit", "--help").stdout
    assert run("audit", "verify", COUNTERSIGN_DATA=str(server.data)).stdout.startswith("OK: all ")


def test_commands_of_the_api_need_no_settings_of_the_server(server):
    """As on a machine where the server's settings are only for its own user."""
    done = run("whoami", DATABASE_URL="postgresql://nowhere", COUNTERSIGN_TOKEN=server.token("rita"),
               COUNTERSIGN_ADDRESS=server.address)  # fmt: skip
    assert done.returncode == 0 and "rita@example.com" in done.stdout


def test_the_package_installs_this_command_only():
    with open(PROJECT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)
    assert project["project"]["scripts"] == {"countersign": "countersign_cli.main:main"}
    packages = project["tool"]["setuptools"]["packages"]
    folders = {str(one.parent.relative_to(PROJECT)) for one in (PROJECT / "countersign_cli").rglob("*.py")}
    assert {one.replace(".", "/") for one in packages} == folders
    asked = (PROJECT / "requirements.in").read_text().split()
    assert set(project["project"]["dependencies"]) <= set(asked)


def test_a_closed_pipe_is_no_failure(machine):
    tom = machine("tom")
    with subprocess.Popen(
        tom.command("completion", "bash"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=tom.environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
