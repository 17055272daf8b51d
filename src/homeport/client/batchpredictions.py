"""Batch prediction jobs as a Python program uses them."""

import dataclasses
import datetime as dt
import os
import pathlib
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, final

import orjson

from homeport.client import instances as requests
from homeport.client import (
    objects,
    refusals,
    registry,
    resources,
    results,
    staging,
    uploading,
)
from homeport.client.connection import Connection
from homeport.client.results import ModelVersion
from homeport.client.tables import Listing, Row
from homeport.client.uploading import Target
from homeport.errors import (
    Code,
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    UnavailableError,
)

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0
# A server that is started again goes on with its jobs.
_PATIENCE_S: Final = 60.0
_RESULTS: Final = "prediction.results"
_ERRORS: Final = "prediction.errors_stats"

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclasses.dataclass(frozen=True, slots=True)
class BatchJob(Row):
    """A batch prediction job, as it was when it was asked for.

    Attributes:
        resource_name: Full name.
        display_name: For people.
        state: Such as JOB_STATE_RUNNING.
        model: Full name of the version it predicts with.
        output_folder: `gs://` folder of its output; "" until it has ended.
        successful: Instances with a prediction so far.
        failed: Instances with an error so far.
        error: Why it failed; "" if it did not.
        create_time: When it was asked for.
        has_ended: Whether it has, well or not.
        error_code: The google.rpc code of `error`, 0 without one.
    """

    resource_name: str
    display_name: str
    state: str
    model: str
    output_folder: str
    successful: int
    failed: int
    error: str
    create_time: dt.datetime
    has_ended: bool
    error_code: int = 0

    @property
    def id(self) -> str:
        """The last segment of its name."""
        return self.resource_name.rpartition("/")[2]

    def cells(self) -> Mapping[str, object]:
        """Return what a table shows."""
        return {
            "job": self.display_name,
            "id": self.id,
            "state": self.state.removeprefix("JOB_STATE_").lower(),
            "predicted": self.successful,
            "failed": self.failed,
            "output": self.output_folder,
            "created": self.create_time,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class BatchResult:
    """One line of a job's output.

    Attributes:
        instance: As it was sent, or its key.
        prediction: What the model said; None for an error.
        error: Why there is none; "" if there is one.
    """

    instance: Any
    prediction: Any
    error: str = ""


@final
class BatchPredictions:
    """The batch prediction jobs of one server; `ModelRegistry.batch_predictions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(  # noqa: PLR0913  # what Vertex AI's own takes, by the same names
        self,
        model: str | ModelVersion,
        source: Source = "",
        *,
        instances: Iterable[object] | None = None,
        destination: str = "",
        display_name: str = "",
        instances_format: str = "jsonl",
        predictions_format: str = "jsonl",
        model_parameters: object = None,
        instance_config: Mapping[str, object] | None = None,
        starting_replica_count: int = 1,
        batch_size: int = 0,
    ) -> BatchJob:
        """Ask for a job and return it; it goes on by itself.

        Args:
            model: The version, as `ModelRegistry` names it.
            source: `gs://` addresses or local files, which are uploaded.
            instances: In place of a source: lists, dicts, arrays, one for each
                prediction; they are streamed to the server.
            destination: `gs://` prefix of the output folder; one of the server's own
                buckets without.
            display_name: For people; the model's without.
            instances_format: jsonl, csv, tf-record, tf-record-gzip or file-list.
            predictions_format: jsonl or csv.
            model_parameters: Of the model.
            instance_config: `keyField`, `includedFields`, `excludedFields` ...
            starting_replica_count: So many replicas work on it.
            batch_size: Instances in one request; 0 lets the server find out.
        """
        found = self._version(model)
        uris = self._uris(source, instances)
        if not destination:
            staging.make_bucket(self._connection)
            destination = f"{self._own_folder()}/predictions"
        job: dict[str, Any] = {
            "displayName": display_name or found.display_name,
            "model": found.versioned_name,
            "inputConfig": {
                "instancesFormat": instances_format,
                "gcsSource": {"uris": uris},
            },
            "outputConfig": {
                "predictionsFormat": predictions_format,
                "gcsDestination": {"outputUriPrefix": destination},
            },
            "instanceConfig": dict(instance_config or {}),
            "dedicatedResources": {"startingReplicaCount": starting_replica_count},
            "manualBatchTuningParameters": {"batchSize": batch_size},
        }
        if model_parameters is not None:
            job["modelParameters"] = model_parameters
        body = requests.encoded(job)
        return _job(orjson.loads(self._connection.post_bytes(self._path(), body)))

    def list_jobs(
        self,
        filter: str = "",  # noqa: A002  # Vertex AI's name for it
    ) -> Listing[BatchJob]:
        """Return the jobs, newest first."""
        path = self._path().removeprefix("/v1/")
        found = resources.listed(self._connection, path, resources.Listing(filter))
        return Listing(tuple(map(_job, found)))

    def get(self, job: str | BatchJob) -> BatchJob:
        """Return a job, by full name or id, as it is now."""
        return _job(self._connection.get(self._path(job)))

    def wait(
        self,
        job: str | BatchJob,
        timeout_s: float = 86_400.0,
        on_progress: Callable[[BatchJob], None] | None = None,
    ) -> BatchJob:
        """Return a job once it has ended well.

        Args:
            job: Which.
            timeout_s: How long to wait.
            on_progress: Called with the job each time it was asked after.

        Raises:
            HomeportError: It failed; the class and the sentence say why.
            CancelledError: It was cancelled.
            DeadlineExceededError: It has not ended in time; it goes on in the server.
        """
        deadline = time.monotonic() + timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            found = self._patiently(job, deadline)
            if on_progress is not None:
                on_progress(found)
            if found.has_ended:
                return _ended_well(found)
            if time.monotonic() > deadline:
                raise DeadlineExceededError(
                    f"{found.resource_name} has not ended within {timeout_s:g} s: it "
                    "goes on in the server"
                )
            try:
                time.sleep(pause_s)
            except KeyboardInterrupt as interrupt:
                interrupt.add_note(f"{found.resource_name} goes on in the server")
                raise
            pause_s = min(1.5 * pause_s, _LONGEST_PAUSE_S)

    def cancel(self, job: str | BatchJob) -> None:
        """End a job; nothing of its output will be there."""
        self._connection.post(f"{self._path(job)}:cancel", {})

    def resume(self, job: str | BatchJob) -> BatchJob:
        """Let a job that has failed try again; what is kept of it is not done twice.

        Raises:
            FailedPreconditionError: It has not failed, or its output is there.
        """
        path = self._path(job).replace("/v1/", "/homeport/v1/", 1)
        return _job(self._connection.post(f"{path}:resume", {}))

    def logs(self, job: str | BatchJob, lines: int = 100) -> list[str]:
        """Return the last lines that a job's replicas printed."""
        name = self._path(job).removeprefix("/v1/")
        return registry.job_logs(self._connection, name, lines)

    def delete(self, job: str | BatchJob) -> None:
        """Delete a job that has ended; its output stays."""
        self._connection.wait(self._connection.delete(self._path(job)))

    def results(self, job: str | BatchJob) -> Iterator[BatchResult]:
        """Yield what a job that has ended wrote as jsonl, in the order of its input.

        Raises:
            FailedPreconditionError: It has no output yet, or as csv.
        """
        for line in self._lines(job, _RESULTS):
            yield BatchResult(line.get("instance", line.get("key")), line["prediction"])

    def errors(self, job: str | BatchJob) -> Iterator[BatchResult]:
        """Yield the instances that have no prediction, each with the reason.

        Raises:
            FailedPreconditionError: It has no output yet, or as csv.
        """
        for line in self._lines(job, _ERRORS):
            instance = line.get("instance", line.get("key"))
            yield BatchResult(instance, None, line["error"]["message"])

    def _lines(self, job: str | BatchJob, name: str) -> Iterator[dict[str, Any]]:
        found = self.get(job)
        if not found.output_folder:
            raise FailedPreconditionError(
                f"{found.resource_name} has no output, it is {found.state}: wait for it"
            )
        bucket, folder = objects.parse_uri(found.output_folder)
        prefix = f"{folder.rstrip('/')}/{name}"
        for one in objects.listed(self._connection, bucket, prefix):
            for line in objects.lines(self._connection, bucket, one.name):
                yield _parsed(line, one.name)

    def _version(self, model: str | ModelVersion) -> ModelVersion:
        if isinstance(model, ModelVersion):
            return model
        return results.model_version(resources.found_version(self._connection, model))

    def _uris(self, source: Source, instances: Iterable[object] | None) -> list[str]:
        if (instances is None) is (not source):
            raise InvalidArgumentError(
                "a job reads one of two: give source, addresses or files, or instances"
            )
        if instances is not None:
            return [self._spooled(instances)]
        several = [source] if isinstance(source, str | os.PathLike) else source
        return [self._uri(one) for one in several]

    def _uri(self, source: str | os.PathLike[str]) -> str:
        if isinstance(source, str) and "://" in source:
            return source
        path = pathlib.Path(source)
        if not path.is_file():
            raise InvalidArgumentError(
                f"{path} is no file: give gs:// addresses or files of instances"
            )
        return staging.stage(self._connection, path, _quiet)

    def _spooled(self, instances: Iterable[object]) -> str:
        """Write instances to a file and upload it; memory does not grow with them."""
        staging.make_bucket(self._connection)
        with tempfile.TemporaryDirectory(prefix="homeport-") as folder:
            file = pathlib.Path(folder) / "instances.jsonl"
            with file.open("wb") as stream:
                stream.writelines(requests.lines(instances))
            bucket, prefix = objects.parse_uri(self._own_folder())
            name = f"{prefix}/instances/{secrets.token_hex(8)}.jsonl"
            target = Target(bucket, name)
            uploading.upload(self._connection, file, target, _quiet)
            return target.uri

    def _own_folder(self) -> str:
        return f"gs://{staging.BUCKET}/{self._connection.address.project}"

    def _path(self, job: str | BatchJob = "") -> str:
        path = f"/v1/{self._connection.address.parent}/batchPredictionJobs"
        if isinstance(job, BatchJob):
            return f"/v1/{job.resource_name}"
        if job.startswith("projects/"):
            return f"/v1/{resources.quoted(job)}"
        return f"{path}/{resources.quoted(job)}" if job else path

    def _patiently(self, job: str | BatchJob, deadline: float) -> BatchJob:
        """Return a job, also if the server is being started again."""
        patience = min(deadline, time.monotonic() + _PATIENCE_S)
        while True:
            try:
                return self.get(job)
            except UnavailableError:
                if time.monotonic() > patience:
                    raise
                time.sleep(_LONGEST_PAUSE_S / 4)


def _job(found: Mapping[str, Any]) -> BatchJob:
    stats = found.get("completionStats", {})
    error = found.get("error", {})
    return BatchJob(
        resource_name=found["name"],
        display_name=found.get("displayName", ""),
        state=found["state"],
        model=f"{found['model'].partition('@')[0]}@{found['modelVersionId']}",
        output_folder=found.get("outputInfo", {}).get("gcsOutputDirectory", ""),
        successful=int(stats.get("successfulCount", 0)),
        failed=int(stats.get("failedCount", 0)),
        error=error.get("message", ""),
        create_time=results.when(found.get("createTime")),
        has_ended="endTime" in found,
        error_code=error.get("code", 0),
    )


def _ended_well(job: BatchJob) -> BatchJob:
    if job.state == "JOB_STATE_CANCELLED":
        raise refusals.of_code(Code.CANCELLED, f"{job.resource_name} was cancelled")
    if job.error_code:
        raise refusals.of_code(job.error_code, job.error)
    return job


def _parsed(line: bytes, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(line)
    except ValueError as error:
        raise FailedPreconditionError(
            f"{name} is not jsonl: read csv output as an object of its bucket"
        ) from error
    return found


def _quiet(sent: int, total: int) -> None:
    del sent, total
