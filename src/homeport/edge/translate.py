"""Between the messages of the wire and the values of `resources`."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Final

from homeport.edge import codec
from homeport.edge.messages import (
    AutoscalingMetricSpec,
    DedicatedResourcesMessage,
    DeployedModelMessage,
    DeployedModelRef,
    DeployedModelStatus,
    EndpointMessage,
    EnvVar,
    ExportFormat,
    MachineSpec,
    ModelContainerSpec,
    ModelMessage,
    OriginalModelInfo,
    Port,
    PredictSchemataMessage,
)
from homeport.errors import InvalidArgumentError
from homeport.resources import lineage
from homeport.resources.batch_job import InstancesFormat, PredictionsFormat
from homeport.resources.endpoint import DedicatedResources, DeployedModel, Endpoint
from homeport.resources.model import (
    EXPORT_FORMAT,
    ContainerSpec,
    EnvironmentVariable,
    ModelPatch,
    ModelVersion,
    PredictSchemata,
    VersionSpec,
)
from homeport.resources.names import ModelName, Parent

# AutoscalingMetricSpec.target (aiplatform v1): what it is where it is not given.
_DEFAULT_TARGET: Final = 60
_MODEL_UPDATABLE: Final = ("display_name", "description", "labels")
_INPUT_FORMATS: Final = tuple(InstancesFormat)
_OUTPUT_FORMATS: Final = tuple(PredictionsFormat)
_CONTAINERS: Final = 1024
_EXPORT_FORMAT: Final = ExportFormat(
    id=EXPORT_FORMAT, exportable_contents=("ARTIFACT",)
)


def version_spec(message: ModelMessage) -> VersionSpec:
    """Return what an upload asks to be registered."""
    container = message.container_spec
    said = message.predict_schemata
    return VersionSpec(
        display_name=message.display_name,
        description=message.description,
        version_description=message.version_description,
        labels=message.labels,
        aliases=tuple(dict.fromkeys(message.version_aliases)),
        artifact_uri=message.artifact_uri,
        container=None if container is None else _container(container),
        kept=message.kept_values(),
        schemata=None if said is None else PredictSchemata(**said.model_dump()),
        lineage=lineage.of_request(
            message.metadata, message.labels, message.pipeline_job
        ),
    )


def model_message(version: ModelVersion, *, versioned: bool) -> ModelMessage:
    """Return a version as clients read it.

    Args:
        version: The version.
        versioned: Whether its name ends in `@ID`, as the caller's request did.
    """
    name = version.name if versioned else version.name.unversioned
    container = version.container
    return ModelMessage.made(
        name=str(name),
        version_id=version.name.version,
        version_aliases=version.aliases,
        version_create_time=version.version_create_time,
        version_update_time=version.version_update_time,
        display_name=version.display_name,
        description=version.description,
        version_description=version.version_description,
        container_spec=(None if container is None else _container_message(container)),
        artifact_uri=version.artifact_uri,
        # Without these the SDK deploys with no machine type and refuses batch jobs.
        supported_deployment_resources_types=("DEDICATED_RESOURCES",),
        supported_input_storage_formats=_INPUT_FORMATS,
        supported_output_storage_formats=_OUTPUT_FORMATS,
        create_time=version.create_time,
        update_time=version.update_time,
        deployed_models=tuple(
            DeployedModelRef.made(endpoint=str(endpoint), deployed_model_id=deployed_id)
            for endpoint, deployed_id in version.deployed_models
        ),
        supported_export_formats=() if version.artifact is None else (_EXPORT_FORMAT,),
        original_model_info=(
            OriginalModelInfo.made(model=str(version.copied_from))
            if version.copied_from
            else None
        ),
        etag=version.etag,
        labels=version.labels,
        predict_schemata=(
            None
            if version.schemata is None
            else PredictSchemataMessage(**dataclasses.asdict(version.schemata))
        ),
        **version.kept,
    )


def model_patch(message: ModelMessage, mask: str, *, versioned: bool) -> ModelPatch:
    """Return the fields that an update's mask names.

    Args:
        message: What they shall be.
        mask: In camelCase or snake_case; "*" means all that can be updated, and ""
            those that are set (AIP-134). `labels.KEY` means one label.
        versioned: Whether a version is updated, not the model itself.

    Raises:
        InvalidArgumentError: It names a field that is not there, or cannot change.
    """
    level = ("version_description", "labels") if versioned else _MODEL_UPDATABLE
    paths = set(codec.parse_field_mask(mask))
    if not paths:
        paths = {name for name in level if getattr(message, name)}
    if "*" in paths:
        paths = set(level)
    of_labels = {path for path in paths if path.startswith("labels.")}
    keys = {path.removeprefix("labels.").strip("`") for path in of_labels}
    fields = paths - of_labels
    _check_updatable(fields)
    given = {name: getattr(message, name) for name in fields}
    changes = {key: message.labels.get(key) for key in keys}
    return ModelPatch(**given, label_changes=changes, etag=message.etag)


def _check_updatable(fields: set[str]) -> None:
    updatable = (*_MODEL_UPDATABLE, "version_description")
    wrong = sorted(fields - set(updatable))
    if wrong:
        known = wrong[0] in ModelMessage.model_fields
        problem = "cannot be changed after the upload" if known else "is no field of it"
        raise InvalidArgumentError(
            f"update_mask names {wrong[0]}, which {problem}: a model's "
            f"{', '.join(updatable)} can be updated"
        )


def model_name(text: str, parent: Parent) -> ModelName:
    """Return the model a request means by a full name or a bare id.

    Raises:
        InvalidArgumentError: Neither.
    """
    return ModelName.parse(text if "/" in text else f"{parent}/models/{text}")


def dedicated_resources(message: DeployedModelMessage) -> DedicatedResources:
    """Return what a deployment asks of the machine, with the API's defaults."""
    dedicated = message.dedicated_resources or DedicatedResourcesMessage()
    counts = message.automatic_resources or dedicated
    low = counts.min_replica_count or 1
    asked = machine(
        dedicated.machine_spec or MachineSpec(), low, counts.max_replica_count or low
    )
    return dataclasses.replace(
        asked,
        metric_targets={
            one.metric_name: one.target or _DEFAULT_TARGET
            for one in dedicated.autoscaling_metric_specs
        },
        kept={**asked.kept, **dedicated.kept_values()},
    )


