"""`homeport models`: what is registered, what it was found to be, and its end."""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from homeport.checking import report as reports
from homeport.cli import options
from homeport.cli.check import FAILED
from homeport.cli.checkview import View, printable
from homeport.cli.modelcompare import compare
from homeport.cli.modelhistory import history
from homeport.cli.modellineage import lineage, readme
from homeport.client import registry
from homeport.resources.check import CheckState

# Wide enough that no id is ever cut, in a pipe as on a terminal.
_WIDTH: Final = 1000
_CHECK_EPILOG: Final = """\b
Examples:
  homeport models check digits
  homeport models check digits@2 --json | jq .report.stages

\b
Exit codes:
  0  it passed, is exempt, or was not checked
  1  there is no such version, or no server
  2  the command was not understood
  3  it failed; the stage, the cause and the remedy are told
"""


@click.group()
def models() -> None:
    """See and delete what is registered."""


@models.command("list")
@click.option(
    "--filter",
    "filter_text",
    default="",
    help="""AIP-160, such as 'display_name="digits" AND labels.team=a'.""",
)
@options.server_options
def list_models(filter_text: str, **server: str) -> None:
    """List the models, each as its default version."""
    with options.connect(**server) as connection:
        found = list(registry.models(connection, filter_text))
    _show(found)


@models.command("versions")
@click.argument("model")
@options.server_options
def list_versions(model: str, **server: str) -> None:
    """List the versions of MODEL (name or id)."""
    with options.connect(**server) as connection:
        name = registry.find_model(connection, model)
        found = list(registry.versions(connection, name))
    _show(found)


@models.command("delete")
@click.argument("model", metavar="MODEL[@VERSION]")
@options.server_options
def delete_model(model: str, **server: str) -> None:
    """Delete MODEL (name or id) with all its versions, or one version of it.

    What is deployed cannot be deleted: undeploy it first.
    """
    wanted, at, version = model.partition("@")
    with options.connect(**server) as connection:
        name = registry.find_model(connection, wanted) + at + version
        registry.delete_model(connection, name)
    click.echo(f"deleted     {name}")


@models.command("check", epilog=_CHECK_EPILOG)
@click.argument("model", metavar="MODEL[@VERSION]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@options.server_options
def show_check(model: str, *, as_json: bool, **server: str) -> None:
    """Show what came of checking MODEL (name or id) when it was registered.

    VERSION is an id or an alias; without it, the default version.
    """
    wanted, at, version = model.partition("@")
    with options.connect(**server) as connection:
        name = registry.find_model(connection, wanted) + at + version
        found = registry.check(connection, name)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _show_check(found)
    if found["state"] == CheckState.FAILED:
        sys.exit(FAILED)


models.add_command(compare)
models.add_command(history)
models.add_command(lineage)
models.add_command(readme)


def _show_check(found: Mapping[str, Any]) -> None:
    click.echo(found["model"])
    if "report" not in found:
        click.echo(f"\n{found['state']}: {printable(found['detail'])}")
        return
    click.echo(f"checked by the server at {found['time']}\n")
    report = reports.from_json(json.dumps(found["report"]))
    view = View(as_json=False)
    for stage in report.stages:
        view.show(stage)
    view.conclude(report)


def _show(found: list[registry.Model]) -> None:
    table = Table(
        "MODEL", "DISPLAY NAME", "VERSION", "ALIASES", "LABELS", "UPDATED", box=None
    )
    for model in found:
        table.add_row(
            model.name.rpartition("/")[2],
            model.display_name,
            model.version,
            ", ".join(model.aliases),
            ", ".join(f"{key}={value}" for key, value in model.labels.items()),
            model.update_time,
        )
    Console(width=_WIDTH).print(table)
