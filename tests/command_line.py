"""The `homeport` command, run in this process against a server."""

import dataclasses

import click
from click.testing import CliRunner

from homeport.cli import main


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """What a command did.

    Attributes:
        code: Its exit code.
        out: What it printed.
        err: What it said beside that.
    """

    code: int
    out: str
    err: str


def run(*words: str, url: str = "", stdin: bytes = b"", **variables: str) -> Ended:
    """Run a command.

    Args:
        words: Behind `homeport`.
        url: Of the server.
        stdin: What it reads.
        variables: Added to the environment.
    """
    environment = {"HOMEPORT_URL": url or None, **variables}
    result = CliRunner().invoke(main, words, input=stdin, env=environment)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def leaves(command: click.Command, name: str = "") -> list[tuple[str, click.Command]]:
    """Return every command below one that does something, by its words."""
    if not isinstance(command, click.Group):
        return [(name, command)]
    context = click.Context(command)
    found = []
    for word in command.list_commands(context):
        below = command.get_command(context, word)
        assert below is not None
        found += leaves(below, f"{name} {word}".strip())
    return found