def machine(message: MachineSpec, low: int, high: int) -> DedicatedResources:
    """Return what each of `low` to `high` replicas asks of the machine.

    Raises:
        InvalidArgumentError: Accelerators of no type.
    """
    accelerator = message.accelerator_type
    if accelerator == "ACCELERATOR_TYPE_UNSPECIFIED":
        accelerator = ""
    if message.accelerator_count < 0 or (message.accelerator_count and not accelerator):
        raise InvalidArgumentError(
            f"accelerator_count is {message.accelerator_count} without an "
            "accelerator_type: give both or neither"
        )
    return DedicatedResources(
        machine_type=message.machine_type,
        accelerator_type=accelerator,
        accelerator_count=message.accelerator_count,
        min_replica_count=low,
        max_replica_count=high,
        kept=message.kept_values(),
    )


def endpoint_message(
    endpoint: Endpoint,
    dns: str = "",
    replicas: Callable[[str], int | None] = lambda _: None,
) -> EndpointMessage:
    """Return an endpoint as clients read it.

    Args:
        endpoint: The endpoint.
        dns: Where a dedicated endpoint answers, `host:port`; "" if there is no HTTPS.
        replicas: How many replicas of a deployed model, by its id, answer now; None
            where nobody can tell.
    """
    dedicated = endpoint.kept.get("dedicated_endpoint_enabled") is True
    return EndpointMessage(
        name=str(endpoint.name),
        display_name=endpoint.display_name,
        description=endpoint.description,
        deployed_models=tuple(
            deployed_model_message(one, replicas(one.id))
            for one in endpoint.deployed_models
        ),
        traffic_split=endpoint.traffic_split,
        etag=endpoint.etag,
        labels=endpoint.labels,
        create_time=endpoint.create_time,
        update_time=endpoint.update_time,
        dedicated_endpoint_dns=dns if dedicated else "",
        **endpoint.kept,
    )


def deployed_model_message(
    deployed: DeployedModel, replicas: int | None = None
) -> DeployedModelMessage:
    """Return a deployed model as clients read it.

    Args:
        deployed: It.
        replicas: How many of its replicas answer now, None if that is not told.
    """
    # One of a kind: protobuf's JSON refuses a message that has both.
    shared = "shared_resources" in deployed.kept
    return DeployedModelMessage(
        id=deployed.id,
        model=str(deployed.version.unversioned),
        model_version_id=deployed.version.version,
        display_name=deployed.display_name,
        create_time=deployed.create_time,
        status=(
            None
            if replicas is None
            else DeployedModelStatus(available_replica_count=replicas)
        ),
        dedicated_resources=None if shared else _dedicated(deployed.resources),
        **deployed.kept,
    )


def _dedicated(resources: DedicatedResources) -> DedicatedResourcesMessage:
    of_machine = MachineSpec.model_fields.keys() & resources.kept.keys()
    # Those deployed by an earlier version kept the metrics too.
    own = resources.kept.keys() - of_machine - {"autoscaling_metric_specs"}
    return DedicatedResourcesMessage(
        machine_spec=MachineSpec(
            machine_type=resources.machine_type,
            accelerator_type=resources.accelerator_type,
            accelerator_count=resources.accelerator_count,
            **{key: resources.kept[key] for key in of_machine},
        ),
        min_replica_count=resources.min_replica_count,
        max_replica_count=resources.max_replica_count,
        autoscaling_metric_specs=tuple(
            AutoscalingMetricSpec(metric_name=name, target=target)
            for name, target in resources.metric_targets.items()
        ),
        **{key: resources.kept[key] for key in own},
    )


def _container(message: ModelContainerSpec) -> ContainerSpec:
    return ContainerSpec(
        image_uri=message.image_uri,
        command=message.command,
        args=message.args,
        env=tuple(EnvironmentVariable(one.name, one.value) for one in message.env),
        ports=tuple(port.container_port for port in message.ports),
        grpc_ports=tuple(port.container_port for port in message.grpc_ports),
        predict_route=message.predict_route,
        health_route=message.health_route,
        kept=message.kept_values(),
    )


# Many versions are served alike, and a message never changes.
@functools.lru_cache(maxsize=_CONTAINERS)
def _container_message(spec: ContainerSpec) -> ModelContainerSpec:
    return ModelContainerSpec.made(
        image_uri=spec.image_uri,
        command=spec.command,
        args=spec.args,
        env=tuple(EnvVar.made(name=one.name, value=one.value) for one in spec.env),
        ports=tuple(Port.made(container_port=port) for port in spec.ports),
        predict_route=spec.predict_route,
        health_route=spec.health_route,
        grpc_ports=tuple(Port.made(container_port=port) for port in spec.grpc_ports),
        **spec.kept,
    )
