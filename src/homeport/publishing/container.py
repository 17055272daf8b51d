"""A container spec of REST as the arguments of the SDK's `Model.upload`."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from homeport.errors import InvalidArgumentError, UnimplementedError
from homeport.resources import images

Arguments: TypeAlias = dict[str, object]
_PREFIX: Final = "serving_container"
_SUGGESTED: Final = "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-4:latest"
# ModelContainerSpec.image_uri: in Artifact Registry or Container Registry.
_REGISTRY_RE: Final = re.compile(r"([a-z0-9-]+-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)/.+")
_SECONDS_RE: Final = re.compile(r"([0-9]{1,9})(?:\.0+)?s")
_PROBE: Final = frozenset({"exec", "periodSeconds", "timeoutSeconds"})


def arguments(container: Mapping[str, Any], image_uri: str) -> Arguments:
    """Return what `Model.upload` is told of a version's container.

    Args:
        container: As REST has it; what is empty is left out.
        image_uri: In place of the version's own image, "" for that.

    Raises:
        InvalidArgumentError: There is no image that Vertex AI could have.
        UnimplementedError: The SDK has no argument for something.
    """
    said = {key: value for key, value in container.items() if value}
    found: Arguments = {
        f"{_PREFIX}_image_uri": _image(image_uri or said.pop("imageUri", ""))
    }
    said.pop("imageUri", None)
    for key, value in sorted(said.items()):
        if key not in _READERS:
            raise _unknown(key)
        found |= _READERS[key](value)
    return found


def _image(image_uri: str) -> str:
    if not image_uri:
        raise InvalidArgumentError(
            "the version names no container image, as Homeport's own worker needs "
            f"none: give Vertex AI one with --container-image-uri, such as {_SUGGESTED}"
        )
    if not _REGISTRY_RE.fullmatch(image_uri) and not images.prebuilt_framework(
        image_uri
    ):
        raise InvalidArgumentError(
            f"Vertex AI takes images of Artifact Registry, and {image_uri!r:.200} is "
            "none: push it there, and give its address with --container-image-uri"
        )
    return image_uri


def _named(name: str) -> Callable[[Any], Arguments]:
    return lambda value: {f"{_PREFIX}_{name}": value}


def _ports(name: str) -> Callable[[Any], Arguments]:
    return lambda value: {
        f"{_PREFIX}_{name}": [int(port["containerPort"]) for port in value]
    }


def _variables(value: Any) -> Arguments:  # noqa: ANN401  # JSON
    found = {one["name"]: one.get("value", "") for one in value}
    return {f"{_PREFIX}_environment_variables": found}


def _timeout(value: Any) -> Arguments:  # noqa: ANN401  # JSON
    match = _SECONDS_RE.fullmatch(str(value))
    if match is None:
        raise UnimplementedError(
            f"deploymentTimeout is {value!r}, and Vertex AI's SDK takes whole seconds: "
            "register the version with such a number"
        )
    return {f"{_PREFIX}_deployment_timeout": int(match[1])}


def _memory(value: Any) -> Arguments:  # noqa: ANN401  # JSON
    return {f"{_PREFIX}_shared_memory_size_mb": int(value)}


def _probe(field: str, name: str) -> Callable[[Any], Arguments]:
    def read(value: Mapping[str, Any]) -> Arguments:
        for key in value.keys() - _PROBE:
            raise _unknown(f"{field}.{key}")
        found: Arguments = {}
        if "exec" in value:
            found["exec"] = list(value["exec"].get("command", ()))
        for key, word in (
            ("periodSeconds", "period_seconds"),
            ("timeoutSeconds", "timeout_seconds"),
        ):
            if key in value:
                found[word] = int(value[key])
        return {f"{_PREFIX}_{name}_{word}": one for word, one in found.items()}

    return read


def _unknown(field: str) -> UnimplementedError:
    return UnimplementedError(
        f"the version's container has {field}, for which Model.upload of Vertex AI's "
        "SDK has no argument: register a version without it, or publish it by REST"
    )


_READERS: Final[Mapping[str, Callable[[Any], Arguments]]] = {
    "command": _named("command"),
    "args": _named("args"),
    "env": _variables,
    "ports": _ports("ports"),
    "grpcPorts": _ports("grpc_ports"),
    "predictRoute": _named("predict_route"),
    "healthRoute": _named("health_route"),
    "invokeRoutePrefix": _named("invoke_route_prefix"),
    "deploymentTimeout": _timeout,
    "sharedMemorySizeMb": _memory,
    "startupProbe": _probe("startupProbe", "startup_probe"),
    "healthProbe": _probe("healthProbe", "health_probe"),
}
