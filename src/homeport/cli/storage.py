"""`homeport storage`: the server's object store, in the words of `gcloud storage`."""

from pathlib import Path
from typing import Final

import click

from homeport.cli import copies, options, rawoutput, waiting
from homeport.cli.copies import Copy
from homeport.cli.texts import printable
from homeport.client import buckets, downloading, objects, progress, uploading
from homeport.client.buckets import Entry
from homeport.client.connection import Connection
from homeport.client.objects import parse_uri
from homeport.client.uploading import OnProgress, Target
from homeport.errors import InvalidArgumentError, NotFoundError

_EPILOG: Final = """\b
Examples:
  homeport storage cp digits.mar gs://models/digits/1/
  homeport storage cp --recursive gs://models/digits copies
  homeport storage cat gs://models/rows/a.jsonl | head
"""
_RECURSIVE: Final = click.option(
    "-r", "-R", "--recursive", is_flag=True, help="With all that is below."
)


@click.group(epilog=_EPILOG)
def storage() -> None:
    """Copy, list, show and remove what lies in the server's buckets."""


@storage.command("cp", epilog=_EPILOG)
@click.argument("places", nargs=-1, metavar="SOURCE... TARGET")
@_RECURSIVE
@options.server_options
def cp(places: tuple[str, ...], *, recursive: bool, **server: str) -> None:
    """Copy files to a bucket, objects to files, or objects to objects.

    A target that ends with / is a folder, any other is the new name. What breaks off,
    also by Ctrl-C, goes on where it was when it is said again; checksums are compared.
    """
    *sources, target = places or ("",)
    if not sources:
        raise click.UsageError("give what to copy, and where to")
    note = "what has arrived is kept: the same command goes on"
    with options.connect(**server) as connection, waiting.telling(note):
        planned = copies.planned(connection, tuple(sources), target, deep=recursive)
        with progress.bar("copying") as on_progress:
            for one in planned:
                _copy(connection, one, on_progress)
                click.echo(f"copied      {copies.shown(one.target)}")


@storage.command("ls")
@click.argument("addresses", nargs=-1, metavar="[gs://BUCKET[/PREFIX]]...")
@_RECURSIVE
@click.option("-l", "--long", is_flag=True, help="With sizes and times.")
@options.server_options
def ls(
    addresses: tuple[str, ...], *, recursive: bool, long: bool, **server: str
) -> None:
    """List buckets, or what lies in them."""
    with options.connect(**server) as connection:
        if not addresses:
            for name in buckets.names(connection):
                click.echo(f"gs://{name}/")
        for address in addresses:
            for one in _listed(connection, address, recursive=recursive):
                size = f"{one.size_bytes if one.time else '':>12}"
                click.echo(f"{size}  {one.time:27}  {_uri(one)}" if long else _uri(one))


@storage.command("cat")
@click.argument("addresses", nargs=-1, required=True, metavar="gs://BUCKET/OBJECT...")
@options.server_options
def cat(addresses: tuple[str, ...], **server: str) -> None:
    """Write objects to standard output, one behind the other."""
    with (
        options.connect(**server) as connection,
        rawoutput.standard_output() as write,
    ):
        for address in addresses:
            bucket, pattern = _object(address)
            for one in buckets.matching(connection, bucket, pattern):
                with objects.reading(connection, bucket, one.name) as pieces:
                    for piece in pieces:
                        write(piece)


@storage.command("rm")
@click.argument("addresses", nargs=-1, required=True, metavar="gs://BUCKET/OBJECT...")
@_RECURSIVE
@options.server_options
def rm(addresses: tuple[str, ...], *, recursive: bool, **server: str) -> None:
    """Remove objects. Versions that were registered from them stay as they are."""
    with options.connect(**server) as connection:
        for address in addresses:
            for one in _removed(connection, address, recursive=recursive):
                buckets.delete(connection, one.bucket, one.name)
                click.echo(f"removed     {_uri(one)}")


@storage.command("mb")
@click.argument("names", nargs=-1, required=True, metavar="gs://BUCKET...")
@options.server_options
def mb(names: tuple[str, ...], **server: str) -> None:
    """Make buckets."""
    with options.connect(**server) as connection:
        for name in names:
            buckets.make(connection, _bucket(name))
            click.echo(f"made        gs://{_bucket(name)}/")


@storage.command("rb")
@click.argument("names", nargs=-1, required=True, metavar="gs://BUCKET...")
@options.server_options
def rb(names: tuple[str, ...], **server: str) -> None:
    """Remove buckets that are empty."""
    with options.connect(**server) as connection:
        for name in names:
            buckets.remove(connection, _bucket(name))
            click.echo(f"removed     gs://{_bucket(name)}/")


def _copy(connection: Connection, one: Copy, on_progress: OnProgress) -> None:
    source, target = one.source, one.target
    if isinstance(source, Path) and not isinstance(target, Path):
        uploading.upload(connection, source, Target(*target), on_progress)
    elif isinstance(target, Path) and not isinstance(source, Path):
        downloading.download(connection, source, target, on_progress)
    elif not isinstance(source, Path) and not isinstance(target, Path):
        buckets.copy(connection, source, target)


def _listed(connection: Connection, address: str, *, recursive: bool) -> list[Entry]:
    bucket, prefix = parse_uri(address)
    if buckets.is_pattern(prefix):
        return buckets.matching(connection, bucket, prefix)
    found = list(buckets.entries(connection, bucket, prefix, deep=recursive))
    folder = f"{prefix}/"
    if [one.name for one in found] == [folder] and not recursive:
        # A folder without its slash: what is in it is meant.
        found = list(buckets.entries(connection, bucket, folder, deep=False))
    if prefix and not found:
        raise NotFoundError(
            f"nothing begins with {address}: see `homeport storage ls gs://{bucket}`"
        )
    return found


def _removed(connection: Connection, address: str, *, recursive: bool) -> list[Entry]:
    bucket, name = parse_uri(address)
    if not recursive:
        return buckets.matching(connection, *_object(address))
    prefix = f"{name.rstrip('/')}/" if name else ""
    found = list(buckets.entries(connection, bucket, prefix, deep=True))
    if not found:
        raise InvalidArgumentError(
            f"there is nothing below {address}: see `homeport storage ls gs://{bucket}`"
        )
    return found


def _object(address: str) -> tuple[str, str]:
    bucket, name = parse_uri(address)
    if not name or name.endswith("/"):
        raise InvalidArgumentError(
            f"{address} is no object: give gs://BUCKET/OBJECT, or say --recursive "
            "where that is meant"
        )
    return bucket, name


def _bucket(address: str) -> str:
    bucket, name = parse_uri(address if "://" in address else f"gs://{address}")
    if name:
        raise InvalidArgumentError(f"{address} is no bucket: give gs://BUCKET")
    return bucket


def _uri(one: Entry) -> str:
    return printable(one.uri)
