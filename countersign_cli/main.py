"""All commands that call the API, and how they are run."""

import signal
import sys

import click

from countersign_cli import admin, audit, completion, holders, requests, sign_in
from countersign_cli.policy import commands as policy

COMMANDS = (
    sign_in.login, sign_in.logout, sign_in.whoami,
    requests.apps, requests.request, requests.requests, requests.show, requests.approve, requests.deny,
    requests.cancel, requests.comment, requests.remind,
    holders.who_has, holders.what_has, audit.audit, admin.admin, policy.policy, completion.completion,
)  # fmt: skip


@click.group(help="Request apps, decide, and see who has what, from a terminal or a script.")
def commands() -> None:
    pass


for one in COMMANDS:
    commands.add_command(one)


def run(group: click.Group, prog_name: str) -> None:
    """Runs the command line; a pipe that is closed, as by `head`, is no failure."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        group.main(prog_name=prog_name)
    except KeyboardInterrupt:
        sys.exit(130)


def main(prog_name: str = "countersign") -> None:
    """The entry point of the package."""
    run(commands, prog_name)
