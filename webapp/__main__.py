"""The command `countersign` (bin/countersign): `python -m webapp`."""

import sys

import click
from flask import Flask
from flask.cli import FlaskGroup

from webapp.config import version


def _app() -> Flask:
    try:
        from wsgi import app
    except SystemExit as error:  # a setting; shown here, past the list of commands
        print(error, file=sys.stderr)
        sys.exit(1)
    return app


@click.group(
    cls=FlaskGroup, create_app=_app, add_version_option=False, add_default_commands=False,
    help="Countersign's commands for the person who runs it.",
)  # fmt: skip
@click.version_option(version(), message="Countersign %(version)s")
def main() -> None:
    pass


if __name__ == "__main__":
    main(prog_name="countersign")
