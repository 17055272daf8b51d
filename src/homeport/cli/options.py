"""Options and arguments that several commands share."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from homeport.client.connection import Address, Connection
from homeport.client.registry import Endpoint

DEFAULT_URL: Final = "http://127.0.0.1:8080"
# A region of Vertex AI: the official SDK refuses any other word.
DEFAULT_LOCATION: Final = "us-central1"
DEFAULT_PROJECT: Final = "homeport"

_F = TypeVar("_F", bound=Callable[..., Any])


def server_options(command: _F) -> _F:
    """Add --url, --project and --location; `connect` takes what they hold."""
    for option in (
        click.option(
            "--location",
            envvar="HOMEPORT_LOCATION",
            default=DEFAULT_LOCATION,
            show_default=True,
            show_envvar=True,
        ),
        click.option(
            "--project",
            envvar="HOMEPORT_PROJECT",
            default=DEFAULT_PROJECT,
            show_default=True,
            show_envvar=True,
        ),
        click.option(
            "--url",
            envvar="HOMEPORT_URL",
            default=DEFAULT_URL,
            show_default=True,
            show_envvar=True,
            help="The server.",
        ),
    ):
        command = option(command)
    return command


def connect(url: str, project: str, location: str) -> Connection:
    """Return a connection to the server that the options name.

    A URL without a scheme is one of plain HTTP.
    """
    full = url if "://" in url else f"http://{url}"
    return Connection(Address(full.rstrip("/"), project, location))


def show_traffic(endpoint: Endpoint) -> None:
    """Print a line for each deployed model of an endpoint."""
    for one in endpoint.deployed:
        click.echo(f"serving     {one.id} (version {one.version}), {one.percent} %")
    if not endpoint.deployed:
        click.echo(f"nothing is deployed to {endpoint.display_name}")


def pairs(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Return KEY=VALUE arguments as a dict; a click callback."""
    del ctx
    split = [value.partition("=") for value in values]
    for key, separator, value in split:
        if not separator or not key:
            raise click.BadParameter(
                f"{key or value!r} is not KEY=VALUE", param=parameter
            )
    return {key: value for key, _, value in split}
