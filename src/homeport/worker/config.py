"""The model's own configuration: model-config.yaml, as TorchServe reads it.

Only batchSize, maxBatchDelay and responseTimeout act here; the whole mapping reaches
the handler as `context.model_yaml_config`.
"""

import dataclasses
import importlib
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from homeport.errors import FailedPreconditionError, InvalidArgumentError
from homeport.worker import batching


@dataclasses.dataclass(frozen=True, slots=True)
class ModelConfig:
    """What the config file says.

    Attributes:
        values: The whole mapping, as YAML gave it.
        policy: How requests are batched.
        response_timeout_s: The longest one call may take, None where not given.
        response_timeout_source: Where that was set, "" where not given.
    """

    values: Mapping[str, Any]
    policy: batching.BatchPolicy
    response_timeout_s: float | None
    response_timeout_source: str = ""


def load(model_dir: pathlib.Path, config_file: str) -> ModelConfig:
    """Return the configuration in `config_file`; "" stands for none.

    Raises:
        FailedPreconditionError: PyYAML is not installed here.
        InvalidArgumentError: The file is missing, no YAML mapping, or holds a value
            that cannot be.
    """
    values = _read(model_dir / config_file) if config_file else {}
    return ModelConfig(
        values=values,
        policy=batching.from_model_config(values),
        response_timeout_s=_timeout(values.get("responseTimeout")),
        response_timeout_source=(
            f"responseTimeout in {config_file}" if "responseTimeout" in values else ""
        ),
    )


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
