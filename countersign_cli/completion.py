"""completion bash|zsh|fish."""

import click
from click.shell_completion import get_completion_class

VARIABLE = "_COUNTERSIGN_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete the commands: source <(countersign completion bash)."""
    root = context.find_root()
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(root.command, {}, "countersign", VARIABLE).source())
