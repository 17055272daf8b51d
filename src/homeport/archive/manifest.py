"""MAR-INF/MANIFEST.json: what an archive says about the model inside it.

The format is torch-model-archiver's. A law: `parse(serialize(m)) == m`.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from homeport.errors import InvalidArgumentError

PATH: Final = "MAR-INF/MANIFEST.json"
MAX_BYTES: Final = 1 << 20
DEFAULT_VERSION: Final = "1.0"  # TorchServe's, where modelVersion is missing
RUNTIMES: Final = ("python", "python3")
# Names that stand for a handler of TorchServe's own instead of a file.
DEFAULT_HANDLERS: Final = frozenset(
    {
        "base_handler",
        "dali_image_classifier",
        "image_classifier",
        "image_segmenter",
        "object_detector",
        "text_classifier",
        "trt_llm_handler",
        "vllm_handler",
    }
)

# torch-model-archiver refuses any other.
_MODEL_NAME_RE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-.]*")
_TEXT_KEYS: Final[Mapping[str, str]] = {
    "created_on": "createdOn",
    "runtime": "runtime",
    "archiver_version": "archiverVersion",
}
_MODEL_TEXT_KEYS: Final[Mapping[str, str]] = {
    "model_name": "modelName",
    "version": "modelVersion",
    "handler": "handler",
    "serialized_file": "serializedFile",
    "model_file": "modelFile",
    "requirements_file": "requirementsFile",
    "config_file": "configFile",
    "description": "description",
    "envelope": "envelope",
    "source_vocab": "sourceVocab",
}
_TRUST_KEY: Final = "trustPickle"
_MODEL_KEYS: Final = frozenset(_MODEL_TEXT_KEYS.values()) | {
    "extensions",
    _TRUST_KEY,
}
_TOP_KEYS: Final = frozenset(_TEXT_KEYS.values()) | {"model"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an archive declares; "" stands for a key that is absent.

    Attributes:
        model_name: `[A-Za-z0-9][A-Za-z0-9_.-]*`.
        version: Any text but the empty one.
        handler: A file of the archive with or without `.py`, or a default handler's
            name; `:function` may follow.
        serialized_file: The weights' file name.
        model_file: The file of Python source that defines the model's class.
        extensions: Names, as the archive's author gave them.
        requirements_file: The pip requirements' file name.
        config_file: The model configuration's (YAML) file name.
        runtime: "python" or "python3".
        archiver_version: Of the tool that wrote the archive.
        created_on: `dd/mm/YYYY HH:MM:SS`, without a zone, or whatever was there.
        description: For people.
        envelope: TorchServe's service envelope.
        source_vocab: A vocabulary's file name, for text handlers.
        trust_pickle: Whether the author lets loading the weights run code; a key of
            our own, which TorchServe passes over.
        kept: Unknown keys beside `model`, as they came.
        kept_in_model: Unknown keys inside `model`, as they came.
    """

    model_name: str
    handler: str
    version: str = DEFAULT_VERSION
    serialized_file: str = ""
    model_file: str = ""
    extensions: tuple[str, ...] = ()
    requirements_file: str = ""
    config_file: str = ""
    runtime: str = "python"
    archiver_version: str = ""
    created_on: str = ""
    description: str = ""
    envelope: str = ""
    source_vocab: str = ""
    trust_pickle: bool = False
    kept: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    kept_in_model: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_model_name(self.model_name, f"{PATH}: modelName")
        if not self.version:
            raise _invalid("modelVersion", "is empty: give a version such as 1.0")
        if not self.handler_module:
            raise _invalid(
                "handler",
                f"is {self.handler!r:.80}: name a file of the archive or base_handler",
            )
        if self.runtime not in RUNTIMES:
            raise _invalid(
                "runtime",
                f"is {self.runtime!r:.80}: only python and python3 can be served",
            )

    @property
    def handler_module(self) -> str:
        """The handler's module name: without directory, `.py` and `:function`."""
        name = self.handler.partition(":")[0].rpartition("/")[2]
        return name.removesuffix(".py")

    @property
    def handler_function(self) -> str:
        """The entry point named after the colon, "" for the module's own choice."""
        return self.handler.partition(":")[2]

    @property
    def files(self) -> Mapping[str, str]:
        """The file each key names, by the key's JSON name; without the handler."""
        named = {
            "serializedFile": self.serialized_file,
            "modelFile": self.model_file,
            "requirementsFile": self.requirements_file,
            "configFile": self.config_file,
        }
        return {key: path for key, path in named.items() if path}


