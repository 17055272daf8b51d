"""The messages of Vertex AI's API that Homeport speaks, field by field.

Shapes and numbers are those of aiplatform v1 (model.proto, endpoint.proto,
accelerator_type.proto and the service protos). A field of type `Kept` is accepted,
returned and without effect.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from homeport.edge.codec import (
    EnumNames,
    FieldMask,
    FromPath,
    Int32,
    Kept,
    Message,
    OutputOnly,
    Timestamp,
)

ACCELERATOR_TYPES: Final = {
    "ACCELERATOR_TYPE_UNSPECIFIED": 0,
    "NVIDIA_TESLA_K80": 1,
    "NVIDIA_TESLA_P100": 2,
    "NVIDIA_TESLA_V100": 3,
    "NVIDIA_TESLA_P4": 4,
    "NVIDIA_TESLA_T4": 5,
    "TPU_V2": 6,
    "TPU_V3": 7,
    "NVIDIA_TESLA_A100": 8,
    "NVIDIA_A100_80GB": 9,
    "TPU_V4_POD": 10,
    "NVIDIA_L4": 11,
    "TPU_V5_LITEPOD": 12,
    "NVIDIA_H100_80GB": 13,
    "NVIDIA_H100_MEGA_80GB": 14,
    "NVIDIA_H200_141GB": 15,
    "NVIDIA_B200": 16,
    "NVIDIA_GB200": 17,
    "NVIDIA_RTX_PRO_6000": 18,
}
AcceleratorType = Annotated[str, EnumNames(ACCELERATOR_TYPES)]


class Location(Message):
    """Where resources live (google.cloud.location)."""

    name: str = ""
    location_id: str = ""
    display_name: str = ""
    labels: Mapping[str, str] = {}


class ListLocationsResponse(Message):
    """Locations.ListLocations."""

    locations: tuple[Location, ...] = ()
    next_page_token: str = ""


class EnvVar(Message):
    """One environment variable."""

    name: str = ""
    value: str = ""


class Port(Message):
    """One TCP port."""

    container_port: Int32 = 0


class ModelContainerSpec(Message):
    """How a model asks to be served."""

    image_uri: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    ports: tuple[Port, ...] = ()
    predict_route: str = ""
    health_route: str = ""
    grpc_ports: tuple[Port, ...] = ()
    invoke_route_prefix: Kept = None
    deployment_timeout: Kept = None
    shared_memory_size_mb: Kept = None
    startup_probe: Kept = None
    health_probe: Kept = None
    liveness_probe: Kept = None


class ExportFormat(Message):
    """A form in which a version can be exported."""

    id: str = ""
    exportable_contents: tuple[str, ...] = ()


class OriginalModelInfo(Message):
    """What a version is a copy of."""

    model: str = ""


class PredictSchemataMessage(Message):
    """Where the forms of what a version takes and gives are described."""

    instance_schema_uri: str = ""
    parameters_schema_uri: str = ""
    prediction_schema_uri: str = ""


class ModelMessage(Message):
    """A model, as one of its versions."""

    name: OutputOnly[str] = ""
    version_id: OutputOnly[str] = ""
    version_aliases: tuple[str, ...] = ()
    version_create_time: OutputOnly[Timestamp | None] = None
    version_update_time: OutputOnly[Timestamp | None] = None
    display_name: str = ""
    description: str = ""
    version_description: str = ""
    container_spec: ModelContainerSpec | None = None
    artifact_uri: str = ""
    supported_deployment_resources_types: OutputOnly[tuple[str, ...]] = ()
    supported_input_storage_formats: OutputOnly[tuple[str, ...]] = ()
    supported_output_storage_formats: OutputOnly[tuple[str, ...]] = ()
    create_time: OutputOnly[Timestamp | None] = None
    update_time: OutputOnly[Timestamp | None] = None
    deployed_models: OutputOnly[tuple["DeployedModelRef", ...]] = ()
    etag: str = ""
    labels: Mapping[str, str] = {}
    predict_schemata: PredictSchemataMessage | None = None
    metadata_schema_uri: Kept = None
    metadata: Kept = None
    pipeline_job: Kept = None
    explanation_spec: Kept = None
    encryption_spec: Kept = None
    model_source_info: Kept = None
    base_model_source: Kept = None
    default_checkpoint_id: Kept = None
    data_stats: Kept = None
    supported_export_formats: OutputOnly[tuple[ExportFormat, ...]] = ()
    training_pipeline: OutputOnly[str] = ""
    original_model_info: OutputOnly[OriginalModelInfo | None] = None
    metadata_artifact: OutputOnly[str] = ""
    satisfies_pzs: OutputOnly[str] = ""
    satisfies_pzi: OutputOnly[str] = ""
    checkpoints: OutputOnly[tuple[str, ...]] = ()


class DeployedModelRef(Message):
    """Where a version is deployed."""

    endpoint: str = ""
    deployed_model_id: str = ""


class UploadModelRequest(Message):
    """ModelService.UploadModel."""

    parent: FromPath[str] = ""
    parent_model: str = ""
    model_id: str = ""
    model: ModelMessage | None = None
    service_account: Kept = None


class MergeVersionAliasesRequest(Message):
    """ModelService.MergeVersionAliases."""

    name: FromPath[str] = ""
    version_aliases: tuple[str, ...] = ()


class ListModelsResponse(Message):
    """ModelService.ListModels and ListModelVersions."""

    models: tuple[ModelMessage, ...] = ()
    next_page_token: str = ""


class MachineSpec(Message):
    """One machine."""

    machine_type: str = ""
    accelerator_type: AcceleratorType = ""
    accelerator_count: Int32 = 0
    gpu_partition_size: Kept = None
    tpu_topology: Kept = None
    reservation_affinity: Kept = None


class AutoscalingMetricSpec(Message):
    """What autoscaling aims at, for one metric."""

    metric_name: str = ""
    target: Int32 = 0
    monitored_resource_labels: Kept = None


class DedicatedResourcesMessage(Message):
    """What a deployed model asks of the machine."""

    machine_spec: MachineSpec | None = None
    min_replica_count: Int32 = 0
    max_replica_count: Int32 = 0
    required_replica_count: Kept = None
    autoscaling_metric_specs: tuple[AutoscalingMetricSpec, ...] = ()
    spot: Kept = None


class AutomaticResources(Message):
    """Replica counts, for machines the server chooses."""

    min_replica_count: Int32 = 0
    max_replica_count: Int32 = 0


class DeployedModelStatus(Message):
    """How a deployed model fares right now."""

    message: str = ""
    last_update_time: Timestamp | None = None
    available_replica_count: Int32 = 0


class DeployedModelMessage(Message):
    """A version at an endpoint."""

    oneofs = (("dedicated_resources", "automatic_resources", "shared_resources"),)

    id: str = ""
    model: str = ""
    model_version_id: OutputOnly[str] = ""
    display_name: str = ""
    create_time: OutputOnly[Timestamp | None] = None
    dedicated_resources: DedicatedResourcesMessage | None = None
    automatic_resources: AutomaticResources | None = None
    shared_resources: Kept = None
    explanation_spec: Kept = None
    disable_explanations: Kept = None
    service_account: Kept = None
    disable_container_logging: Kept = None
    enable_access_logging: Kept = None
    faster_deployment_config: Kept = None
    system_labels: Kept = None
    checkpoint_id: Kept = None
    speculative_decoding_spec: Kept = None
    private_endpoints: OutputOnly[str] = ""
    status: OutputOnly[DeployedModelStatus | None] = None


class EndpointMessage(Message):
    """An endpoint."""

    name: OutputOnly[str] = ""
    display_name: str = ""
    description: str = ""
    deployed_models: OutputOnly[tuple[DeployedModelMessage, ...]] = ()
    traffic_split: Mapping[str, Int32] = {}
    etag: str = ""
    labels: Mapping[str, str] = {}
    create_time: OutputOnly[Timestamp | None] = None
    update_time: OutputOnly[Timestamp | None] = None
    encryption_spec: Kept = None
    network: Kept = None
    enable_private_service_connect: Kept = None
    private_service_connect_config: Kept = None
    predict_request_response_logging_config: Kept = None
    dedicated_endpoint_enabled: Kept = None
    client_connection_config: Kept = None
    gen_ai_advanced_features_config: Kept = None
    private_model_server_enabled: Kept = None
    model_deployment_monitoring_job: OutputOnly[str] = ""
    dedicated_endpoint_dns: OutputOnly[str] = ""
    satisfies_pzs: OutputOnly[str] = ""
    satisfies_pzi: OutputOnly[str] = ""


class ListEndpointsResponse(Message):
    """EndpointService.ListEndpoints."""

    endpoints: tuple[EndpointMessage, ...] = ()
    next_page_token: str = ""


class DeployModelRequest(Message):
    """EndpointService.DeployModel."""

    endpoint: FromPath[str] = ""
    deployed_model: DeployedModelMessage | None = None
    traffic_split: Mapping[str, Int32] = {}


class MutateDeployedModelRequest(Message):
    """EndpointService.MutateDeployedModel."""

    endpoint: FromPath[str] = ""
    deployed_model: DeployedModelMessage | None = None
    update_mask: FieldMask | None = None


class UpdateEndpointLongRunningRequest(Message):
    """EndpointService.UpdateEndpointLongRunning."""

    endpoint: EndpointMessage | None = None


class UndeployModelRequest(Message):
    """EndpointService.UndeployModel."""

    endpoint: FromPath[str] = ""
    deployed_model_id: str = ""
    traffic_split: Mapping[str, Int32] = {}
