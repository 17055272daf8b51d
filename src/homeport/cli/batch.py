"""`homeport batch`: batch prediction jobs, which gcloud has no words for.

The options have the names that the API's fields have.
"""

import contextlib
import time
from typing import Any, Final

import click

from homeport.cli import (
    cancelling,
    listing,
    machinespecs,
    options,
    output,
    values,
    waiting,
)
from homeport.cli.cancelling import Kind
from homeport.cli.output import Column, Output
from homeport.client import resources
from homeport.client.connection import Connection
from homeport.client.resources import Document
from homeport.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    HomeportError,
)
from homeport.resources.batch_job import (
    InstancesFormat,
    InstanceType,
    JobState,
    PredictionsFormat,
)

_KIND: Final = "batchPredictionJobs"
_ENDED: Final = frozenset(one.value for one in JobState if one.is_final)
_PAUSE_S: Final = 0.5
_COUNT: Final = click.IntRange(min=1)
_COLUMNS: Final[tuple[Column, ...]] = (
    ("JOB", lambda one: output.last_segment(one["name"])),
    ("DISPLAY NAME", lambda one: one["displayName"]),
    ("STATE", lambda one: one["state"].removeprefix("JOB_STATE_")),
    ("DONE", lambda one: _stats(one).get("successfulCount")),
    ("FAILED", lambda one: _stats(one).get("failedCount")),
    ("MODEL", lambda one: f"{_model(one)}@{one.get('modelVersionId', '')}"),
    ("OUTPUT", lambda one: one.get("outputInfo", {}).get("gcsOutputDirectory")),
)
_CANCELLED: Final = Kind(
    lambda one: str(one["state"]).removeprefix("JOB_STATE_"),
    lambda one: one["state"] in _ENDED,
    "batch wait",
)
_EPILOG: Final = """\b
Examples:
  homeport batch create --display-name night --model digits@production \\
    --gcs-source 'gs://rows/in/*.jsonl' --gcs-destination-prefix gs://rows/out
  homeport batch wait night
"""


@click.group(epilog=_EPILOG)
def batch() -> None:
    """Predict files of instances: make, see, wait for, resume, cancel, delete jobs.

    JOB is an id, a display name or a full name.
    """


@batch.command("create", epilog=_EPILOG)
@click.option("--display-name", required=True)
@click.option("--model", required=True, metavar="MODEL[@VERSION]")
@click.option(
    "--gcs-source", required=True, multiple=True, callback=values.items,
    metavar="gs://...,...", help="A * stands for any characters.",
)  # fmt: skip
@click.option("--gcs-destination-prefix", required=True, metavar="gs://...")
@click.option(
    "--instances-format", type=click.Choice([one.value for one in InstancesFormat]),
    default=InstancesFormat.JSONL.value, show_default=True,
)  # fmt: skip
@click.option(
    "--predictions-format", type=click.Choice([one.value for one in PredictionsFormat]),
    default=PredictionsFormat.JSONL.value, show_default=True,
)  # fmt: skip
@click.option("--instance-type", type=click.Choice([one.value for one in InstanceType]))
@click.option("--key-field", help="Not sent; told in the instance's place.")
@click.option("--included-fields", multiple=True, callback=values.items)
@click.option("--excluded-fields", multiple=True, callback=values.items)
@click.option("--model-parameters", help="JSON, or @FILE that holds it.")
@click.option("--batch-size", type=_COUNT, help="Instances in a request.")
@click.option("--starting-replica-count", type=_COUNT)
@click.option("--max-replica-count", type=_COUNT, help="Kept, without effect.")
@machinespecs.options
@click.option("--labels", multiple=True, callback=values.labels, metavar="KEY=VALUE,..")
@waiting.option
@output.option()
@options.server_options
def create(*, wait: bool, form: Output, **given: Any) -> None:
    """Predict the instances of files and write the predictions to files."""
    if given["included_fields"] and given["excluded_fields"]:
        raise click.UsageError("give either --included-fields or --excluded-fields")
    job = _job(given)
    with options.connection(given) as connection:
        job["model"] = resources.find_version(connection, given["model"])
        there = options.naming(connection.address)
        note = f"the server may have made it: `homeport batch list{there} --limit 1`"
        with waiting.telling(f"{note} shows the newest job"):
            made = connection.post(f"/v1/{connection.address.parent}/{_KIND}", job)
            if not wait:
                click.echo(made["name"])
            if "@" not in given["model"]:
                _tell_version(connection, given["model"], made)
            if wait:
                _finish(connection, made, form, waiting.LONGEST_S)


@batch.command("list")
@listing.options("'state=JOB_STATE_RUNNING'")
@output.option()
@options.server_options
def list_jobs(*, form: Output, **given: Any) -> None:
    """List the jobs, the newest first."""
    asked = listing.asked(given)
    with options.connection(given) as connection:
        path = f"{connection.address.parent}/{_KIND}"
        output.show_list(resources.listed(connection, path, asked), form, _COLUMNS)


@batch.command("describe")
@click.argument("job")
@output.option(Output.YAML)
@options.server_options
def describe(job: str, *, form: Output, **server: str) -> None:
    """Show everything the server tells of JOB."""
    with options.connect(**server) as connection:
        name = resources.find(connection, _KIND, job)
        found = resources.get(connection, name)
    output.show(found, form, _COLUMNS)


