"""What a request asks for that has no effect here, as sentences for its operation."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from homeport.edge import codec
from homeport.edge.messages import (
    DeployModelRequest,
    EndpointMessage,
    UploadModelRequest,
)
from homeport.resources import images, lineage

_METADATA: Final = "model.metadata"
_DEDICATED: Final = "dedicated_endpoint_enabled"
_MINIMUM: Final = "min_replica_count"
# Kept as they came, and not without effect: they say where a version comes from.
_OF_LINEAGE: Final = frozenset({_METADATA, "model.pipeline_job"})
# Those of a container that act wherever the container does: `resources.probes`.
_OF_CONTAINERS: Final = (
    "deployment_timeout",
    "shared_memory_size_mb",
    "startup_probe",
    "health_probe",
    "liveness_probe",
)


def no_effect(message: codec.Message, but: Sequence[str] = ()) -> tuple[str, ...]:
    """Return one warning for each field a request set that has no effect here.

    Args:
        message: The request.
        but: Paths of those that have one.
    """
    return _stored([path for path in message.kept_paths() if path not in but])


def of_upload(message: UploadModelRequest) -> tuple[str, ...]:
    """Return one warning for each field an upload set that has no effect here.

    Our own worker has neither ports nor routes: predictions reach it by the endpoint.
    gRPC is served for no image.
    """
    container = message.model.container_spec if message.model else None
    paths = [path for path in message.kept_paths() if path not in _OF_LINEAGE]
    metadata = message.model.metadata if message.model else None
    if metadata is not None and not _is_lineage(metadata):
        paths.append(_METADATA)
    if container is not None:
        own_worker = images.runs_archives(container.image_uri)
        if not own_worker:
            acting = {f"model.container_spec.{field}" for field in _OF_CONTAINERS}
            paths = [path for path in paths if path not in acting]
        unused = ("ports", "predict_route", "health_route") if own_worker else ()
        paths += [
            f"model.container_spec.{field}"
            for field in ("grpc_ports", *unused)
            if getattr(container, field)
        ]
    return _stored(paths)


def of_deployment(message: DeployModelRequest) -> tuple[str, ...]:
    """Return one warning for each field a deployment set that has no effect here.

    A minimum of 0 is what proto3-JSON makes of none: it warns who wrote it down.
    """
    return (*no_effect(message), *_of_no_minimum(message))


def of_endpoint(message: EndpointMessage, *, has_https: bool) -> tuple[str, ...]:
    """Return one warning for each field an endpoint set that has no effect here.

    Args:
        message: The endpoint.
        has_https: Whether the server listens for HTTPS, which a dedicated one needs.
    """
    found = no_effect(message, but=("client_connection_config", _DEDICATED))
    if message.dedicated_endpoint_enabled and not has_https:
        (stored,) = _stored([_DEDICATED])
        found += (f"{stored} without HTTPS: start the server with --tls-port",)
    return found


def _of_no_minimum(message: DeployModelRequest) -> Iterator[str]:
    for kind in ("dedicated_resources", "automatic_resources"):
        counts = getattr(message.deployed_model, kind, None)
        if (
            counts is not None
            and _MINIMUM in counts.model_fields_set
            and not counts.min_replica_count
        ):
            yield (
                f"deployed_model.{kind}.{_MINIMUM} is 0, and one replica runs always: "
                "nothing is scaled to zero here, undeploy what is to cost nothing"
            )


def _is_lineage(metadata: object) -> bool:
    return isinstance(metadata, dict) and metadata.keys() == {lineage.METADATA_KEY}


def _stored(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{path} was stored and has no effect here" for path in paths)
