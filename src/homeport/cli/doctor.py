"""`homeport doctor`: whether this machine can do what is asked, and what to fix."""

import sys
from pathlib import Path
from typing import Final

import click

from homeport.cli import datadir, diagnoses, options, output
from homeport.cli.diagnoses import Finding, State
from homeport.cli.output import Output

_STYLES: Final = {State.GOOD: "green", State.WARNING: "yellow", State.BAD: "red"}
_EPILOG: Final = """\b
Exit codes:
  0  nothing is in the way; warnings may be there
  1  something is; the line says what to do
"""


@click.command(epilog=_EPILOG)
@datadir.option(exists=False)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    envvar="HOMEPORT_SERVE_PORT",
    help="That a server would listen on.",
)
@output.option(named=False)
@options.server_options
def doctor(*, data_dir: Path, port: int, form: Output, **server: str) -> None:
    """Look at the environment, ports, engines, disk and versions; say what to fix."""
    with options.connect(**server) as connection:
        found = diagnoses.all_of(connection, data_dir, port)
    if form is Output.TABLE:
        for one in found:
            _show(one)
    else:
        output.show_document([one.document() for one in found], form)
    if any(one.state is State.BAD for one in found):
        sys.exit(1)


def _show(one: Finding) -> None:
    state = click.style(f"{one.state:8}", fg=_STYLES[one.state])
    click.echo(f"{state} {one.subject:12} {one.detail}")
    if one.remedy:
        click.echo(f"{'':21} {one.remedy}")
