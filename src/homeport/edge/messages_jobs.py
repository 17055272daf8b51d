"""The messages of batch prediction jobs (JobService).

Shapes and numbers are those of aiplatform v1 (batch_prediction_job.proto,
job_state.proto, machine_resources.proto and job_service.proto).
"""

from collections.abc import Mapping
from typing import Annotated, Final

from homeport.edge.codec import (
    Bool,
    Double,
    EnumNames,
    FromPath,
    Int32,
    Int64,
    Kept,
    Message,
    OutputOnly,
    Timestamp,
    Value,
)
from homeport.edge.messages import MachineSpec
from homeport.edge.messages_transfers import GcsDestination

JOB_STATES: Final = {
    "JOB_STATE_UNSPECIFIED": 0,
    "JOB_STATE_QUEUED": 1,
    "JOB_STATE_PENDING": 2,
    "JOB_STATE_RUNNING": 3,
    "JOB_STATE_SUCCEEDED": 4,
    "JOB_STATE_FAILED": 5,
    "JOB_STATE_CANCELLING": 6,
    "JOB_STATE_CANCELLED": 7,
    "JOB_STATE_PAUSED": 8,
    "JOB_STATE_EXPIRED": 9,
    "JOB_STATE_UPDATING": 10,
    "JOB_STATE_PARTIALLY_SUCCEEDED": 11,
}


class GcsSource(Message):
    """Objects in buckets."""

    uris: tuple[str, ...] = ()


class BigQueryPlace(Message):
    """A table of BigQuery, read or written."""

    input_uri: str = ""
    output_uri: str = ""


class InputConfigMessage(Message):
    """Where the instances are, and how they are written there."""

    oneofs = (("gcs_source", "bigquery_source", "vertex_multimodal_dataset_source"),)

    gcs_source: GcsSource | None = None
    bigquery_source: BigQueryPlace | None = None
    vertex_multimodal_dataset_source: Value = None
    instances_format: str = ""


class InstanceConfigMessage(Message):
    """What of a record is sent to the model."""

    instance_type: str = ""
    key_field: str = ""
    included_fields: tuple[str, ...] = ()
    excluded_fields: tuple[str, ...] = ()


class BatchOutputConfig(Message):
    """Where the predictions go, and how they are written there."""

    oneofs = (
        (
            "gcs_destination",
            "bigquery_destination",
            "vertex_multimodal_dataset_destination",
        ),
    )

    gcs_destination: GcsDestination | None = None
    bigquery_destination: BigQueryPlace | None = None
    vertex_multimodal_dataset_destination: Value = None
    predictions_format: str = ""


class OutputInfo(Message):
    """Where the predictions are."""

    gcs_output_directory: str = ""


class BatchDedicatedResources(Message):
    """What a job asks of the machine."""

    machine_spec: MachineSpec | None = None
    starting_replica_count: Int32 = 0
    max_replica_count: Int32 = 0
    flex_start: Kept = None
    spot: Kept = None


class ManualBatchTuningParameters(Message):
    """Numbers that a job would find out by itself."""

    batch_size: Int32 = 0


class StatusMessage(Message):
    """What went wrong (google.rpc.Status)."""

    code: Int32 = 0
    message: str = ""


class ResourcesConsumed(Message):
    """What a job used."""

    replica_hours: Double = 0.0


class CompletionStats(Message):
    """How many instances a job has done."""

    successful_count: Int64 = 0
    failed_count: Int64 = 0
    incomplete_count: Int64 = 0


class BatchPredictionJobMessage(Message):
    """A batch prediction job."""

    name: OutputOnly[str] = ""
    display_name: str = ""
    model: str = ""
    model_version_id: OutputOnly[str] = ""
    unmanaged_container_model: Value = None
    input_config: InputConfigMessage | None = None
    instance_config: InstanceConfigMessage | None = None
    model_parameters: Value = None
    output_config: BatchOutputConfig | None = None
    dedicated_resources: BatchDedicatedResources | None = None
    service_account: Kept = None
    manual_batch_tuning_parameters: ManualBatchTuningParameters | None = None
    generate_explanation: Bool = False
    explanation_spec: Kept = None
    model_monitoring_config: Value = None
    output_info: OutputOnly[OutputInfo | None] = None
    state: OutputOnly[Annotated[str, EnumNames(JOB_STATES)]] = ""
    error: OutputOnly[StatusMessage | None] = None
    partial_failures: OutputOnly[tuple[StatusMessage, ...]] = ()
    resources_consumed: OutputOnly[ResourcesConsumed | None] = None
    completion_stats: OutputOnly[CompletionStats | None] = None
    create_time: OutputOnly[Timestamp | None] = None
    start_time: OutputOnly[Timestamp | None] = None
    end_time: OutputOnly[Timestamp | None] = None
    update_time: OutputOnly[Timestamp | None] = None
    labels: Mapping[str, str] = {}
    encryption_spec: Kept = None
    disable_container_logging: Kept = None
    satisfies_pzs: OutputOnly[Bool] = False
    satisfies_pzi: OutputOnly[Bool] = False


class CreateBatchPredictionJobRequest(Message):
    """JobService.CreateBatchPredictionJob, by gRPC; REST has the job as its body."""

    parent: FromPath[str] = ""
    batch_prediction_job: BatchPredictionJobMessage | None = None


class ListBatchPredictionJobsResponse(Message):
    """JobService.ListBatchPredictionJobs."""

    batch_prediction_jobs: tuple[BatchPredictionJobMessage, ...] = ()
    next_page_token: str = ""
