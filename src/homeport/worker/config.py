"""The model's configuration: model-config.yaml, and what `serverconfig` reads.

Of model-config.yaml batchSize, maxBatchDelay and responseTimeout act here, the counts
of workers and the queue's length where the version is deployed; the whole mapping
reaches the handler as `context.model_yaml_config`.
"""

import dataclasses
import importlib
import math
import pathlib
import reprlib
from collections.abc import Mapping
from typing import Any, Final

from homeport.archive.manifest import Manifest
from homeport.errors import FailedPreconditionError, InvalidArgumentError
from homeport.resources.torchserve import TorchServeWords
from homeport.worker import batching, optional, serverconfig
from homeport.worker.modelwords import RESPONSE_TIMEOUT
from homeport.worker.serverconfig import Envelope, Properties, ServerConfig

# Parsing takes seconds for each MB.
MAX_BYTES: Final = 256 << 10
# What acts where the version is deployed, with the least it may be.
_SERVING: Final = {"minWorkers": 0, "maxWorkers": 1, "jobQueueSize": 1}
# TorchServe's other keys. A key that is not here is the author's own.
_WITHOUT_EFFECT: Final = frozenset(
    {
        "asyncCommunication",
        "clientTimeoutInMills",
        "continuousBatching",
        "deepspeed",
        "deviceIds",
        "deviceType",
        "maxNumSequence",
        "maxRetryTimeoutInSec",
        "maxSequenceJobQueueSize",
        "micro_batching",
        "parallelLevel",
        "parallelType",
        "pippy",
        "pt2",
        "sequenceBatching",
        "sequenceMaxIdleMSec",
        "sequenceTimeoutMSec",
        "startupTimeout",
        "torchrun",
        "useJobTicket",
        "useVenv",
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class ModelConfig:
    """What the config file says.

    Attributes:
        values: The whole mapping, as YAML gave it.
        policy: How requests are batched.
        response_timeout_s: The longest one call may take, None where not given.
        response_timeout_source: Where that was set, "" where not given.
        envelope: How requests reach the author's handler.
        words: What is stored with the version, and acts where it is deployed.
        notes: Lines for the replica's log, about what does not act.
    """

    values: Mapping[str, Any]
    policy: batching.BatchPolicy
    response_timeout_s: float | None
    response_timeout_source: str
    envelope: Envelope
    words: TorchServeWords
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigFiles:
    """The files that configure one model.

    Attributes:
        name: Of the model's config file, "" for none.
        model_config: Its content, None where it is missing.
        properties: Each config.properties.
        model: Name and version in the manifest, by which `models` tells models apart.
    """

    name: str = ""
    model_config: bytes | None = None
    properties: Properties = dataclasses.field(default_factory=Properties)
    model: tuple[str, str] = ("", "")


def load(
    model_dir: pathlib.Path,
    declared: Manifest,
    environment: Mapping[str, str],
    beside: str = "",
) -> ModelConfig:
    """Return the configuration of an extracted archive.

    Args:
        model_dir: The extracted archive.
        declared: Its manifest.
        environment: The deployment's variables.
        beside: The text of the config.properties beside the archive, "" for none.

    Raises:
        FailedPreconditionError: PyYAML is not installed here.
        InvalidArgumentError: As `read`.
    """
    inside = _content(model_dir / serverconfig.FILE) or b""
    name = declared.config_file
    files = ConfigFiles(
        name,
        _content(model_dir / name) if name else None,
        Properties(serverconfig.decode(inside), beside),
        (declared.model_name, declared.version),
    )
    return read(files, environment)


def read(files: ConfigFiles, environment: Mapping[str, str]) -> ModelConfig:
    """Return what the files and the deployment's variables say.

    The archive's own words for the model go before those for a whole server.

    Raises:
        FailedPreconditionError: PyYAML is not installed here.
        InvalidArgumentError: model-config.yaml is missing or no YAML mapping, or a
            value cannot be.
    """
    server = serverconfig.read(files.properties, environment, files.model)
    values = _parse(files.name, files.model_config) if files.name else {}
    said = {**server.model_words, **values}
    timeout_s, source = _response_timeout(values, files.name, server)
    serving = _serving(said)
    return ModelConfig(
        values=values,
        policy=batching.from_model_config(said),
        response_timeout_s=timeout_s,
        response_timeout_source=source,
        envelope=server.envelope,
        words=dataclasses.replace(
            server.words,
            min_workers=serving.get("minWorkers"),
            max_workers=serving.get("maxWorkers"),
            queue_length=serving.get("jobQueueSize", server.words.queue_length),
        ),
        notes=(*_notes(values, files.name), *server.notes),
    )


def _content(path: pathlib.Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _serving(values: Mapping[str, Any]) -> dict[str, int]:
    return {
        key: _whole(key, values[key], least)
        for key, least in _SERVING.items()
        if key in values
    }


def _notes(values: Mapping[str, Any], config_file: str) -> list[str]:
    without_effect = [key for key in values if key in _WITHOUT_EFFECT]
    if not without_effect:
        return []
    return [serverconfig.no_effect_note(without_effect, config_file)]


def _whole(key: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidArgumentError(
            f"{key} is {reprlib.repr(value):.40} in the model's config file: "
            f"give a whole number, at least {least}"
        )
    return value


def _parse(name: str, content: bytes | None) -> dict[str, Any]:
    yaml = _yaml(name)
    if content is None:
        raise InvalidArgumentError(
            f"the manifest names {name} as configFile and it is not in the "
            "archive: pack it again with --config-file"
        )
    if len(content) > MAX_BYTES:
        raise InvalidArgumentError(
            f"{name} has {len(content)} bytes, the limit is {MAX_BYTES}: put what the "
            "handler reads into a file of its own"
        )
    try:
        values = yaml.safe_load(content.decode("utf-8"))
    # Beside YAMLError: what no number or date can be, and what is nested too deep.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = " ".join(str(error).split())
        raise InvalidArgumentError(
            f"{name} is not valid YAML ({where:.200}): correct it and pack again"
        ) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InvalidArgumentError(
            f"{name} holds a {type(values).__name__}: "
            "a config file is a mapping such as batchSize: 8"
        )
    return values


def _yaml(file_name: str) -> Any:  # noqa: ANN401  # an optional module, untyped here
    try:
        # Deferred: only archives with a config file need it.
        return importlib.import_module("yaml")
    except ModuleNotFoundError as error:
        remedy = optional.remedy("pyyaml", here="install pyyaml where the server runs")
        raise FailedPreconditionError(
            f"the archive has a config file ({file_name}) and PyYAML is not "
            f"installed: {remedy}"
        ) from error


def _response_timeout(
    values: Mapping[str, Any], file_name: str, server: ServerConfig
) -> tuple[float | None, str]:
    """Return the seconds, None for no limit, and where they were set."""
    own = _timeout(values.get(RESPONSE_TIMEOUT))
    if own is not None:
        return own, f"{RESPONSE_TIMEOUT} in {file_name}"
    return server.response_timeout_s, server.response_timeout_source


def _timeout(seconds: object) -> float | None:
    if seconds is None:
        return None
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds < math.inf
    ):
        raise InvalidArgumentError(
            f"responseTimeout is {reprlib.repr(seconds):.40} in the model's config "
            "file: "
            "give seconds, more than 0"
        )
    return float(seconds)
