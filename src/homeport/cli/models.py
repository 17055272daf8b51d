"""`homeport models`: what is registered, as `gcloud ai models` has it, and more."""

from collections.abc import Iterable
from typing import Any, Final

import click

from homeport.cli import changes, listing, options, output, values, waiting
from homeport.cli.evaluations import evaluations
from homeport.cli.modelcheck import check
from homeport.cli.modelcompare import compare
from homeport.cli.modelexport import export
from homeport.cli.modelhistory import history
from homeport.cli.modellineage import lineage, readme
from homeport.cli.modelupload import copy, upload
from homeport.cli.output import Column, Output
from homeport.client import resources
from homeport.client.connection import Connection
from homeport.client.resources import Document
from homeport.errors import InvalidArgumentError, NotFoundError

_COLUMNS: Final[tuple[Column, ...]] = (
    ("MODEL", lambda one: output.last_segment(one["name"]).partition("@")[0]),
    ("DISPLAY NAME", lambda one: one["displayName"]),
    ("VERSION", lambda one: one["versionId"]),
    ("ALIASES", lambda one: ", ".join(one.get("versionAliases", ()))),
    ("LABELS", lambda one: output.joined(one.get("labels"))),
    ("UPDATED", lambda one: one["versionUpdateTime"]),
)
_VERSION: Final = "MODEL[@VERSION]"


@click.group()
def models() -> None:
    """Register, see, change and delete models and their versions.

    MODEL is an id, a display name or a full name; VERSION an id or an alias, the
    default version if left out.
    """


@models.command("list")
@listing.options("""'display_name="digits" AND labels.team=a'""")
@output.option()
@options.server_options
def list_models(*, form: Output, **given: Any) -> None:
    """List the models, each as its default version."""
    asked = listing.asked(given)
    with options.connection(given) as connection:
        path = f"{connection.address.parent}/models"
        _show(resources.listed(connection, path, asked), form)


@models.command("list-version")
@click.argument("model")
@listing.options("version_aliases:production")
@output.option()
@options.server_options
def list_version(model: str, *, form: Output, **given: Any) -> None:
    """List the versions of MODEL, oldest first."""
    asked = listing.asked(given)
    with options.connection(given) as connection:
        path = f"{resources.find(connection, 'models', model)}:listVersions"
        _show(resources.listed(connection, path, asked), form)


@models.command("describe")
@click.argument("model", metavar=_VERSION)
@output.option(Output.YAML)
@options.server_options
def describe(model: str, form: Output, **server: str) -> None:
    """Show everything the server tells of a version."""
    with options.connect(**server) as connection:
        found = _get(connection, model)
    _show_one(found, form)


@models.command("update")
@click.argument("model", metavar=_VERSION)
@click.option("--display-name", help="Of the model.")
@click.option("--description", help="Of the model.")
@click.option("--version-description", help="Of the version that is named.")
@changes.label_options
@output.option()
@options.server_options
def update(model: str, *, form: Output, **given: Any) -> None:
    """Change the words and labels of MODEL, or of the one version that is named."""
    changed, paths = changes.of(given)
    if not paths:
        raise click.UsageError("nothing to change: give --description or another")
    with options.connection(given) as connection:
        name = resources.find_version(connection, model)
        found = connection.patch(f"/v1/{name}", changed, updateMask=",".join(paths))
    _show_one(found, form)


@models.command("aliases")
@click.argument("model", metavar=_VERSION)
@click.option(
    "--add", multiple=True, callback=values.items, metavar="ALIAS,...",
    help="Give these to the version; who had them has them no more.",
)  # fmt: skip
@click.option(
    "--remove", multiple=True, callback=values.items, metavar="ALIAS,...",
    help="Take these from the version.",
)  # fmt: skip
@output.option()
@options.server_options
def aliases(
    model: str, *, add: tuple[str, ...], remove: tuple[str, ...], **given: Any
) -> None:
    """Show which versions of MODEL have aliases, or move those of one version."""
    form = given.pop("form")
    both = sorted({*add} & {*remove})
    if both:
        raise click.UsageError(f"{both[0]!r} is to be added and removed: give one")
    with options.connect(**given) as connection:
        name = resources.find_version(connection, model)
        if not add and not remove:
            path = f"{name.partition('@')[0]}:listVersions"
            _show(
                (
                    one
                    for one in resources.listed(connection, path)
                    if one.get("versionAliases")
                ),
                form,
            )
            return
        if "@" not in name:
            raise InvalidArgumentError(
                f"{model!r} names no version to move aliases of: give {model}@VERSION"
            )
        _check_carried(resources.get(connection, name), remove)
        moved = [*add, *(f"-{alias}" for alias in remove)]
        found = connection.post(
            f"/v1/{name}:mergeVersionAliases", {"versionAliases": moved}
        )
    _show_one(found, form)


@models.command("delete-version")
@click.argument("version", metavar="MODEL@VERSION")
@waiting.option
@options.server_options
def delete_version(version: str, *, wait: bool, **server: str) -> None:
    """Delete one version, by its id or an alias.

    Not the default version, and none that is deployed.
    """
    if "@" not in version:
        raise click.UsageError(
            f"{version!r} names no version: give MODEL@VERSION, or delete the whole "
            "model with `homeport models delete`"
        )
    with options.connect(**server) as connection:
        name = resources.find_version(connection, version)
        # The server wants the id: what an alias means may move.
        model, _, _ = name.partition("@")
        name = f"{model}@{resources.get(connection, name)['versionId']}"
        _delete(connection, f"{name}:deleteVersion", name, wait=wait)


@models.command("delete")
@click.argument("model")
@waiting.option
@options.server_options
def delete(model: str, *, wait: bool, **server: str) -> None:
    """Delete MODEL with all its versions.

    What is deployed cannot be deleted: undeploy it first.
    """
    if "@" in model:
        raise click.UsageError(
            f"{model!r} is one version: delete it with `homeport models delete-version`"
        )
    with options.connect(**server) as connection:
        name = resources.find(connection, "models", model)
        _delete(connection, name, name, wait=wait)


for _command in (
    upload,
    copy,
    export,
    compare,
    history,
    lineage,
    readme,
    check,
    evaluations,
):
    models.add_command(_command)


def _check_carried(version: Document, aliases: tuple[str, ...]) -> None:
    carried = version.get("versionAliases", ())
    for alias in aliases:
        if alias not in carried:
            raise NotFoundError(
                f"version {version['versionId']} has no alias {alias!r}: it has "
                f"{', '.join(carried) or 'none'}"
            )


def _delete(connection: Connection, path: str, name: str, *, wait: bool) -> None:
    operation = connection.delete(f"/v1/{path}")
    if waiting.conclude(connection, operation, "it is deleted", wait=wait) is not None:
        click.echo(f"deleted     {name}")


def _get(connection: Connection, wanted: str) -> dict[str, Any]:
    return resources.get(connection, resources.find_version(connection, wanted))


def _show(found: Iterable[Document], form: Output) -> None:
    output.show_list(found, form, _COLUMNS)


def _show_one(found: Document, form: Output) -> None:
    output.show(found, form, _COLUMNS)
