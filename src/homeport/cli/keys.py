"""`homeport keys`: the keys of service accounts."""

import datetime as dt
import json
from pathlib import Path
from typing import Final

import click

from homeport.cli import datadir, writing
from homeport.client.session import DEFAULT_PROJECT, DEFAULT_URL
from homeport.errors import AlreadyExistsError, PermissionDeniedError
from homeport.identity.accounts import AccountKeys, PrivateFile

_EPILOG: Final = """\b
Examples:
  homeport keys create --output key.json
  export GOOGLE_APPLICATION_CREDENTIALS=$PWD/key.json
"""
_data_dir = datadir.option(exists=False)


@click.group(epilog=_EPILOG)
def keys() -> None:
    """Make the keys by which programs say who they are."""


@keys.command(epilog=_EPILOG)
@_data_dir
@click.option("--name", default="default", show_default=True, help="The account.")
@click.option(
    "--url",
    envvar="HOMEPORT_URL",
    default=DEFAULT_URL,
    show_default=True,
    show_envvar=True,
    help="The server, as programs with the key reach it.",
)
@click.option(
    "--project", envvar="HOMEPORT_PROJECT", default=DEFAULT_PROJECT, show_default=True
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("homeport-key.json"),
    show_default=True,
    help="Where the key is written; must not be there yet.",
)
def create(data_dir: Path, name: str, url: str, project: str, output: Path) -> None:
    """Write a key of a service account, as Google's clients read it.

    A server that runs knows it at once.
    """
    if output.exists():
        raise AlreadyExistsError(f"{output} is there: choose another --output")
    keys_there = AccountKeys(data_dir / "keys")
    with writing.naming(data_dir, "--data-dir"):
        key, private_key = keys_there.create(name, _now())
    base_url = url.rstrip("/")
    document = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": key.id,
        "private_key": private_key,
        "client_email": key.email,
        "client_id": key.id,
        "token_uri": f"{base_url}/token",
        # What obstore takes for the address of the store.
        "gcs_base_url": base_url,
    }
    try:
        with writing.naming(output, "--output"), PrivateFile(output) as file:
            file.write(json.dumps(document, indent=2).encode())
    except PermissionDeniedError:
        keys_there.delete(key.id)
        raise
    click.echo(f"Key {key.id} of {key.email} is in {output}.", err=True)
    click.echo(f"GOOGLE_APPLICATION_CREDENTIALS={output.absolute()}")


@keys.command(name="list")
@_data_dir
def list_keys(data_dir: Path) -> None:
    """List the keys that a server takes."""
    for key in AccountKeys(data_dir / "keys").list():
        click.echo(f"{key.id}  {key.email}  {key.create_time:%Y-%m-%d %H:%M}")


@keys.command()
@_data_dir
@click.argument("key_id")
def delete(data_dir: Path, key_id: str) -> None:
    """Forget a key: what it signed is refused from now on."""
    AccountKeys(data_dir / "keys").delete(key_id)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
