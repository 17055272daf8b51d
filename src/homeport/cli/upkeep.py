"""`homeport gc` and `homeport verify`: the bytes of a server that is stopped."""

import click

from homeport import maintenance
from homeport.cli import datadir
from homeport.errors import DataLossError
from homeport.settings import Settings


@click.command()
@datadir.with_rows(exists=True)
@datadir.with_bytes
@click.option("--dry-run", is_flag=True, help="Show what would go, remove nothing.")
def gc(*, dry_run: bool, **values: object) -> None:
    """Remove the bytes that no object and no version needs.

    The server does so itself when it starts; here it must be stopped.
    """
    settings = Settings(**values)  # type: ignore[arg-type]  # the options are its fields
    found = maintenance.collect_garbage(settings, dry_run=dry_run)
    for blob in found.blobs:
        click.echo(f"{blob.sha256}  {blob.size_bytes}")
    said = "would go" if dry_run else "are gone"
    total_bytes = sum(blob.size_bytes for blob in found.blobs)
    click.echo(f"{len(found.blobs)} blobs of {total_bytes} bytes {said}.", err=True)
    if found.uploads:
        what = f"What arrived of {found.uploads} uploads that are over"
        click.echo(f"{what} {'would go' if dry_run else 'is gone'}.", err=True)


@click.command()
@datadir.with_rows(exists=True)
@datadir.with_bytes
def verify(**values: object) -> None:
    """Read every byte that an object or a version needs, and compare its digest.

    Ends with 1 if something is lost or changed. The server must be stopped.
    """
    settings = Settings(**values)  # type: ignore[arg-type]  # the options are its fields
    read = faults = total_bytes = 0
    for blob in maintenance.verify(settings):
        read += 1
        total_bytes += blob.size_bytes
        if blob.fault:
            faults += 1
            click.echo(f"{blob.fault}\n  needed by {', '.join(blob.users)}")
    if faults:
        raise DataLossError(
            f"{faults} of {read} blobs are lost or changed: restore them from a "
            "backup, or upload the files again"
        )
    click.echo(f"{read} blobs of {total_bytes} bytes are as they were.", err=True)
