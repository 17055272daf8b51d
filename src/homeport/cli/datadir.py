"""The options by which commands name a server's data."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

DEFAULT: Final = Path("homeport-data")
_ENDPOINT_RE: Final = re.compile(r"[^/\s]+:[0-9]{1,5}")
_F = TypeVar("_F", bound=Callable[..., Any])


def option(*, exists: bool) -> Callable[[_F], _F]:
    """Return what adds --data-dir to a command.

    Args:
        exists: Whether a directory that is not there is refused.
    """
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False, exists=exists),
        default=DEFAULT,
        show_default=True,
        envvar="HOMEPORT_SERVE_DATA_DIR",
        show_envvar=True,
        help="The server's.",
    )


def with_rows(*, exists: bool) -> Callable[[_F], _F]:
    """Return what adds --data-dir and --database-url to a command.

    Args:
        exists: Whether a directory that is not there is refused.
    """
    url = click.option(
        "--database-url",
        envvar="HOMEPORT_SERVE_DATABASE_URL",
        help="Where its rows are, if not in the data directory.",
    )

    def add(command: _F) -> _F:
        return option(exists=exists)(url(command))

    return add


def endpoints(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Return endpoints that are HOST:PORT; a click callback."""
    del ctx
    for value in values:
        if not _ENDPOINT_RE.fullmatch(value):
            raise click.BadParameter(
                f"{value!r} is not HOST:PORT, such as 127.0.0.1:9000", param=parameter
            )
    return values


def with_bytes(command: _F) -> _F:
    """Add the options that name the bucket a server's bytes may be in."""
    for option_of_it in (
        click.option(
            "--private-endpoint",
            "private_endpoints",
            multiple=True,
            callback=endpoints,
            envvar="HOMEPORT_SERVE_PRIVATE_ENDPOINTS",
            help="HOST:PORT of its endpoint, if on this machine or its network.",
        ),
        click.option(
            "--blob-store",
            envvar="HOMEPORT_SERVE_BLOB_STORE",
            help="Where its bytes are, if not in the data directory.",
        ),
    ):
        command = option_of_it(command)
    return command
