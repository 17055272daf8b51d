"""What TorchServe's server would be told: config.properties and TS_* variables.

The few words that mean something for one model act here; the others are named, so that
nobody waits for their effect. Variables go before the files (TorchServe's order), and
the operator's file beside an archive before the author's in it, word by word.
"""

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any, Final

from homeport.errors import InvalidArgumentError
from homeport.resources.torchserve import TorchServeWords
from homeport.worker import javaproperties, modelwords
from homeport.worker.modelwords import ModelWords

FILE: Final = "config.properties"
MAX_BYTES: Final = 1 << 20
_BESIDE: Final = f"{FILE} beside the archive"
_PREFIX: Final = "TS_"
_ENABLE: Final = "enable_envvars_config"
_ENVELOPE: Final = "service_envelope"
_TIMEOUT: Final = "default_response_timeout"
_WORKERS: Final = "default_workers_per_model"
_INSTALL: Final = "install_py_dep_per_model"
_QUEUE: Final = "job_queue_size"


class Envelope(enum.StrEnum):
    """How a request's body becomes what a handler is given."""

    JSON = "json"
    BODY = "body"


@dataclasses.dataclass(frozen=True, slots=True)
class ServerConfig:
    """What acts of it, and what there is to say about the rest.

    Attributes:
        envelope: For the author's handler.
        response_timeout_s: The longest one call may take, None where not given.
        response_timeout_source: Where that was set, "" where not given.
        words: What acts where a version is deployed.
        model_words: What is said of the one model, by the keys of model-config.yaml.
        notes: Lines for the replica's log.
    """

    envelope: Envelope = Envelope.JSON
    response_timeout_s: float | None = None
    response_timeout_source: str = ""
    words: TorchServeWords = dataclasses.field(default_factory=TorchServeWords)
    model_words: Mapping[str, int] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class _Word:
    name: str
    text: str
    place: str

    def refuse(self, expected: str) -> InvalidArgumentError:
        return InvalidArgumentError(
            f"{self.name} is {self.text!r:.40} in {self.place}: give {expected}"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Properties:
    """The text of each config.properties there is, "" for none.

    Attributes:
        inside: Of the archive's.
        beside: Of the one that lies beside the archive.
    """

    inside: str = ""
    beside: str = ""


def decode(content: bytes) -> str:
    """Return the text of a config.properties, as Java reads it on every platform."""
    return content.decode("iso-8859-1")


def read(
    properties: Properties,
    environment: Mapping[str, str],
    model: tuple[str, str] = ("", ""),
) -> ServerConfig:
    """Return what the files and the variables say.

    Args:
        properties: The files.
        environment: The deployment's variables; those beginning with TS_ are looked at.
        model: Name and version of the one model that `models` is read for.

    Raises:
        InvalidArgumentError: A value cannot be what its key stands for.
    """
    in_files = _words(properties.inside, FILE) | _words(properties.beside, _BESIDE)
    variables = {
        name.removeprefix(_PREFIX).lower(): _Word(
            name, value.strip(), "the deployment's variables"
        )
        for name, value in environment.items()
        if name.startswith(_PREFIX)
    }
    enabled = variables.get(_ENABLE) or in_files.get(_ENABLE)
    if enabled is not None and _switch(enabled):
        return _interpret(in_files | variables, [], model)
    variables.pop(_ENABLE, None)
    return _interpret(in_files, sorted(word.name for word in variables.values()), model)


def _words(text: str, place: str) -> dict[str, _Word]:
    return {
        key: _Word(key, value.strip(), place)
        for key, value in javaproperties.parse(text).items()
    }


def _interpret(
    words: Mapping[str, _Word], unread: list[str], model: tuple[str, str]
) -> ServerConfig:
    later = {key: _LATER_VALUES[key](words[key]) for key in _LATER & words.keys()}
    said = _said_of(model, words)
    timeout_s, source = _timeout(words.get(_TIMEOUT), said, words)
    return ServerConfig(
        envelope=_envelope(words[_ENVELOPE]) if _ENVELOPE in words else Envelope.JSON,
        response_timeout_s=timeout_s,
        response_timeout_source=source,
        words=TorchServeWords(
            default_workers=later.get(_WORKERS),
            queue_length=later.get(_QUEUE),
            install_requirements=later.get(_INSTALL),
        ),
        model_words=said.values,
        notes=(*_notes(words, later), *said.notes, *_note_on_unread(unread)),
    )


def _said_of(model: tuple[str, str], words: Mapping[str, _Word]) -> ModelWords:
    """Return what is said of one model, by the word that TorchServe looks at first."""
    for word in (words[key] for key in modelwords.WORDS if key in words):
        described = modelwords.parse(word.name, word.text, word.place)
        return modelwords.of(model, described, f"{word.name} in {word.place}")
    return ModelWords()


def _timeout(
    word: _Word | None, said: ModelWords, words: Mapping[str, _Word]
) -> tuple[float | None, str]:
    if modelwords.RESPONSE_TIMEOUT in said.values:
        place = next(words[key].place for key in modelwords.WORDS if key in words)
        seconds = said.values[modelwords.RESPONSE_TIMEOUT]
        return seconds, f"{modelwords.RESPONSE_TIMEOUT} in {place}"
    if word is None:
        return None, ""
    return _whole(word, least=1), f"{word.name} in {word.place}"


def _notes(words: Mapping[str, _Word], later: Mapping[str, object]) -> list[str]:
    notes = []
    if _INSTALL in later:
        word = words[_INSTALL]
        notes.append(_later_note(word.name, later[_INSTALL], word.place))
    others = words.keys() - _LATER - {_ENABLE, _ENVELOPE, _TIMEOUT, *modelwords.WORDS}
    for place in sorted({words[key].place for key in others}):
        names = [words[key].name for key in others if words[key].place == place]
        notes.append(no_effect_note(names, place))
    return notes


def _later_note(name: str, value: object, place: str) -> str:
    """Return the line about a word that is understood and does not act yet."""
    return f"{name} is {value} in {place}: stored with the version, acts later"


def no_effect_note(names: list[str], place: str) -> str:
    """Return the line about words that will never act here; values are not shown."""
    return f"no effect on serving, in {place}: {', '.join(sorted(names))}"


def _note_on_unread(names: list[str]) -> list[str]:
    if not names:
        return []
    variable = f"{_PREFIX}{_ENABLE.upper()}"
    return [
        f"{', '.join(names)}: read by nobody but the handler, as TorchServe's variables"
        f" act with {_ENABLE}=true in {FILE} or {variable}=true"
    ]


def _envelope(word: _Word) -> Envelope:
    try:
        return Envelope(word.text)
    except ValueError as error:
        raise word.refuse("json or body, or leave it out") from error


def _switch(word: _Word) -> bool:
    match word.text.lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            raise word.refuse("true or false")


def _whole(word: _Word, *, least: int) -> int:
    expected = f"a whole number, at least {least}"
    if not word.text.isascii() or not word.text.isdigit():
        raise word.refuse(expected)
    if len(word.text) > 9 or int(word.text) < least:  # noqa: PLR2004  # Java's int
        raise word.refuse(expected)
    return int(word.text)


_LATER_VALUES: Final[Mapping[str, Callable[[_Word], Any]]] = {
    # 0 lets TorchServe count the cores.
    _WORKERS: lambda word: _whole(word, least=0),
    _INSTALL: _switch,
    _QUEUE: lambda word: _whole(word, least=1),
}
_LATER: Final = frozenset(_LATER_VALUES)
