"""BatchPredictionJob: the instances of files in, their predictions in files out.

The nouns of JobService (aiplatform v1 batch_prediction_job.proto and job_state.proto).
A law of the names: `BatchJobName.parse(str(name)) == name`.
"""

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from homeport.errors import InvalidArgumentError
from homeport.resources.endpoint import DedicatedResources
from homeport.resources.names import ModelName, Parent
from homeport.resources.operation import Failure

# BatchPredictionJob.partial_failures (aiplatform v1).
MAX_PARTIAL_FAILURES: Final = 20
MAX_BATCH_SIZE: Final = 10_000
MAX_REPLICAS: Final = 64

_NAME_RE: Final = re.compile(r"(projects/.+)/batchPredictionJobs/([\w-]+)", re.ASCII)


class InstancesFormat(enum.StrEnum):
    """How instances are written in the input."""

    JSONL = "jsonl"
    CSV = "csv"
    TF_RECORD = "tf-record"
    TF_RECORD_GZIP = "tf-record-gzip"
    FILE_LIST = "file-list"


class PredictionsFormat(enum.StrEnum):
    """How predictions are written in the output."""

    JSONL = "jsonl"
    CSV = "csv"


class InstanceType(enum.StrEnum):
    """What one instance is for the model."""

    OBJECT = "object"
    ARRAY = "array"


class JobState(enum.StrEnum):
    """Where a job stands, by the names of the API."""

    QUEUED = "JOB_STATE_QUEUED"
    PENDING = "JOB_STATE_PENDING"
    RUNNING = "JOB_STATE_RUNNING"
    SUCCEEDED = "JOB_STATE_SUCCEEDED"
    FAILED = "JOB_STATE_FAILED"
    CANCELLING = "JOB_STATE_CANCELLING"
    CANCELLED = "JOB_STATE_CANCELLED"

    @property
    def is_final(self) -> bool:
        """Whether a job never leaves it."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class BatchJobName:
    """A batch prediction job."""

    parent: Parent
    job: str

    def __str__(self) -> str:
        return f"{self.parent}/batchPredictionJobs/{self.job}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the job that `text` names.

        Raises:
            InvalidArgumentError: It is not
                `projects/*/locations/*/batchPredictionJobs/*`.
        """
        match = _NAME_RE.fullmatch(text)
        if match is None:
            raise InvalidArgumentError(
                f"{text!r:.200} is not a batch prediction job: expected projects/"
                "{project}/locations/{location}/batchPredictionJobs/{job}"
            )
        return cls(Parent.parse(match[1]), match[2])


@dataclasses.dataclass(frozen=True, slots=True)
class InstanceConfig:
    """How a record of the input becomes the instance that the model is sent.

    Attributes:
        type: What an instance is, None for what the format's records are.
        key_field: Not sent to the model, and written in the instance's place; "" for
            none.
        included: The only fields that are sent, in this order; () for all.
        excluded: Fields that are not sent.
    """

    type: InstanceType | None = None
    key_field: str = ""
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @property
    def picks(self) -> bool:
        """Whether fields of the record are told apart by their names."""
        return bool(self.key_field or self.included or self.excluded)


@dataclasses.dataclass(frozen=True, slots=True)
class BatchJobSpec:
    """What a job is to do.

    Attributes:
        display_name: For people.
        model: The version; in a job, pinned to its id when it was accepted.
        instances_format: Of the input.
        uris: `gs://bucket/name`; a `*` stands for any characters of the name.
        predictions_format: Of the output.
        output_prefix: `gs://bucket[/prefix]`, under which the job makes its folder.
        instance_config: From record to instance.
        parameters: Sent to the model with every request, any JSON; None for none.
        batch_size: Instances in one request; 0 lets the job find out.
        replicas: How many predict, at least 1.
        machine: What each of them asks of the machine.
        labels: The user's.
        kept: Known fields that have no effect here, returned as they came.
        warnings: What of the request has no effect or is not there, one sentence each.
    """

    display_name: str
    model: ModelName
    instances_format: InstancesFormat
    uris: tuple[str, ...]
    predictions_format: PredictionsFormat
    output_prefix: str
    instance_config: InstanceConfig = InstanceConfig()
    parameters: Any = None
    batch_size: int = 0
    replicas: int = 1
    machine: DedicatedResources = dataclasses.field(default_factory=DedicatedResources)
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    kept: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """How far a job is.

    Attributes:
        succeeded: Instances that have a prediction.
        failed: Instances that have an error.
        incomplete: Instances that were not tried; -1 while nobody knows.
        failures: Some of the errors, of different kinds.
    """

    succeeded: int = 0
    failed: int = 0
    incomplete: int = -1
    failures: tuple[Failure, ...] = ()

    def plus(self, succeeded: int, failures: Sequence[Failure]) -> "Tally":
        """Return it with further instances; of equal errors one is kept."""
        kept = dict.fromkeys((*self.failures, *failures))
        return dataclasses.replace(
            self,
            succeeded=self.succeeded + succeeded,
            failed=self.failed + len(failures),
            failures=tuple(kept)[:MAX_PARTIAL_FAILURES],
        )


