"""The command `countersign` on the machine of the server (bin/countersign): `python -m webapp`.

It has the commands that call the API, as the package's own entry point `countersign` has them, and those of the server,
which work on its database and need its settings. One name for both, so that documents and habits fit everywhere;
`audit` has commands of both kinds. The first kind loads no application, so it works without settings.
"""

import sys

import click
from flask import Flask
from flask.cli import FlaskGroup

from countersign_cli.audit import audit
from countersign_cli.main import COMMANDS, run
from webapp.config import version


def _app() -> Flask:
    try:
        from wsgi import app
    except SystemExit as error:  # a setting; shown here, past the list of commands
        print(error, file=sys.stderr)
        sys.exit(1)
    return app


class _Audit(click.Group):
    """`audit tail` of the API, and `audit verify` and `anchor` of the server."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*super().list_commands(context), *self._of_the_server().list_commands(context)})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return super().get_command(context, name) or self._of_the_server().get_command(context, name)

    def _of_the_server(self) -> click.Group:
        from webapp.cli import audit_commands  # which loads the database's libraries

        return audit_commands


class _Both(FlaskGroup):
    """Commands of the API first; for any other name the application is loaded."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Two lists: who uses Countersign needs the first one only."""
        names = self.list_commands(context)
        ours = {one.name for one in COMMANDS}
        for title, wanted in (
            ("Commands", [name for name in names if name in ours]),
            ("Commands for the machine of the server", [name for name in names if name not in ours]),
        ):
            found = [(name, self.get_command(context, name)) for name in wanted]
            limit = formatter.width - 6 - max(map(len, names))
            rows = [(name, one.get_short_help_str(limit)) for name, one in found if one is not None and not one.hidden]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


@click.group(
    cls=_Both, create_app=_app, add_version_option=False, add_default_commands=False,
    help="Request apps, decide, and see who has what; and commands for the person who runs the server.",
)  # fmt: skip
@click.version_option(version(), message="Countersign %(version)s")
def main() -> None:
    pass


for command in COMMANDS:
    main.add_command(command)
main.add_command(
    _Audit("audit", audit.commands, help="The append-only audit log: read it, and check it on the server.")
)


if __name__ == "__main__":
    run(main, "countersign")
