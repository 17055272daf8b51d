"""What a TorchServe server was told of its models: config.properties and snapshots."""

import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Final

from homeport.archive.manifest import Manifest
from homeport.errors import InvalidArgumentError
from homeport.worker import javaproperties, modelwords, serverconfig
from homeport.worker.modelwords import Described
from homeport.worker.serverconfig import Properties

_LOAD: Final = "load_models"
_EVERYTHING: Final = "all"
# What acts for every model, and goes along with each archive.
_SHARED: Final[tuple[str, ...]] = (
    "service_envelope",
    "default_response_timeout",
    "default_workers_per_model",
    "job_queue_size",
    "install_py_dep_per_model",
)


@dataclasses.dataclass(frozen=True, slots=True)
class StoreConfig:
    """A server's words.

    Attributes:
        shared: Those that act for every model.
        described: Those for single versions, by the names and versions of models.
        loaded: Archives by file name, each with the names its model was given, "" for
            its own; None for all there are.
        without_effect: The other words' names.
    """

    shared: Mapping[str, str] = dataclasses.field(default_factory=dict)
    described: Described = dataclasses.field(default_factory=dict)
    loaded: Mapping[str, tuple[str, ...]] | None = None
    without_effect: tuple[str, ...] = ()

    def names_of(self, file_name: str, declared: Manifest) -> tuple[str, ...]:
        """Return the names under which a server had this archive's model."""
        described = [
            name
            for name, versions in self.described.items()
            for words in versions.values()
            if words.get("marName") == file_name
        ]
        own = described or [declared.model_name]
        given = (self.loaded or {}).get(file_name, ("",))
        names = [one for name in given for one in ([name] if name else own)]
        return tuple(dict.fromkeys(names))

    def loads(self, file_name: str) -> bool:
        """Tell whether a server with these words had this archive's model."""
        return self.loaded is None or file_name in self.loaded

    def is_default(self, name: str, version: str) -> bool | None:
        """Tell whether it is its model's default version; None where nobody said."""
        said = self.described.get(name, {})
        if not any(words.get("defaultVersion") is True for words in said.values()):
            return None
        return said.get(version, {}).get("defaultVersion") is True

    def beside(self, name: str, declared: Manifest) -> str:
        """Return the config.properties that goes along with an archive, "" for none.

        Args:
            name: The one a server had its model under.
            declared: The archive's manifest, by whose name the words are found again.
        """
        lines = [f"{key}={_escaped(value)}" for key, value in self.shared.items()]
        words = modelwords.of(
            (name, declared.version), self.described, modelwords.MODELS
        )
        if words.values:
            said = {declared.model_name: {declared.version: dict(words.values)}}
            lines.append(f"{modelwords.MODELS}={_escaped(json.dumps(said))}")
        return "".join(f"{line}\n" for line in lines)

    def missing(self, file_names: set[str]) -> tuple[str, ...]:
        """Return the archives that the words name, beside those that there are."""
        named = [*(self.loaded or {})]
        for versions in self.described.values():
            named += [str(words.get("marName", "")) for words in versions.values()]
        return tuple(sorted({one for one in named if one} - file_names))


def read(path: pathlib.Path) -> StoreConfig:
    """Return what a config.properties, or a snapshot of one, says of models.

    Raises:
        InvalidArgumentError: It cannot be read, or a value cannot be what its key
            stands for.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidArgumentError(
            f"{path} cannot be read ({error.strerror}): give the config.properties "
            "that TorchServe was started with"
        ) from error
    if len(content) > serverconfig.MAX_BYTES:
        raise InvalidArgumentError(
            f"{path} has {len(content)} bytes, the limit is {serverconfig.MAX_BYTES}: "
            "give the config.properties that TorchServe was started with"
        )
    return parse(serverconfig.decode(content))


def parse(text: str) -> StoreConfig:
    """Return what the text of a config.properties says of models.

    Raises:
        InvalidArgumentError: A value cannot be what its key stands for.
    """
    # Refuses at once what would be refused with every archive.
    serverconfig.read(Properties(text), {})
    words = javaproperties.parse(text)
    shared = {key: words[key].strip() for key in _SHARED if key in words}
    known = {*_SHARED, *modelwords.WORDS, _LOAD, "enable_envvars_config"}
    described: Described = {}
    loaded = _loaded(words.get(_LOAD, ""))
    for word in (one for one in modelwords.WORDS if one in words):
        described = modelwords.parse(word, words[word], serverconfig.FILE)
        if word == modelwords.SNAPSHOT:
            loaded = _mar_names(described)
        break
    return StoreConfig(shared, described, loaded, tuple(sorted(words.keys() - known)))


def _loaded(text: str) -> dict[str, tuple[str, ...]] | None:
    """Return the archives of load_models, each with the names its model is given."""
    if not text.strip() or text.strip().lower() == _EVERYTHING:
        return None
    found: dict[str, tuple[str, ...]] = {}
    for one in filter(None, re.split(r"\s*,\s*", text.strip())):
        name, _, file_name = one.rpartition("=")
        found[file_name] = (*found.get(file_name, ()), name)
    return found


def _mar_names(described: Described) -> dict[str, tuple[str, ...]]:
    """Return the archives that a snapshot's server had, by the names it describes."""
    return {
        str(words["marName"]): ("",)
        for versions in described.values()
        for words in versions.values()
        if words.get("marName")
    }


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
