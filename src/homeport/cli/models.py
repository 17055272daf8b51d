"""`homeport models`: what is registered, and its end."""

from typing import Final

import click
from rich.console import Console
from rich.table import Table

from homeport.cli import options
from homeport.client import registry

# Wide enough that no id is ever cut, in a pipe as on a terminal.
_WIDTH: Final = 1000


@click.group()
def models() -> None:
    """See and delete what is registered."""


@models.command("list")
@click.option(
    "--filter",
    "filter_text",
    default="",
    help="""AIP-160, such as 'display_name="digits" AND labels.team=a'.""",
)
@options.server_options
def list_models(filter_text: str, **server: str) -> None:
    """List the models, each as its default version."""
    with options.connect(**server) as connection:
        found = list(registry.models(connection, filter_text))
    _show(found)


@models.command("versions")
@click.argument("model")
@options.server_options
def list_versions(model: str, **server: str) -> None:
    """List the versions of MODEL (name or id)."""
    with options.connect(**server) as connection:
        name = registry.find_model(connection, model)
        found = list(registry.versions(connection, name))
    _show(found)


@models.command("delete")
@click.argument("model", metavar="MODEL[@VERSION]")
@options.server_options
def delete_model(model: str, **server: str) -> None:
    """Delete MODEL (name or id) with all its versions, or one version of it.

    What is deployed cannot be deleted: undeploy it first.
    """
    wanted, at, version = model.partition("@")
    with options.connect(**server) as connection:
        name = registry.find_model(connection, wanted) + at + version
        registry.delete_model(connection, name)
    click.echo(f"deleted     {name}")


def _show(found: list[registry.Model]) -> None:
    table = Table(
        "MODEL", "DISPLAY NAME", "VERSION", "ALIASES", "LABELS", "UPDATED", box=None
    )
    for model in found:
        table.add_row(
            model.name.rpartition("/")[2],
            model.display_name,
            model.version,
            ", ".join(model.aliases),
            ", ".join(f"{key}={value}" for key, value in model.labels.items()),
            model.update_time,
        )
    Console(width=_WIDTH).print(table)
