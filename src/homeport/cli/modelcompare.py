"""`homeport models compare`: in what two versions differ."""

from collections.abc import Mapping
from typing import Any, Final

import click

from homeport.cli import options, output
from homeport.cli.output import Output
from homeport.cli.texts import printable
from homeport.client import provenance, resources

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
@output.option(named=False)
@options.server_options
def compare(first: str, second: str, *, form: Output, **server: str) -> None:
    """Show in what two versions differ, of one model or of two.

    VERSION is an id or an alias; without it, the default version.
    """
    with options.connect(**server) as connection:
        names = [resources.find_version(connection, one) for one in (first, second)]
        found = provenance.comparison(connection, *names)
    if form is Output.TABLE:
        _show(found)
    else:
        output.show_document(found, form)


def _show(found: Mapping[str, Any]) -> None:
    first, second = found["first"]["model"], found["second"]["model"]
    if first == second:
        click.echo(f"both are {first}")
    elif not any(found[part]["different"] for part in _PARTS):
        click.echo(f"nothing that is compared differs between {first} and {second}")
    for part, title in _PARTS.items():
        compared = found[part]
        if not compared["different"]:
            click.echo(f"{title}: {compared['same']} the same")
            continue
        click.echo(f"{title}: {compared['same']} the same, {compared['different']} not")
        rows = [
            [printable(one["key"]), _text(one["first"]), _text(one["second"])]
            for one in compared["differences"]
        ]
        output.table(["", first, second], rows)
        omitted = compared["different"] - len(compared["differences"])
        if omitted:
            click.echo(f"... and {omitted} more")


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return printable(", ".join(str(part) for part in value.values()))
    return printable(str(value))
