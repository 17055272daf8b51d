"""`homeport inspect`: what an archive holds, without unpacking or running it."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from homeport.archive import reading
from homeport.archive.inventory import Inventory
from homeport.archive.manifest import Manifest
from homeport.cli import output
from homeport.cli.output import Output
from homeport.packing import checkpoints
from homeport.packing.checkpoints import Checkpoint

_EPILOG: Final = """\b
Examples:
  homeport inspect digits.mar
  homeport inspect digits.mar --output json | jq .manifest.model_name
"""


@click.command(epilog=_EPILOG)
@click.argument("archive", type=click.Path(path_type=Path))
@output.option(named=False)
def inspect(*, archive: Path, form: Output) -> None:
    """Show the manifest and the files of ARCHIVE: a .mar, a .tar.gz or a folder.

    The archive is checked as an upload would be: a broken or dangerous one is refused
    with the reason. Checkpoints are not loaded; what loading them would import is read
    from their pickles.
    """
    inventory = reading.check(archive)
    found = checkpoints.report(archive, inventory)
    if form is not Output.TABLE:
        output.show_document(_document(inventory, found), form)
        return
    console = Console(highlight=False, markup=False)
    console.print(_manifest_table(inventory.manifest))
    console.print(_member_table(inventory))
    for checkpoint in found:
        console.print(checkpoint.finding, soft_wrap=True)
    console.print(
        f"{len(inventory.members)} files, {inventory.total_bytes:,} bytes "
        f"in an archive of {inventory.archive_bytes:,} bytes"
    )


def _document(inventory: Inventory, found: tuple[Checkpoint, ...]) -> dict[str, Any]:
    document: dict[str, Any] = dataclasses.asdict(inventory)
    document["total_bytes"] = inventory.total_bytes
    document["compressed_bytes"] = inventory.compressed_bytes
    document["checkpoints"] = [dataclasses.asdict(one) for one in found]
    return document


def _manifest_table(declared: Manifest) -> Table:
    table = Table(show_header=False, box=None)
    for field in dataclasses.fields(declared):
        value = getattr(declared, field.name)
        if value:
            table.add_row(field.name.replace("_", " "), _printable(value))
    return table


def _printable(value: object) -> str:
    """Return `value` as text a terminal only shows: no control sequence survives."""
    if isinstance(value, str) and value.isprintable():
        return value
    return json.dumps(value)


def _member_table(inventory: Inventory) -> Table:
    table = Table(box=None)
    table.add_column("file", overflow="fold")
    table.add_column("bytes", justify="right")
    table.add_column("in archive", justify="right")
    table.add_column("how")
    table.add_column("crc32")
    for member in inventory.members:
        table.add_row(
            member.path,
            f"{member.size_bytes:,}",
            f"{member.compressed_bytes:,}",
            "stored" if member.stored else "deflated",
            "" if member.crc32 is None else f"{member.crc32:08x}",
        )
    return table