@dataclasses.dataclass(frozen=True, slots=True)
class BatchJob:
    """A job as it stands.

    Attributes:
        name: Its full name.
        spec: What it is to do.
        state: Where it stands.
        model_display_name: The model's when the job was accepted.
        create_time: UTC.
        update_time: UTC.
        start_time: UTC, when it first ran; None before.
        end_time: UTC, None until it has ended.
        tally: How far it is.
        output_directory: `gs://bucket/...`, "" until the output is there.
        failure: Why it failed, None unless it did.
    """

    name: BatchJobName
    spec: BatchJobSpec
    state: JobState
    model_display_name: str
    create_time: dt.datetime
    update_time: dt.datetime
    start_time: dt.datetime | None = None
    end_time: dt.datetime | None = None
    tally: Tally = Tally()
    output_directory: str = ""
    failure: Failure | None = None


def check_spec(spec: BatchJobSpec) -> None:
    """Refuse what no job can do, when it is asked for.

    Raises:
        InvalidArgumentError: No input, a number out of its bounds, or what cannot go
            together.
    """
    if not spec.uris:
        raise InvalidArgumentError(
            "input_config.gcs_source.uris is empty: name at least one object"
        )
    if not 0 <= spec.batch_size <= MAX_BATCH_SIZE:
        raise InvalidArgumentError(
            f"manual_batch_tuning_parameters.batch_size is {spec.batch_size}: at "
            f"most {MAX_BATCH_SIZE}, or 0 to have one found"
        )
    if not 1 <= spec.replicas <= MAX_REPLICAS:
        raise InvalidArgumentError(
            f"dedicated_resources.starting_replica_count is {spec.replicas}: at least "
            f"1 and at most {MAX_REPLICAS}"
        )
    _check_names(spec.instance_config)
    _check_fields(spec.instance_config, spec.instances_format)
    _check_columns(spec)


def _check_names(config: InstanceConfig) -> None:
    if config.included and config.excluded:
        raise InvalidArgumentError(
            "instance_config has included_fields and excluded_fields: name fields "
            "in one of them alone"
        )
    for name, fields in (
        ("included_fields", config.included),
        ("excluded_fields", config.excluded),
    ):
        if "" in fields or len(set(fields)) < len(fields):
            raise InvalidArgumentError(
                f"instance_config.{name} has an empty or a repeated name: name "
                "each field once"
            )


def _check_fields(config: InstanceConfig, kind: InstancesFormat) -> None:
    """Refuse to pick fields of records that have none."""
    fieldless = kind not in (InstancesFormat.JSONL, InstancesFormat.CSV)
    if fieldless and (config.picks or config.type is not None):
        raise InvalidArgumentError(
            f"instance_config has nothing to pick in {kind} records, which are "
            "bytes without fields: leave it out"
        )


def _check_columns(spec: BatchJobSpec) -> None:
    """Refuse predictions as csv where nobody knows the columns beside them."""
    if spec.predictions_format is not PredictionsFormat.CSV:
        return
    if spec.instances_format is InstancesFormat.CSV or spec.instance_config.key_field:
        return
    raise InvalidArgumentError(
        "predictions_format csv needs instances_format csv, whose columns it "
        "repeats, or an instance_config.key_field: choose jsonl"
    )
