"""`homeport tls`: the certificates of a server."""

import datetime as dt
from pathlib import Path
from typing import Final

import click

from homeport.cli import datadir, writing
from homeport.identity import certificates
from homeport.identity.certificates import Certificates

_EPILOG: Final = """\b
Examples:
  homeport tls init
  homeport serve --tls-port 8443
Then, where clients run, tell them what to trust:
  export $(homeport tls env)
"""
_data_dir = datadir.option(exists=False)


@click.group(epilog=_EPILOG)
def tls() -> None:
    """Make certificates, so that clients can speak HTTPS to a server."""


@tls.command(epilog=_EPILOG)
@_data_dir
@click.option(
    "--host",
    "hosts",
    multiple=True,
    help="A name or address beside localhost; may be repeated.",
)
@click.option(
    "--new-ca", is_flag=True, help="Make a new CA too: clients need its bundle."
)
def init(data_dir: Path, hosts: tuple[str, ...], *, new_ca: bool) -> None:
    """Make a CA of this install, and sign a certificate for the server with it.

    Run it again to renew the certificate; the CA stays, and clients need nothing new.
    The variables that clients need are printed as NAME=value lines.
    """
    with writing.naming(data_dir, "--data-dir"):
        made = certificates.initialize(data_dir / "tls", hosts, _now(), new_ca=new_ca)
    click.echo(
        f"The server's certificate is for {', '.join(made.hosts)} until "
        f"{made.expires:%Y-%m-%d}.",
        err=True,
    )
    click.echo("Next: homeport serve --tls-port 8443", err=True)
    _show(made)


@tls.command()
@_data_dir
def env(data_dir: Path) -> None:
    """Print the variables that clients need, as NAME=value lines."""
    _show(certificates.find(data_dir / "tls", _now()))


def _show(made: Certificates) -> None:
    for name, value in made.variables():
        click.echo(f"{name}={value}")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
