"""`homeport models compare`: in what two versions differ."""

import json
from collections.abc import Mapping
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from homeport.cli import options
from homeport.cli.checkview import printable
from homeport.cli.modellineage import version_name
from homeport.client import provenance

_WIDTH: Final = 1000
# As the server names them, and as people read them.
_PARTS: Final = {
    "facts": "facts",
    "labels": "labels",
    "lineage": "lineage",
    "packages": "packages of the lock",
    "metrics": "metrics",
    "files": "files",
    "members": "members of the archive",
}


@click.command("compare")
@click.argument("first", metavar="MODEL[@VERSION]")
@click.argument("second", metavar="MODEL[@VERSION]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@options.server_options
def compare(first: str, second: str, *, as_json: bool, **server: str) -> None:
    """Show in what two versions differ, of one model or of two.

    VERSION is an id or an alias; without it, the default version.
    """
    with options.connect(**server) as connection:
        names = [version_name(connection, one) for one in (first, second)]
        found = provenance.comparison(connection, *names)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    _show(found)


def _show(found: Mapping[str, Any]) -> None:
    console = Console(width=_WIDTH, markup=False, highlight=False)
    for part, title in _PARTS.items():
        compared = found[part]
        if not compared["different"]:
            click.echo(f"{title}: {compared['same']} the same")
            continue
        click.echo(f"{title}: {compared['same']} the same, {compared['different']} not")
        table = Table("", found["first"]["model"], found["second"]["model"], box=None)
        for one in compared["differences"]:
            table.add_row(
                printable(one["key"]), *map(_text, (one["first"], one["second"]))
            )
        console.print(table)
        omitted = compared["different"] - len(compared["differences"])
        if omitted:
            click.echo(f"... and {omitted} more")


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return printable(", ".join(str(part) for part in value.values()))
    return printable(str(value))
