"""Model, ModelVersion and the artifact a version stands for."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from homeport.errors import InvalidArgumentError
from homeport.resources.names import EndpointName, ModelName
from homeport.resources.torchserve import TorchServeWords

MAX_DISPLAY_NAME = 128  # UTF-8 characters; aiplatform v1 model.proto
# Model.ExportFormat.id (aiplatform v1): what a user uploaded, exported as it came.
EXPORT_FORMAT: Final = "custom-trained"


@dataclasses.dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """One variable of a container, in the order it was given."""

    name: str
    value: str


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerSpec:
    """How a version asks to be served.

    Attributes:
        image_uri: The serving image; "" and the prebuilt PyTorch images mean our own
            worker.
        command: Overrides the image's ENTRYPOINT.
        args: Overrides the image's CMD.
        env: Variables, in the order given.
        ports: TCP ports; the first receives HTTP.
        grpc_ports: TCP ports for gRPC.
        predict_route: HTTP path for predictions, "" for the default.
        health_route: HTTP path for health checks, "" for the default.
        kept: Further known fields, stored and returned and without effect.
    """

    image_uri: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvironmentVariable, ...] = ()
    ports: tuple[int, ...] = ()
    grpc_ports: tuple[int, ...] = ()
    predict_route: str = ""
    health_route: str = ""
    kept: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)


@dataclasses.dataclass(frozen=True, slots=True)
class PredictSchemata:
    """Where the forms of what a version takes and gives are described.

    Attributes:
        instance_schema_uri: Of one instance, an OpenAPI 3.0.2 schema object in YAML.
        parameters_schema_uri: Of the parameters.
        prediction_schema_uri: Of one prediction.
    """

    instance_schema_uri: str = ""
    parameters_schema_uri: str = ""
    prediction_schema_uri: str = ""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class ArtifactFile:
    """One file of an artifact.

    Attributes:
        path: Relative POSIX path inside the artifact.
        sha256: Hex digest of its bytes.
        size_bytes: Its length.
    """

    path: str
    sha256: str
    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Artifact:
    """The immutable bytes behind a version: a manifest of files.

    Attributes:
        digest: sha256 of the manifest, the artifact's identity.
        files: Its files, ordered by path.
    """

    digest: str
    files: tuple[ArtifactFile, ...]

    @property
    def size_bytes(self) -> int:
        """The length of all files together."""
        return sum(file.size_bytes for file in self.files)


@dataclasses.dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model, with the model's own fields beside it.

    The API shows both levels as one resource; `labels` are those of the model with the
    version's laid over them.

    Attributes:
        name: The version's full name, always with a version id.
        display_name: The model's.
        description: The model's.
        version_description: The version's own.
        aliases: In the order they were given; exactly one version of a model carries
            "default".
        labels: Model and version labels merged.
        artifact_uri: Where the bytes were copied from, "" for none.
        artifact: The stored bytes, None for an image alone.
        container: How to serve it.
        kept: Known fields that have no effect here, returned as they came.
        create_time: Of the model, UTC.
        update_time: Of the model, UTC.
        version_create_time: UTC.
        version_update_time: UTC.
        etag: Changes with every write to model or version.
        deployed_models: Where it serves, each as endpoint and deployed-model id.
        copied_from: The version it is a copy of, None if it was uploaded.
        torchserve: What its archive and variables ask for that does not act yet.
        schemata: The forms of what it takes and gives, None if nobody said.
    """

    name: ModelName
    display_name: str
    description: str
    version_description: str
    aliases: tuple[str, ...]
    labels: Mapping[str, str]
    artifact_uri: str
    artifact: Artifact | None
    container: ContainerSpec | None
    kept: Mapping[str, Any]
    create_time: dt.datetime
    update_time: dt.datetime
    version_create_time: dt.datetime
    version_update_time: dt.datetime
    etag: str
    deployed_models: tuple[tuple[EndpointName, str], ...] = ()
    copied_from: ModelName | None = None
    torchserve: TorchServeWords = dataclasses.field(default_factory=TorchServeWords)
    schemata: PredictSchemata | None = None


def check_display_name(display_name: str) -> None:
    """Refuse an empty or overlong display name.

    Raises:
        InvalidArgumentError: Empty, or over 128 characters.
    """
    if not display_name.strip():
        raise InvalidArgumentError("display_name is empty: give the resource a name")
    if len(display_name) > MAX_DISPLAY_NAME:
        raise InvalidArgumentError(
            f"display_name has {len(display_name)} characters: "
            f"at most {MAX_DISPLAY_NAME}"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class VersionSpec:
    """What an upload asks to be registered.

    Attributes:
        display_name: Of the model; a version under a parent may leave it out ("").
        description: Of the model.
        version_description: Of the version.
        labels: Laid over the model's own.
        aliases: To be given to the version; whoever carried one loses it.
        artifact_uri: Where the bytes are now, "" for an image alone.
        container: How to serve it.
        kept: Known fields that have no effect here.
        schemata: The forms of what it takes and gives, None if nobody said.
        lineage: Where it comes from, as the request says.
    """

    display_name: str
    description: str = ""
    version_description: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    artifact_uri: str = ""
    container: ContainerSpec | None = None
    kept: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    schemata: PredictSchemata | None = None
    lineage: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class ModelPatch:
    """Fields of a model, or of a version, to be replaced; None leaves one alone.

    Attributes:
        display_name: Of the model.
        description: Of the model.
        version_description: Of the version.
        labels: All labels of that level.
        label_changes: Single labels of that level; None takes one away.
        etag: The one read before, "" to overwrite whatever is there.
    """

    display_name: str | None = None
    description: str | None = None
    version_description: str | None = None
    labels: Mapping[str, str] | None = None
    label_changes: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    etag: str = ""


def next_etag(current: str, tag: str, *, updated: bool) -> str:
    """Return the etag after a write.

    It has two parts: the last update, and the last write of any kind. An update can
    overwrite an earlier update only, never an alias or a new version, so the first
    part alone decides whether an etag is stale.

    Args:
        current: The one before, "" at first.
        tag: Never used before, without a hyphen.
        updated: Whether the write replaced fields that a patch can replace.
    """
    update = tag if updated or not current else current.partition("-")[0]
    return f"{update}-{tag}"


def is_stale(read: str, current: str) -> bool:
    """Tell whether fields were replaced after this etag was read."""
    return read.partition("-")[0] != current.partition("-")[0]
