"""A batch prediction, from asking for it to its end."""

import dataclasses
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from google.auth.credentials import Credentials
from google.cloud import aiplatform_v1
from google.protobuf import json_format, struct_pb2

from homeport.errors import (
    Code,
    DeadlineExceededError,
    HomeportError,
    InvalidArgumentError,
    UnavailableError,
)
from homeport.pipelines import addresses, parameters, waiting
from homeport.pipelines.cancelling import Cancellation
from homeport.pipelines.deploying import Machine
from homeport.pipelines.googleerrors import translated
from homeport.pipelines.place import Place
from homeport.pipelines.registry import EndedError

_MAX_WAIT_S: Final = 7 * 24 * 3600.0
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_DOING: Final = "predicting the batch"
_SUCCEEDED: Final = ("JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED")
_FAILED: Final = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch prediction.

    Attributes:
        place: Where.
        version: Full name of the model or of its version.
        display_name: Of the job.
        sources: `gs://` addresses of instances, with wildcards as Vertex AI has them.
        destination: `gs://` folder, in which the job makes one of its own.
        instances_format: Such as jsonl.
        predictions_format: Such as jsonl.
        machine: What it runs on.
        batch_size: Instances of one request; 0 for the service's own number.
        parameters: What the model is given beside the instances.
    """

    place: Place
    version: str
    display_name: str
    sources: tuple[str, ...]
    destination: str
    instances_format: str
    predictions_format: str
    machine: Machine
    batch_size: int = 0
    parameters: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        parameters.required("job_display_name", self.display_name)
        if not self.sources:
            raise InvalidArgumentError(
                "gcs_source is empty: give gs:// addresses of files with instances"
            )
        for name, address in (
            *(("gcs_source", one) for one in self.sources),
            ("gcs_destination_prefix", self.destination),
        ):
            if not addresses.is_bucket(address):
                raise InvalidArgumentError(
                    f"{name} {address!r:.200} is in no bucket: give a gs:// address"
                )


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """A batch prediction that succeeded.

    Attributes:
        name: Full name of the job.
        output: `gs://` folder of its files.
        successful: How many instances were predicted.
        failed: How many were not.
    """

    name: str
    output: str
    successful: int
    failed: int


class Predictor:
    """Runs batch predictions of one project and location."""

    def __init__(
        self, place: Place, credentials: Credentials, cancellation: Cancellation
    ) -> None:
        self._cancellation = cancellation
        self._client: Any = aiplatform_v1.JobServiceClient(
            credentials=credentials,
            transport="rest",
            client_options={"api_endpoint": place.url},
        )

    def predict(self, batch: Batch) -> Ended:
        """Return the job when it has ended well; one that is cancelled is ended.

        Raises:
            EndedError: It failed or somebody else cancelled it.
            DeadlineExceededError: It takes more than a week, and was cancelled.
            UnavailableError: The service cannot be asked for long; the job goes on.
            HomeportError: As the service says.
            SystemExit: It was cancelled.
        """
        name = ""
        try:
            with self._cancellation.held(), translated(_DOING):
                made = self._client.create_batch_prediction_job(
                    parent=batch.place.parent,
                    batch_prediction_job=_job(batch),
                    timeout=waiting.CALL_S,
                )
                name = str(made.name)
            ended = self._ended(name)
            self._cancellation.close()
        except EndedError:
            raise
        except UnavailableError as error:
            if not name:
                raise
            raise UnavailableError(f"{error.message}; {name} goes on") from error
        except BaseException:
            self._cancellation.close()
            if name:
                self._cancel(name)
            raise
        return ended

    def _ended(self, name: str) -> Ended:
        deadline = time.monotonic() + _MAX_WAIT_S
        persistent = waiting.persistent(_DOING, _MAX_WAIT_S)
        pause_s = _FIRST_PAUSE_S
        while time.monotonic() < deadline:
            job = self._client.get_batch_prediction_job(name=name, retry=persistent)
            if job.state.name in _SUCCEEDED:
                counts = job.completion_stats
                return Ended(
                    name,
                    str(job.output_info.gcs_output_directory),
                    int(counts.successful_count),
                    int(counts.failed_count),
                )
            if job.state.name in _FAILED:
                said = job.error.message or job.state.name
                raise EndedError(Code.FAILED_PRECONDITION, f"{_DOING}: {said}")
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
        raise DeadlineExceededError(
            f"{_DOING}: {name} is not done after {_MAX_WAIT_S / 3600:g} hours, so it "
            "is cancelled: give each job fewer instances, or more replicas"
        )

    def _cancel(self, name: str) -> None:
        try:
            with translated("cancelling the batch"):
                self._client.cancel_batch_prediction_job(
                    name=name, timeout=waiting.CALL_S
                )
        except HomeportError as error:
            sys.stderr.write(f"warning: {name} may go on: {error.message}\n")


def _job(batch: Batch) -> Any:  # noqa: ANN401  # a message of Google's
    job = aiplatform_v1.BatchPredictionJob(
        display_name=batch.display_name,
        model=batch.version,
        input_config=aiplatform_v1.BatchPredictionJob.InputConfig(
            instances_format=batch.instances_format,
            gcs_source=aiplatform_v1.GcsSource(uris=batch.sources),
        ),
        output_config=aiplatform_v1.BatchPredictionJob.OutputConfig(
            predictions_format=batch.predictions_format,
            gcs_destination=aiplatform_v1.GcsDestination(
                output_uri_prefix=batch.destination
            ),
        ),
        dedicated_resources=aiplatform_v1.BatchDedicatedResources(
            machine_spec=batch.machine.spec(),
            starting_replica_count=batch.machine.min_replicas,
            max_replica_count=batch.machine.max_replicas,
        ),
    )
    if batch.batch_size:
        job.manual_batch_tuning_parameters.batch_size = batch.batch_size
    if batch.parameters:
        job.model_parameters = json_format.ParseDict(
            dict(batch.parameters), struct_pb2.Value()
        )
    return job
