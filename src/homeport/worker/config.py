"""The model's configuration: model-config.yaml, and what `serverconfig` reads.

Of model-config.yaml batchSize, maxBatchDelay and responseTimeout act; the whole mapping
reaches the handler as `context.model_yaml_config`.
"""

import dataclasses
import importlib
import math
import pathlib
from collections.abc import Mapping
from typing import Any, Final

from homeport.errors import FailedPreconditionError, InvalidArgumentError
from homeport.worker import batching, serverconfig
from homeport.worker.serverconfig import Envelope

# What is understood and does not act yet, with the least it may be.
_LATER: Final = {"minWorkers": 0, "maxWorkers": 1, "jobQueueSize": 1}
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
        notes: Lines for the replica's log, about what does not act.
    """

    values: Mapping[str, Any]
    policy: batching.BatchPolicy
    response_timeout_s: float | None
    response_timeout_source: str
    envelope: Envelope
    notes: tuple[str, ...]


def load(
    model_dir: pathlib.Path, config_file: str, environment: Mapping[str, str]
) -> ModelConfig:
    """Return the configuration of the archive and of the deployment's variables.

    The archive's own words for the model go before those for a whole server.

    Args:
        model_dir: The extracted archive.
        config_file: The name of model-config.yaml, "" for none.
        environment: The deployment's variables.

    Raises:
        FailedPreconditionError: PyYAML is not installed here.
        InvalidArgumentError: The file is missing, no YAML mapping, or holds a value
            that cannot be.
    """
    server = serverconfig.read(model_dir, environment)
    values = _read(model_dir / config_file) if config_file else {}
    timeout_s = _timeout(values.get("responseTimeout"))
    source = f"responseTimeout in {config_file}"
    if timeout_s is None:
        timeout_s = server.response_timeout_s
        source = server.response_timeout_source
    return ModelConfig(
        values=values,
        policy=batching.from_model_config(values),
        response_timeout_s=timeout_s,
        response_timeout_source=source,
        envelope=server.envelope,
        notes=(*_notes(values, config_file), *server.notes),
    )


def _notes(values: Mapping[str, Any], config_file: str) -> list[str]:
    notes = [
        serverconfig.later_note(key, _whole(key, values[key], least), config_file)
        for key, least in _LATER.items()
        if key in values
    ]
    without_effect = [key for key in values if key in _WITHOUT_EFFECT]
    if without_effect:
        notes.append(serverconfig.no_effect_note(without_effect, config_file))
    return notes


def _whole(key: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidArgumentError(
            f"{key} is {value!r:.40} in the model's config file: "
            f"give a whole number, at least {least}"
        )
    return value


def _read(path: pathlib.Path) -> dict[str, Any]:
    yaml = _yaml(path.name)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidArgumentError(
            f"the manifest names {path.name} as configFile and it is not in the "
            "archive: pack it again with --config-file"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise InvalidArgumentError(
            f"{path.name} is not valid YAML ({where:.200}): correct it and pack again"
        ) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InvalidArgumentError(
            f"{path.name} holds a {type(values).__name__}: "
            "a config file is a mapping such as batchSize: 8"
        )
    return values


def _yaml(file_name: str) -> Any:  # noqa: ANN401  # an optional module, untyped here
    try:
        # Deferred: only archives with a config file need it.
        return importlib.import_module("yaml")
    except ModuleNotFoundError as error:
        raise FailedPreconditionError(
            f"the archive has a config file ({file_name}) and PyYAML is not "
            "installed: install pyyaml where the server runs"
        ) from error


def _timeout(seconds: object) -> float | None:
    if seconds is None:
        return None
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds < math.inf
    ):
        raise InvalidArgumentError(
            f"responseTimeout is {seconds!r:.40} in the model's config file: "
            "give seconds, more than 0"
        )
    return float(seconds)
