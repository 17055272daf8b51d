"""The messages of taking a version elsewhere: ModelService.CopyModel, ExportModel."""

from homeport.edge.codec import FromPath, Kept, Message


class CopyModelRequest(Message):
    """ModelService.CopyModel."""

    oneofs = (("model_id", "parent_model"),)

    parent: FromPath[str] = ""
    source_model: str = ""
    model_id: str | None = None
    parent_model: str | None = None
    encryption_spec: Kept = None
    custom_service_account: Kept = None


class GcsDestination(Message):
    """Where in a bucket."""

    output_uri_prefix: str = ""


class ContainerRegistryDestination(Message):
    """Where in a registry of images."""

    output_uri: str = ""


class OutputConfig(Message):
    """What is exported, and where to."""

    export_format_id: str = ""
    artifact_destination: GcsDestination | None = None
    image_destination: ContainerRegistryDestination | None = None


class ExportModelRequest(Message):
    """ModelService.ExportModel."""

    name: FromPath[str] = ""
    output_config: OutputConfig | None = None