def check_model_name(model_name: str, called: str = "the model name") -> None:
    """Refuse a model name that torch-model-archiver would refuse.

    Args:
        model_name: The name.
        called: What the message calls it.

    Raises:
        InvalidArgumentError: Not `[A-Za-z0-9][A-Za-z0-9_.-]*`.
    """
    if not _MODEL_NAME_RE.fullmatch(model_name):
        raise InvalidArgumentError(
            f"{called} is {model_name!r:.80}: use letters, digits, '_', '-' and '.', "
            "beginning with a letter or digit"
        )


def parse(text: bytes) -> Manifest:
    """Return the manifest that `text`, a MANIFEST.json, holds.

    A number or boolean where text belongs is taken as it is written, as TorchServe's
    reader does: `1.10` is the version "1.10".

    Raises:
        InvalidArgumentError: Over 1 MiB, not JSON, or a key is missing or of the wrong
            kind; the message names the key.
    """
    document = _load(text)
    model = document.get("model")
    if not isinstance(model, dict):
        raise _invalid("model", "is missing or no object: pack the archive again")
    fields = _texts(document, _TEXT_KEYS) | _texts(model, _MODEL_TEXT_KEYS)
    for name, key in (("model_name", "modelName"), ("handler", "handler")):
        if name not in fields:
            raise _invalid(key, "is missing: pack the archive again with it")
    return Manifest(
        **fields,
        extensions=_extensions(model.get("extensions")),
        trust_pickle=_flag(_TRUST_KEY, model.get(_TRUST_KEY)),
        kept={key: _plain(document[key]) for key in document.keys() - _TOP_KEYS},
        kept_in_model={key: _plain(model[key]) for key in model.keys() - _MODEL_KEYS},
    )


def serialize(manifest: Manifest) -> bytes:
    """Return `manifest` as a MANIFEST.json; equal manifests give equal bytes."""
    model: dict[str, Any] = dict(manifest.kept_in_model)
    model |= _present(manifest, _MODEL_TEXT_KEYS)
    if manifest.extensions:
        model["extensions"] = list(manifest.extensions)
    if manifest.trust_pickle:
        model[_TRUST_KEY] = True
    document: dict[str, Any] = dict(manifest.kept)
    document |= _present(manifest, _TEXT_KEYS)
    document["model"] = model
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"


class _Number(str):
    """A JSON number with a fraction, in the digits it was written in."""

    __slots__ = ()


def _load(text: bytes) -> dict[str, Any]:
    if len(text) > MAX_BYTES:
        raise InvalidArgumentError(
            f"{PATH} has {len(text)} bytes, the limit is {MAX_BYTES}: "
            "keep descriptions in a file of their own"
        )
    try:
        document = json.loads(
            text.decode("utf-8-sig"),
            object_pairs_hook=_unambiguous,
            parse_float=_number,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"{PATH} is not valid JSON ({error}): pack the archive again"
        ) from error
    if not isinstance(document, dict):
        raise InvalidArgumentError(
            f"{PATH} holds no JSON object: pack the archive again"
        )
    return document


def _unambiguous(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; of a key that is there twice, readers take one or the other."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r:.80} is there twice")
        found[key] = value
    return found


def _number(digits: str) -> _Number:
    if not math.isfinite(float(digits)):
        raise ValueError(f"{digits:.20} is out of range")
    return _Number(digits)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


def _texts(source: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, str]:
    return {
        name: _text(key, source[key])
        for name, key in keys.items()
        if source.get(key) is not None
    }


def _text(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise _invalid(key, f"is {type(value).__name__} in JSON: give it as text")


def _flag(key: str, value: object) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _invalid(key, f"is {type(value).__name__} in JSON: give true or false")


def _extensions(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(str(name) for name in value)
    raise _invalid("extensions", "is no list of texts: give it as one")


def _plain(value: object) -> object:
    """Return a kept JSON value with its numbers as Python's own again."""
    match value:
        case _Number():
            return float(value)
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case _:
            return value


def _present(manifest: Manifest, keys: Mapping[str, str]) -> dict[str, str]:
    fields = ((key, getattr(manifest, name)) for name, key in keys.items())
    return {key: value for key, value in fields if value}


def _invalid(key: str, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{PATH}: {key} {problem}")
