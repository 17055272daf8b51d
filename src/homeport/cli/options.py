"""Options and arguments that several commands share."""

import os
import re
import shlex
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from homeport.cli import pairs, words
from homeport.client import session, traffic
from homeport.client.connection import Address, Connection
from homeport.client.registry import Deployed, Endpoint
from homeport.errors import InvalidArgumentError
from homeport.resources.labels import check_labels

# EnvVar.name (aiplatform v1): a C identifier; AIP_ is reserved.
_VARIABLE_RE: Final = re.compile(r"(?!AIP_)[A-Za-z_][A-Za-z0-9_]*")

_F = TypeVar("_F", bound=Callable[..., Any])


def server_options(command: _F) -> _F:
    """Add --url, --project and --region; `connect` takes what they hold."""
    for option in (
        click.option(
            "--region",
            callback=words.not_empty,
            envvar="HOMEPORT_REGION",
            default=session.DEFAULT_REGION,
            show_default=True,
            show_envvar=True,
        ),
        click.option(
            "--project",
            callback=words.not_empty,
            envvar="HOMEPORT_PROJECT",
            default=session.DEFAULT_PROJECT,
            show_default=True,
            show_envvar=True,
        ),
        click.option(
            "--url",
            callback=words.not_empty,
            envvar="HOMEPORT_URL",
            default=session.DEFAULT_URL,
            show_default=True,
            show_envvar=True,
            help="The server.",
        ),
    ):
        command = option(command)
    return command


def connect(url: str, project: str, region: str) -> Connection:
    """Return a connection to the server that the options name."""
    return session.connect(url, project, region)


def connection(given: dict[str, Any]) -> Connection:
    """Return a connection to the server that a command's values name."""
    return connect(given["url"], given["project"], given["region"])


def naming(address: Address) -> str:
    """Return the options, with a space before each, that lead a command here.

    Empty where the defaults and the environment lead here anyway.
    """
    usual = (
        ("url", address.url, session.DEFAULT_URL),
        ("project", address.project, session.DEFAULT_PROJECT),
        ("region", address.location, session.DEFAULT_REGION),
    )
    return "".join(
        f" --{name} {shlex.quote(value)}"
        for name, value, default in usual
        if value != (os.environ.get(f"HOMEPORT_{name.upper()}") or default)
    )


def show_traffic(endpoint: Endpoint) -> None:
    """Print a line for each deployed model of an endpoint."""
    for one in endpoint.deployed:
        click.echo(f"serving     {one.id} (version {one.version}), {one.percent} %")
    if not endpoint.deployed:
        click.echo(f"nothing is deployed to {endpoint.display_name}")


def show_left(before: Endpoint, after: Endpoint) -> None:
    """Print what serves after an undeployment, and who has all the traffic anew."""
    show_traffic(after)
    had = {one.id for one in before.deployed if one.percent}
    for one in after.deployed:
        if one.percent == 100 and one.id not in had:  # noqa: PLR2004  # percent
            click.echo(f"            {one.id} had no traffic and has all of it now")


def tell_how_to_shift(address: Address, endpoint: Endpoint, deployed: Deployed) -> None:
    """Say that what was just deployed has no traffic, and how it gets all of it."""
    named = traffic.called(deployed, endpoint.deployed)
    click.echo(
        "            without traffic: `homeport traffic"
        f"{naming(address)} {endpoint.id} {named}=100` gives it everything"
    )


def labels(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Return KEY=VALUE arguments that may be labels; a click callback."""
    given = pairs.parse(ctx, parameter, values)
    try:
        check_labels(given)
    except InvalidArgumentError as error:
        raise click.BadParameter(error.message, param=parameter) from error
    return given


def variables(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Return KEY=VALUE arguments that may be a handler's environment; a callback."""
    given = pairs.parse(ctx, parameter, values)
    for name in given:
        if not _VARIABLE_RE.fullmatch(name):
            raise click.BadParameter(
                f"{name!r}: a name has letters, digits and '_', does not begin with a "
                "digit, and not with AIP_, which is the server's",
                param=parameter,
            )
    return given
