"""`homeport models evaluations`: what was measured of a version."""

from collections.abc import Mapping
from typing import Any, Final

import click

from homeport.cli import listing, options, output, values
from homeport.cli.output import Column, Output
from homeport.client import resources
from homeport.client.connection import Connection
from homeport.errors import InvalidArgumentError

_EPILOG: Final = """\b
Examples:
  homeport models evaluations import digits@2 --metrics '{"accuracy": 0.97}'
  homeport models evaluations import digits@2 --metrics @metrics.json
  homeport models evaluations list digits@2
"""
_VERSION: Final = "MODEL[@VERSION]"
_COLUMNS: Final[tuple[Column, ...]] = (
    ("EVALUATION", lambda one: output.last_segment(one["name"])),
    ("DISPLAY NAME", lambda one: one.get("displayName")),
    ("METRICS", lambda one: _metrics(one.get("metrics"))),
    ("CREATED", lambda one: one.get("createTime")),
)
_SLICE_COLUMNS: Final[tuple[Column, ...]] = (
    ("SLICE", lambda one: output.last_segment(one["name"])),
    ("DIMENSION", lambda one: one.get("slice", {}).get("dimension")),
    ("VALUE", lambda one: one.get("slice", {}).get("value")),
    ("METRICS", lambda one: _metrics(one.get("metrics"))),
)


@click.group(epilog=_EPILOG)
def evaluations() -> None:
    """Keep and see what was measured of a version; nothing is computed here.

    EVALUATION is an id, as a list shows it.
    """


@evaluations.command("import", epilog=_EPILOG)
@click.argument("model", metavar=_VERSION)
@click.option("--metrics", required=True, help="A JSON object, or @FILE that holds it.")
@click.option("--display-name", default="")
@click.option("--metrics-schema-uri", default="", help="What the metrics mean.")
@output.option()
@options.server_options
def import_evaluation(
    model: str,
    *,
    metrics: str,
    display_name: str,
    metrics_schema_uri: str,
    form: Output,
    **server: str,
) -> None:
    """Keep what was measured of a version."""
    measured = _object(metrics, "--metrics", '{"accuracy": 0.97}')
    said = {"displayName": display_name, "metricsSchemaUri": metrics_schema_uri}
    evaluation = {key: value for key, value in said.items() if value}
    request = {"modelEvaluation": {**evaluation, "metrics": measured}}
    with options.connect(**server) as connection:
        path = f"/v1/{resources.find_version(connection, model)}/evaluations:import"
        made = connection.post(path, request)
    output.show(made, form, _COLUMNS)


@evaluations.command("list")
@click.argument("model", metavar=_VERSION)
@listing.options("""'display_name="test set"'""")
@output.option()
@options.server_options
def list_evaluations(model: str, *, form: Output, **given: Any) -> None:
    """List what was measured of a version, oldest first."""
    asked = listing.asked(given)
    with options.connection(given) as connection:
        path = f"{resources.find_version(connection, model)}/evaluations"
        output.show_list(resources.listed(connection, path, asked), form, _COLUMNS)


@evaluations.command("describe")
@click.argument("model", metavar=_VERSION)
@click.argument("evaluation")
@output.option(Output.YAML)
@options.server_options
def describe(model: str, evaluation: str, *, form: Output, **server: str) -> None:
    """Show everything the server tells of EVALUATION."""
    with options.connect(**server) as connection:
        found = resources.get(connection, _name(connection, model, evaluation))
    output.show(found, form, _COLUMNS)


@evaluations.command("import-slices")
@click.argument("model", metavar=_VERSION)
@click.argument("evaluation")
@click.option(
    "--slices",
    required=True,
    help="A JSON list of 1 to 50, or @FILE that holds it, such as "
    '[{"slice": {"dimension": "digit", "value": "7"}, "metrics": {"recall": 0.9}}].',
)
@options.server_options
def import_slices(model: str, evaluation: str, *, slices: str, **server: str) -> None:
    """Keep what was measured of parts of the data, all of them or none."""
    measured = values.document(values.content(slices, "--slices"), "--slices")
    if not isinstance(measured, list) or not measured:
        raise InvalidArgumentError("--slices: give a JSON list; --help has one")
    with options.connect(**server) as connection:
        path = f"/v1/{_name(connection, model, evaluation)}/slices:batchImport"
        made = connection.post(path, {"modelEvaluationSlices": measured})
    for name in made["importedModelEvaluationSlices"]:
        click.echo(f"kept        {name}")


@evaluations.command("list-slices")
@click.argument("model", metavar=_VERSION)
@click.argument("evaluation")
@listing.options("slice.dimension=digit")
@output.option()
@options.server_options
def list_slices(model: str, evaluation: str, *, form: Output, **given: Any) -> None:
    """List what was measured of parts of the data, oldest first."""
    asked = listing.asked(given)
    with options.connection(given) as connection:
        path = f"{_name(connection, model, evaluation)}/slices"
        found = resources.listed(connection, path, asked)
        output.show_list(found, form, _SLICE_COLUMNS)


def _name(connection: Connection, model: str, evaluation: str) -> str:
    version = resources.find_version(connection, model)
    return f"{version}/evaluations/{evaluation}"


def _object(text: str, option: str, example: str) -> dict[str, Any]:
    document = values.document(values.content(text, option), option)
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"{option}: give a JSON object such as {example}")
    return document


def _metrics(metrics: object) -> str:
    """Return the numbers, texts and truths of metrics, as a cell."""
    if not isinstance(metrics, Mapping):
        return ""
    told = {
        key: value
        for key, value in metrics.items()
        if isinstance(value, str | int | float)
    }
    return output.joined(told)
