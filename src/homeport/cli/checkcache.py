"""Where `homeport check` keeps what it has built."""

import os
from pathlib import Path
from typing import Final

import click

SHOWN: Final = "~/.cache/homeport, or below XDG_CACHE_HOME"
option: Final = click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    show_default=SHOWN,
    help="Where built environments are kept.",
)


def default() -> Path:
    """Return the directory for whoever names none."""
    # XDG Base Directory Specification: a relative path there is invalid.
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    return base / "homeport"
