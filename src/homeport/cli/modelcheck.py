"""`homeport models check`: what the server found when it registered a version."""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

import click

from homeport.cli import options, output
from homeport.cli.output import Output
from homeport.cli.texts import printable
from homeport.client import registry, resources
from homeport.resources.check import CheckState

_FAILED: Final = 3
_EPILOG: Final = """\b
Examples:
  homeport models check digits
  homeport models check digits@2 --output json | jq .report.stages

\b
Exit codes beside the usual ones:
  0  it passed, is exempt, or was not checked
  3  it failed; the stage, the cause and the remedy are told
"""


@click.command("check", epilog=_EPILOG)
@click.argument("model", metavar="MODEL[@VERSION]")
@output.option()
@options.server_options
def check(model: str, *, form: Output, **server: str) -> None:
    """Show what came of checking MODEL when it was registered."""
    with options.connect(**server) as connection:
        found = registry.check(connection, resources.find_version(connection, model))
    _show(found, form)
    if found["state"] == CheckState.FAILED:
        sys.exit(_FAILED)


def _show(found: Mapping[str, Any], form: Output) -> None:
    match form:
        case Output.NAME:
            click.echo(found["model"])
        case Output.JSON | Output.YAML:
            output.show_document(found, form)
        case Output.TABLE:
            _tell(found)


def _tell(found: Mapping[str, Any]) -> None:
    # Deferred: what draws a report knows how checks are made, which takes a while.
    from homeport.checking import report as reports  # noqa: PLC0415
    from homeport.cli.checkview import View  # noqa: PLC0415

    click.echo(found["model"])
    if "report" not in found:
        click.echo(f"\n{found['state']}: {printable(found['detail'])}")
        return
    click.echo(f"checked by the server at {found['time']}\n")
    report = reports.from_json(json.dumps(found["report"]))
    view = View(quiet=False)
    for stage in report.stages:
        view.show(stage)
    view.conclude(report)
