"""`homeport environments`: those that were built on this machine; a server may run."""

import contextlib
import datetime as dt
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from homeport.cli import amounts, checkcache, datadir, output
from homeport.cli.output import Column, Output
from homeport.client.resources import Document
from homeport.environments import eviction, workplaces
from homeport.environments.eviction import DEFAULT_LIMITS, Kept, Limits
from homeport.errors import FailedPreconditionError, NotFoundError

_F = TypeVar("_F", bound=Callable[..., Any])
_SHOWN_DIGITS: Final = 12
_EPILOG: Final = """\b
Examples:
  homeport environments list --data-dir /srv/homeport
  homeport environments prune --older-than 7d --dry-run
  homeport environments prune --max-size 20G
  homeport environments prune --checks
"""
_COLUMNS: Final[tuple[Column, ...]] = (
    ("ENVIRONMENT", lambda one: one["name"][:_SHOWN_DIGITS]),
    ("PACKAGES", lambda one: len(one["packages"])),
    ("MB", lambda one: f"{one['sizeBytes'] / 1e6:,.1f}"),
    ("LAST USE", lambda one: one["lastUseTime"]),
    ("STATE", lambda one: "IN USE" if one["inUse"] else "UNUSED"),
)


@click.group(epilog=_EPILOG)
def environments() -> None:
    """See and remove the Python environments that were built for versions.

    Each is built once for all versions with the same lock, and again when it is needed
    after it was removed. A server removes unused ones by itself.
    """


def _of(command: _F) -> _F:
    checks = click.option(
        "--checks",
        is_flag=True,
        help=f"Those of homeport check instead ({checkcache.SHOWN}).",
    )
    return datadir.option(exists=False)(checks(command))


@environments.command("list")
@_of
@output.option()
def list_environments(*, data_dir: Path, checks: bool, form: Output) -> None:
    """List what is there, the one that was used last at the end."""
    directory = _directory(data_dir, checks=checks)
    with _refusals_told(directory):
        found = eviction.survey(directory, time.time())
    output.show_list(map(_document, found), form, _COLUMNS)
    _sum_up(found, "are there")


@environments.command("prune")
@_of
@click.option(
    "--older-than",
    "age_s",
    metavar="AGE",
    callback=amounts.age_s,
    help="Remove what was not used for so long, as in 12h or 30d.",
)
@click.option(
    "--max-size",
    "max_bytes",
    metavar="SIZE",
    callback=amounts.size_bytes,
    help="Remove until no more is taken together, as in 500M or 20G; the one used last "
    "goes last.",
)
@click.option("--dry-run", is_flag=True, help="Show what would go, remove nothing.")
@output.option()
def prune(
    *,
    data_dir: Path,
    checks: bool,
    age_s: float | None,
    max_bytes: int | None,
    dry_run: bool,
    form: Output,
) -> None:
    """Remove what nobody uses, and show what that was.

    Without --older-than and --max-size: what a server removes by itself that was told
    nothing else, beyond 30 days or 50 GiB. What a replica or a check uses always stays.
    """
    directory = _directory(data_dir, checks=checks)
    with _refusals_told(directory):
        if not dry_run:
            workplaces.clear()
            eviction.clear(directory)
        limits = _limits(age_s, max_bytes)
        gone = eviction.evict(directory, limits, time.time(), dry_run=dry_run)
    output.show_list(map(_document, gone), form, _COLUMNS)
    _sum_up(gone, "would go" if dry_run else "are gone")


def _directory(data_dir: Path, *, checks: bool) -> Path:
    if checks:
        return checkcache.default() / "environments"
    if not data_dir.is_dir():
        raise NotFoundError(
            f"there is no data directory {data_dir}: name the server's with --data-dir"
        )
    return data_dir / "environments"


@contextlib.contextmanager
def _refusals_told(directory: Path) -> Iterator[None]:
    try:
        if directory.exists():
            # What may not be read looks empty to those who search in it.
            next(directory.iterdir(), None)
        yield
    except OSError as error:
        raise FailedPreconditionError(
            f"{directory} cannot be looked through and changed ({error.strerror}): run "
            "this as the account that the server runs as"
        ) from error


def _limits(age_s: float | None, max_bytes: int | None) -> Limits:
    if age_s is None and max_bytes is None:
        return DEFAULT_LIMITS
    return Limits(
        math.inf if age_s is None else age_s,
        sys.maxsize if max_bytes is None else max_bytes,
    )


def _document(kept: Kept) -> Document:
    used = dt.datetime.fromtimestamp(kept.last_use_s, dt.UTC)
    return {
        "name": kept.digest,
        "packages": list(kept.packages),
        "sizeBytes": kept.size_bytes,
        "lastUseTime": used.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "inUse": kept.in_use,
    }


def _sum_up(found: Iterable[Kept], what: str) -> None:
    sizes = [one.size_bytes for one in found]
    named = "1 environment" if len(sizes) == 1 else f"{len(sizes)} environments"
    click.echo(f"{named} of {sum(sizes) / 1e6:,.1f} MB {what}.", err=True)
