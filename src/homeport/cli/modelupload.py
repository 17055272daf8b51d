"""`homeport models upload` and `copy`: how versions come to be."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from homeport.cli import explanations, options, output, values, waiting
from homeport.cli.output import Output
from homeport.client import resources
from homeport.client.connection import Connection
from homeport.errors import InvalidArgumentError

_F = TypeVar("_F", bound=Callable[..., Any])
_EPILOG: Final = """\b
Examples:
  homeport models upload --display-name digits --artifact-uri gs://models/digits/1
  homeport models upload --display-name digits --artifact-uri gs://models/digits/2 \\
    --parent-model digits --version-aliases candidate,default
"""
_SECONDS: Final = click.IntRange(min=1)


def _container_options(command: _F) -> _F:
    for option in (
        _listed("--container-command", values.items, "ARG,..."),
        _listed("--container-args", values.items, "ARG,..."),
        _listed("--container-env-vars", values.pairs, "KEY=VALUE,..."),
        _listed("--container-ports", values.ports, "PORT,..."),
        _listed("--container-grpc-ports", values.ports, "PORT,..."),
        click.option("--container-predict-route"),
        click.option("--container-health-route"),
        click.option("--container-deployment-timeout-seconds", type=_SECONDS),
        click.option("--container-shared-memory-size-mb", type=click.IntRange(min=1)),
        _listed("--container-startup-probe-exec", values.items, "ARG,..."),
        click.option("--container-startup-probe-period-seconds", type=_SECONDS),
        click.option("--container-startup-probe-timeout-seconds", type=_SECONDS),
        _listed("--container-health-probe-exec", values.items, "ARG,..."),
        click.option("--container-health-probe-period-seconds", type=_SECONDS),
        click.option("--container-health-probe-timeout-seconds", type=_SECONDS),
    ):
        command = option(command)
    return command


def _listed(name: str, read: Callable[..., Any], metavar: str) -> Callable[[_F], _F]:
    return click.option(name, multiple=True, callback=read, metavar=metavar)


@click.command("upload", epilog=_EPILOG)
@click.option("--display-name", required=True)
@click.option("--artifact-uri", help="A folder or one object: gs://BUCKET/PATH.")
@click.option("--container-image-uri", help="Without it, our worker runs the archive.")
@click.option("--description", help="Of the model.")
@click.option("--version-description")
@_listed("--version-aliases", values.items, "ALIAS,...")
@_listed("--labels", values.labels, "KEY=VALUE,...")
@click.option("--model-id", help="Of a new model; chosen by the server if absent.")
@click.option("--parent-model", help="Name or id: the model that gets a version.")
@_container_options
@explanations.spec_options
@waiting.option
@output.option()
@options.server_options
def upload(*, wait: bool, form: Output, parent_model: str | None, **given: Any) -> None:
    """Register what lies at an address as a model, or as a version of one.

    The display name alone never makes a version: say --parent-model, or let `homeport
    deploy` do it.
    """
    if given["model_id"] and parent_model:
        raise click.UsageError(
            "give either --model-id, for a new model, or --parent-model"
        )
    _check_address(given["artifact_uri"])
    with options.connection(given) as connection:
        request: dict[str, Any] = {"model": _model(given)}
        if given["model_id"]:
            request["modelId"] = given["model_id"]
        if parent_model:
            parent = resources.find(connection, "models", parent_model)
            request["parentModel"] = parent
        path = f"/v1/{connection.address.parent}/models:upload"
        with waiting.beginning(connection):
            operation = connection.post(path, request)
            _conclude(connection, operation, form, wait=wait)


@click.command("copy")
@click.option("--source-model", required=True, metavar="MODEL[@VERSION]")
@click.option("--destination-model-id", help="Of the copy, a new model.")
@click.option("--destination-parent-model", help="The model that gets a version.")
@click.option("--kms-key-name", help="Kept; nothing is encrypted by it.")
@waiting.option
@output.option()
@options.server_options
def copy(*, wait: bool, form: Output, **given: Any) -> None:
    """Copy a version to --region of --project, without moving bytes.

    A source that is named by less than its full name is looked for there too.
    """
    new_id, parent = given["destination_model_id"], given["destination_parent_model"]
    if new_id and parent:
        raise click.UsageError(
            "give either --destination-model-id or --destination-parent-model"
        )
    with options.connection(given) as connection:
        source = resources.find_version(connection, given["source_model"])
        request: dict[str, Any] = {"sourceModel": source}
        if new_id:
            request["modelId"] = new_id
        if parent:
            request["parentModel"] = resources.find(connection, "models", parent)
        if given["kms_key_name"]:
            request["encryptionSpec"] = {"kmsKeyName": given["kms_key_name"]}
        path = f"/v1/{connection.address.parent}/models:copy"
        with waiting.beginning(connection):
            operation = connection.post(path, request)
            _conclude(connection, operation, form, wait=wait)


def _conclude(
    connection: Connection, operation: Mapping[str, Any], form: Output, *, wait: bool
) -> None:
    ended = waiting.conclude(
        connection,
        operation,
        "the server checks it; a new environment takes a while",
        wait=wait,
    )
    if ended is None:
        return
    response = ended["response"]
    name = f"{response['model']}@{response['modelVersionId']}"
    if form is Output.TABLE:
        click.echo(f"registered  {name}")
    elif form is Output.NAME:
        click.echo(name)
    else:
        output.show_document(resources.get(connection, name), form)


def _check_address(uri: str | None) -> None:
    """Refuse what is a file of this machine, or nothing: the server sees neither."""
    if uri is None or "://" in uri:
        return
    where = f"--artifact-uri {uri!r:.100} is no address of a bucket"
    if uri.endswith(".mar") and Path(uri).is_file():
        raise InvalidArgumentError(
            f"{where}: `homeport deploy {shlex.quote(uri)}` uploads, registers and "
            "deploys a file, `homeport storage cp` brings it to a bucket"
        )
    raise InvalidArgumentError(
        f"{where}: give gs://BUCKET/PATH; `homeport storage cp` brings files there"
    )


def _model(given: Mapping[str, Any]) -> dict[str, Any]:
    words = {
        "displayName": given["display_name"],
        "description": given["description"],
        "versionDescription": given["version_description"],
        "versionAliases": given["version_aliases"],
        "labels": given["labels"],
        "artifactUri": given["artifact_uri"],
        "containerSpec": _container(given),
        "explanationSpec": explanations.spec(given),
    }
    return {key: value for key, value in words.items() if value}


def _container(given: Mapping[str, Any]) -> dict[str, Any]:
    def of(name: str) -> Any:
        return given[f"container_{name}"]

    seconds = of("deployment_timeout_seconds")
    memory = of("shared_memory_size_mb")
    if memory and not of("image_uri"):
        raise InvalidArgumentError(
            "--container-shared-memory-size-mb is of a container: give "
            "--container-image-uri too"
        )
    spec = {
        "imageUri": of("image_uri"),
        "command": of("command"),
        "args": of("args"),
        "env": [{"name": key, "value": of("env_vars")[key]} for key in of("env_vars")],
        "ports": [{"containerPort": port} for port in of("ports")],
        "grpcPorts": [{"containerPort": port} for port in of("grpc_ports")],
        "predictRoute": of("predict_route"),
        "healthRoute": of("health_route"),
        "deploymentTimeout": f"{seconds}s" if seconds else None,
        "sharedMemorySizeMb": str(memory) if memory else None,
        "startupProbe": _probe(given, "startup"),
        "healthProbe": _probe(given, "health"),
    }
    return {key: value for key, value in spec.items() if value}


def _probe(given: Mapping[str, Any], kind: str) -> dict[str, Any]:
    prefix = f"container_{kind}_probe_"
    command = given[prefix + "exec"]
    probe = {
        "exec": {"command": command} if command else None,
        "periodSeconds": given[prefix + "period_seconds"],
        "timeoutSeconds": given[prefix + "timeout_seconds"],
    }
    return {key: value for key, value in probe.items() if value}
