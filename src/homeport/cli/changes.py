"""The options of an update: which fields, which labels."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from homeport.cli import values
from homeport.client.resources import Document

_F = TypeVar("_F", bound=Callable[..., Any])


def label_options(command: _F) -> _F:
    """Add --update-labels, --remove-labels and --clear-labels to a command."""
    for option in (
        click.option("--clear-labels", is_flag=True, help="Take all labels away."),
        click.option(
            "--remove-labels", multiple=True, callback=values.items, metavar="KEY,..."
        ),
        click.option(
            "--update-labels",
            multiple=True,
            callback=values.labels,
            metavar="KEY=VALUE,...",
            help="Set these, keep the others.",
        ),
    ):
        command = option(command)
    return command


_FIELDS: Final = {
    "display_name": "displayName",
    "description": "description",
    "version_description": "versionDescription",
}


def of(given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields that a command's values change, and the mask that names them.

    Labels that are changed one by one are `labels.KEY`; those that go have no value.

    Raises:
        UsageError: Labels are both cleared and removed one by one, or nothing changes.
    """
    if given["clear_labels"] and given["remove_labels"]:
        raise click.UsageError("give either --clear-labels or --remove-labels")
    changed: dict[str, Any] = {
        field: given[name]
        for name, field in _FIELDS.items()
        if given.get(name) is not None
    }
    paths = tuple(changed)
    removed, updated = given["remove_labels"], given["update_labels"]
    if given["clear_labels"]:
        return {**changed, "labels": updated}, (*paths, "labels")
    if removed or updated:
        keys = dict.fromkeys((*removed, *updated))
        changed["labels"] = updated
        paths += tuple(f"labels.`{key}`" for key in keys)
    return changed, paths


def with_whole_labels(
    changed: Mapping[str, Any], paths: tuple[str, ...], current: Document
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the same changes for a resource whose labels are written all at once.

    With the etag of what was read: what others change meanwhile is not undone.
    """
    keys = [path[len("labels.`") : -1] for path in paths if path.startswith("labels.")]
    if not keys:
        return dict(changed), paths
    labels = {**current.get("labels", {}), **changed["labels"]}
    kept = {
        key: value
        for key, value in labels.items()
        if key not in keys or key in changed["labels"]
    }
    others = tuple(path for path in paths if not path.startswith("labels."))
    etag = current.get("etag", "")
    return {**changed, "labels": kept, "etag": etag}, (*others, "labels")
