"""Options of commands that start workers: what the kernel keeps from these."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from homeport.worker.sandbox import Level

_F = TypeVar("_F", bound=Callable[..., Any])
_FOLDER: Final = click.Path(path_type=Path, file_okay=False, exists=True)


def sandbox_options(command: _F) -> _F:
    """Add --worker-sandbox, --worker-read and --worker-write."""
    for option in (
        click.option(
            "--worker-write",
            type=_FOLDER,
            multiple=True,
            help="A further folder that handlers may change; may be repeated.",
        ),
        click.option(
            "--worker-read",
            type=_FOLDER,
            multiple=True,
            help="A further folder that handlers may read; may be repeated.",
        ),
        click.option(
            "--worker-sandbox",
            type=click.Choice([one.value for one in Level]),
            default=Level.AUTO.value,
            show_default=True,
            help="What the kernel keeps from handlers: files that are not theirs, as "
            "far as this host can; /tmp and TCP too; or nothing.",
        ),
    ):
        command = option(command)
    return command
