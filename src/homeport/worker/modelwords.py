"""What TorchServe's server would be told of single models: `models` and snapshots.

`models` of a config.properties, or the `model_snapshot` that TorchServe writes itself,
are JSON: a mapping from names to versions to words such as minWorkers.
"""

import dataclasses
import json
import reprlib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from homeport.errors import InvalidArgumentError

MODELS: Final = "models"
SNAPSHOT: Final = "model_snapshot"
# The first that is there counts, as in TorchServe.
WORDS: Final = (SNAPSHOT, MODELS)
RESPONSE_TIMEOUT: Final = "responseTimeout"
# What acts, with the least it may be.
_LEAST: Final = {
    "minWorkers": 0,
    "maxWorkers": 1,
    "batchSize": 1,
    "maxBatchDelay": 0,
    RESPONSE_TIMEOUT: 1,
}
# Java's int.
_MOST: Final = (1 << 31) - 1
# Which archive it is, and whether it is the default: nothing of how it is served.
_IDENTITY: Final = frozenset({"marName", "defaultVersion"})

Described: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclasses.dataclass(frozen=True, slots=True)
class ModelWords:
    """What is said of one version of one model.

    Attributes:
        values: By the keys of model-config.yaml, whose words go before these.
        notes: Lines for the replica's log, about what does not act.
    """

    values: Mapping[str, int] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


def parse(word: str, text: str, place: str) -> Described:
    """Return the words by the names and versions of models.

    Args:
        word: `models` or `model_snapshot`, or how a variable calls it.
        text: Its value.
        place: Where it stands, for refusals.

    Raises:
        InvalidArgumentError: It is no such JSON.
    """
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"{word} in {place} is no JSON ({error}): correct it, with a backslash at "
            "the end of each line that goes on"
        ) from error
    if isinstance(found, dict) and word.lower().endswith(SNAPSHOT):
        found = found.get(MODELS, {})
    if not _is_described(found):
        raise InvalidArgumentError(
            f"{word} in {place} is {reprlib.repr(found):.60}: give a mapping such as "
            '{"NAME": {"1.0": {"minWorkers": 1}}}'
        )
    described: Described = found
    return described


def of(model: tuple[str, str], described: Described, place: str) -> ModelWords:
    """Return what is said of a model's version.

    Args:
        model: Its name and version.
        described: What is said of all.
        place: Where, for refusals and notes.

    Raises:
        InvalidArgumentError: A value cannot be what its key stands for.
    """
    name, version = model
    said = described.get(name, {}).get(version, {})
    unknown = sorted(said.keys() - _LEAST.keys() - _IDENTITY)
    note = f"no effect on serving, in {place}: {', '.join(unknown)}"
    return ModelWords(
        {key: _whole(key, said[key], place) for key in _LEAST if key in said},
        (note,) if unknown else (),
    )


def _is_described(found: object) -> bool:
    return isinstance(found, dict) and all(
        isinstance(versions, dict)
        and all(isinstance(words, dict) for words in versions.values())
        for versions in found.values()
    )


def _whole(key: str, value: object, place: str) -> int:
    least = _LEAST[key]
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not least <= value <= _MOST
    ):
        raise InvalidArgumentError(
            f"{key} is {reprlib.repr(value):.40} in {place}: give a whole number, at "
            f"least {least}"
        )
    return value