@batch.command("wait")
@click.argument("job")
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=waiting.LONGEST_S,
    show_default=True, help="Seconds.",
)  # fmt: skip
@output.option()
@options.server_options
def wait_for(job: str, *, timeout: float, form: Output, **server: str) -> None:
    """Wait until JOB has ended; one without a single prediction is an error."""
    with options.connect(**server) as connection:
        name = resources.find(connection, _KIND, job)
        _finish(connection, resources.get(connection, name), form, timeout)


@batch.command("resume")
@click.argument("job")
@waiting.option
@output.option()
@options.server_options
def resume(job: str, *, wait: bool, form: Output, **server: str) -> None:
    """Let JOB, which has failed, try again.

    Where its failure says that what was predicted is kept, it goes on with that; else
    it begins anew.
    """
    with options.connect(**server) as connection:
        name = resources.find(connection, _KIND, job)
        resumed = connection.post(f"/homeport/v1/{name}:resume", {})
        if wait:
            _finish(connection, resumed, form, waiting.LONGEST_S)
            return
    click.echo(name)


@batch.command("cancel")
@click.argument("job")
@options.server_options
def cancel(job: str, **server: str) -> None:
    """End JOB, and say how it ended; nothing of its output will be there."""
    with options.connect(**server) as connection:
        name = resources.find(connection, _KIND, job)
        cancelling.cancel(connection, name, _CANCELLED)


@batch.command("delete")
@click.argument("job")
@waiting.option
@options.server_options
def delete(job: str, *, wait: bool, **server: str) -> None:
    """Forget JOB, which has ended; its output stays."""
    with options.connect(**server) as connection:
        name = resources.find(connection, _KIND, job)
        operation = connection.delete(f"/v1/{name}")
        ended = waiting.conclude(connection, operation, "it is deleted", wait=wait)
    if ended is not None:
        click.echo(f"deleted     {name}")


def _job(given: dict[str, Any]) -> dict[str, Any]:
    parameters, option = given["model_parameters"], "--model-parameters"
    size = given["batch_size"]
    job = {
        "displayName": given["display_name"],
        "inputConfig": {
            "instancesFormat": given["instances_format"],
            "gcsSource": {"uris": list(given["gcs_source"])},
        },
        "outputConfig": {
            "predictionsFormat": given["predictions_format"],
            "gcsDestination": {"outputUriPrefix": given["gcs_destination_prefix"]},
        },
        "instanceConfig": _said(
            {
                "instanceType": given["instance_type"],
                "keyField": given["key_field"],
                "includedFields": given["included_fields"],
                "excludedFields": given["excluded_fields"],
            }
        ),
        "dedicatedResources": _resources(given),
        "manualBatchTuningParameters": {"batchSize": size} if size else None,
        "modelParameters": parameters
        and values.document(values.content(parameters, option), option),
        "labels": given["labels"],
    }
    return _said(job)


def _resources(given: dict[str, Any]) -> dict[str, Any]:
    return _said(
        {
            "machineSpec": machinespecs.machine_spec(given),
            "startingReplicaCount": given["starting_replica_count"],
            "maxReplicaCount": given["max_replica_count"],
        }
    )


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def _tell_version(connection: Connection, wanted: str, job: Document) -> None:
    """Say which version a plain model name meant, and which others have traffic."""
    taken = job["modelVersionId"]
    click.echo(f"version     {taken}, the default of {wanted}", err=True)
    path = f"{connection.address.parent}/endpoints"
    # The job is made: what fails here is no failure of it.
    with contextlib.suppress(HomeportError):
        others = {
            one["modelVersionId"]
            for endpoint in resources.listed(connection, path)
            for one in endpoint.get("deployedModels", ())
            if one["model"].partition("@")[0] == job["model"].partition("@")[0]
            and endpoint.get("trafficSplit", {}).get(one["id"])
        } - {taken}
        for version in sorted(others, key=int):
            click.echo(
                f"            version {version} has traffic at an endpoint: --model "
                f"{wanted}@{version} predicts with it",
                err=True,
            )


def _finish(
    connection: Connection, job: Document, form: Output, timeout_s: float
) -> None:
    ended = _ended(connection, job, timeout_s)
    if ended["state"] in {JobState.FAILED, JobState.CANCELLED}:
        reason = ended["error"]["message"]
        raise FailedPreconditionError(
            f"{ended['name']} ended as {ended['state']}: {reason}"
        )
    for one in ended.get("partialFailures", ()):
        click.echo(f"warning     {one['message']}", err=True)
    output.show(ended, form, _COLUMNS)


def _ended(connection: Connection, job: Document, timeout_s: float) -> Document:
    """Return a job once it has ended.

    Raises:
        DeadlineExceededError: It has not in time.
    """
    name, deadline = job["name"], time.monotonic() + timeout_s
    there = options.naming(connection.address)
    later = (
        f"{name} goes on in the server: `homeport batch wait{there} "
        f"{output.last_segment(name)}` waits for it, `homeport batch cancel` ends it"
    )
    with waiting.telling(later), waiting.shown(f"{name} runs"):
        while job["state"] not in _ENDED:
            if time.monotonic() > deadline:
                raise DeadlineExceededError(later)
            time.sleep(_PAUSE_S)
            job = resources.get(connection, name)
    return job


def _stats(job: Document) -> dict[str, Any]:
    stats: dict[str, Any] = job.get("completionStats", {})
    return stats


def _model(job: Document) -> str:
    return output.last_segment(job["model"]).partition("@")[0]
