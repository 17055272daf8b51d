"""Between the messages of batch prediction jobs and the values of `resources`."""

import enum
from typing import Any, Final, TypeVar

from homeport.edge import codec, translate, translate_warnings
from homeport.edge.messages import MachineSpec
from homeport.edge.messages_jobs import (
    BatchDedicatedResources,
    BatchOutputConfig,
    BatchPredictionJobMessage,
    CompletionStats,
    GcsSource,
    InputConfigMessage,
    InstanceConfigMessage,
    ManualBatchTuningParameters,
    OutputInfo,
    ResourcesConsumed,
    StatusMessage,
)
from homeport.edge.messages_transfers import GcsDestination
from homeport.errors import InvalidArgumentError, UnimplementedError
from homeport.resources.batch_job import (
    BatchJob,
    BatchJobSpec,
    InstanceConfig,
    InstancesFormat,
    InstanceType,
    PredictionsFormat,
    Tally,
)
from homeport.resources.names import ModelName
from homeport.resources.operation import Failure

_RESOURCES: Final = "dedicated_resources"
_HOUR_S: Final = 3600.0

_Choice = TypeVar("_Choice", bound=enum.StrEnum)


def job_spec(message: BatchPredictionJobMessage) -> BatchJobSpec:
    """Return what a job that is to be created shall do.

    Raises:
        InvalidArgumentError: Something is missing, unknown or contradictory.
        UnimplementedError: It asks for what is not done here.
    """
    _refuse_elsewhere(message)
    source = message.input_config or InputConfigMessage()
    target = message.output_config or BatchOutputConfig()
    tuning = message.manual_batch_tuning_parameters or ManualBatchTuningParameters()
    resources = message.dedicated_resources or BatchDedicatedResources()
    # Absent and 0 are one in proto3.
    replicas = resources.starting_replica_count or 1
    kept = message.kept_values()
    if message.dedicated_resources is not None:
        kept[_RESOURCES] = codec.encode(message.dedicated_resources)
    return BatchJobSpec(
        display_name=message.display_name,
        model=ModelName.parse(message.model),
        instances_format=_choice(
            InstancesFormat, source.instances_format, "input_config.instances_format"
        ),
        uris=() if source.gcs_source is None else source.gcs_source.uris,
        predictions_format=_choice(
            PredictionsFormat,
            target.predictions_format,
            "output_config.predictions_format",
        ),
        output_prefix=(
            ""
            if target.gcs_destination is None
            else target.gcs_destination.output_uri_prefix
        ),
        instance_config=_instance_config(message.instance_config),
        parameters=message.model_parameters,
        batch_size=tuning.batch_size,
        replicas=replicas,
        machine=translate.machine(
            resources.machine_spec or MachineSpec(), replicas, replicas
        ),
        labels=message.labels,
        kept=kept,
        warnings=translate_warnings.no_effect(message),
    )


def job_message(job: BatchJob) -> BatchPredictionJobMessage:
    """Return a job as clients read it."""
    spec, kept = job.spec, dict(job.spec.kept)
    resources = kept.pop(_RESOURCES, None)
    return BatchPredictionJobMessage.made(
        name=str(job.name),
        display_name=spec.display_name,
        model=str(spec.model.unversioned),
        model_version_id=spec.model.version,
        input_config=InputConfigMessage.made(
            gcs_source=GcsSource.made(uris=spec.uris),
            instances_format=spec.instances_format.value,
        ),
        instance_config=_instance_config_message(spec.instance_config),
        model_parameters=spec.parameters,
        output_config=BatchOutputConfig.made(
            gcs_destination=GcsDestination.made(output_uri_prefix=spec.output_prefix),
            predictions_format=spec.predictions_format.value,
        ),
        dedicated_resources=(
            None
            if resources is None
            else codec.decode_object(BatchDedicatedResources, resources)
        ),
        manual_batch_tuning_parameters=ManualBatchTuningParameters.made(
            batch_size=spec.batch_size
        ),
        state=job.state.value,
        error=None if job.failure is None else _status(job.failure),
        partial_failures=tuple(_status(one) for one in job.tally.failures),
        output_info=(
            OutputInfo.made(gcs_output_directory=job.output_directory)
            if job.output_directory
            else None
        ),
        labels=spec.labels,
        **_progress(job),
        **kept,
    )


def _progress(job: BatchJob) -> dict[str, Any]:
    """Return when and how far, as far as it is known."""
    known: dict[str, Any] = {
        "create_time": job.create_time,
        "update_time": job.update_time,
    }
    if job.start_time is not None:
        known |= {"start_time": job.start_time, "completion_stats": _stats(job.tally)}
    if job.end_time is not None:
        known["end_time"] = job.end_time
    if job.start_time is not None and job.end_time is not None:
        hours = (job.end_time - job.start_time).total_seconds() / _HOUR_S
        known["resources_consumed"] = ResourcesConsumed.made(
            replica_hours=hours * job.spec.replicas
        )
    return known


def _stats(tally: Tally) -> CompletionStats:
    return CompletionStats.made(
        successful_count=tally.succeeded,
        failed_count=tally.failed,
        incomplete_count=tally.incomplete,
    )


def _status(failure: Failure) -> StatusMessage:
    return StatusMessage.made(code=int(failure.code), message=failure.message)


def _refuse_elsewhere(message: BatchPredictionJobMessage) -> None:
    """Refuse what would take another service.

    Raises:
        UnimplementedError: The job asks for it.
    """
    source, target = message.input_config, message.output_config
    if message.unmanaged_container_model is not None:
        raise UnimplementedError(
            "unmanaged_container_model is not served: upload the model, and name it in "
            "model"
        )
    if message.model_monitoring_config is not None:
        raise UnimplementedError(
            "model_monitoring_config: nothing here watches the instances of jobs; "
            "leave the monitoring arguments out"
        )
    if message.generate_explanation:
        raise UnimplementedError(
            "generate_explanation: jobs explain nothing here; ask an endpoint's "
            ":explain"
        )
    if source is not None and (
        source.bigquery_source is not None
        or source.vertex_multimodal_dataset_source is not None
    ):
        raise UnimplementedError(
            "input_config: there are no tables here; export them to a bucket, as jsonl "
            "or csv, and name the objects in gcs_source"
        )
    if target is not None and (
        target.bigquery_destination is not None
        or target.vertex_multimodal_dataset_destination is not None
    ):
        raise UnimplementedError(
            "output_config: there are no tables here; name a bucket in gcs_destination"
        )


def _choice(kind: type[_Choice], text: str, field: str) -> _Choice:
    if text == "bigquery":
        raise UnimplementedError(
            f"{field} is bigquery: there are no tables here; use {' or '.join(kind)}"
        )
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidArgumentError(
            f"{field} is {text!r:.80}: expected {', '.join(kind)}"
        ) from error


def _instance_config(message: InstanceConfigMessage | None) -> InstanceConfig:
    if message is None:
        return InstanceConfig()
    kind = message.instance_type
    return InstanceConfig(
        type=_choice(InstanceType, kind, "instance_config.instance_type")
        if kind
        else None,
        key_field=message.key_field,
        included=message.included_fields,
        excluded=message.excluded_fields,
    )


def _instance_config_message(config: InstanceConfig) -> InstanceConfigMessage | None:
    if config == InstanceConfig():
        return None
    return InstanceConfigMessage.made(
        instance_type="" if config.type is None else config.type.value,
        key_field=config.key_field,
        included_fields=config.included,
        excluded_fields=config.excluded,
    )
