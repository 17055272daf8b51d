"""`homeport models lineage` and `readme`: where a version comes from, what it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from homeport.cli import options, output
from homeport.cli.output import Output
from homeport.cli.texts import printable
from homeport.client import provenance, resources
from homeport.errors import InvalidArgumentError


@click.command("lineage")
@click.argument("model", metavar="MODEL[@VERSION]")
@output.option(named=False)
@options.server_options
def lineage(model: str, *, form: Output, **server: str) -> None:
    """Show where MODEL (name or id) comes from.

    VERSION is an id or an alias; without it, the default version.
    """
    with options.connect(**server) as connection:
        name = resources.find_version(connection, model)
        found = provenance.lineage(connection, name)
    if form is Output.TABLE:
        _show(found)
    else:
        output.show_document(found, form)


@click.command("readme")
@click.argument("model", metavar="MODEL[@VERSION]")
@click.option(
    "--set",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Keep this file as its README.",
)
@options.server_options
def readme(model: str, path: Path | None, **server: str) -> None:
    """Show the README of MODEL (name or id) as text, or set it.

    VERSION is an id or an alias; without it, the default version.
    """
    with options.connect(**server) as connection:
        name = resources.find_version(connection, model)
        if path is not None:
            provenance.put_readme(connection, name, _read(path))
            click.echo(f"kept        {path.name} as the README of {name}")
            return
        text = provenance.readme(connection, name)
    if not text:
        click.echo(f"{name} has no README: give it one with --set FILE", err=True)
    for line in text.splitlines():
        click.echo(printable(line))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"{path.name} is no UTF-8 text: save it as UTF-8"
        ) from error


def _show(found: Mapping[str, Any]) -> None:
    source = found["source"]
    lines = {
        "model": found["model"],
        "uploaded": f"{found['uploadTime']} by {found['uploadedBy'] or 'unknown'}",
        "from": source["artifactUri"],
        "digest": source.get("digest", ""),
        "bytes": source.get("sizeBytes", ""),
        "copied from": found.get("copiedFrom", ""),
        "check": f"{found['check']['state']}: {found['check']['detail']}",
    }
    said = {key: found["lineage"][key] for key in sorted(found["lineage"])}
    said.pop("uploaded_by", None)
    for key, value in {**lines, **said}.items():
        if value:
            click.echo(f"{key:<12}{printable(value)}")
