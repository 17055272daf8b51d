"""Partial responses: the parameter `fields`, which names what of a resource is told.

Google's grammar: `a,b` both, `a/b` what lies inside `a`, `a(b,c)` several of it, `*`
all there is. It goes through lists, so `items/name` is the name of each item.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from homeport.errors import InvalidArgumentError

_TOKEN_RE: Final = re.compile(r"\s*([A-Za-z0-9_*.\-]+|[,/()])\s*")
_MAX_CHARACTERS: Final = 8192
_MAX_DEPTH: Final = 32

# What is told of each field; of one without any inside, all.
_Mask = dict[str, "_Mask"]


def selected(document: dict[str, Any], fields: str) -> dict[str, Any]:
    """Return what `fields` asks for of a document, all of it for "".

    A field that is not there is left out, whatever its name.

    Raises:
        InvalidArgumentError: It is not of the grammar.
    """
    if not fields:
        return document
    if len(fields) > _MAX_CHARACTERS:
        raise _refused(fields, f"it has over {_MAX_CHARACTERS} characters")
    reader = _Reader(fields, [*_tokens(fields), ""])
    mask = reader.read_list(_MAX_DEPTH)
    reader.expect("")
    return _object_of(document, mask)


@dataclasses.dataclass(slots=True)
class _Reader:
    """Reads a mask from tokens, the last of which is "".

    Attributes:
        fields: The parameter.
        tokens: Its tokens.
        place: The next of them.
    """

    fields: str
    tokens: list[str]
    place: int = 0

    def read_list(self, depth: int) -> _Mask:
        mask: _Mask = {}
        self._read_path(mask, depth)
        while self.tokens[self.place] == ",":
            self.place += 1
            self._read_path(mask, depth)
        return mask

    def expect(self, token: str) -> None:
        if self.tokens[self.place] != token:
            wanted = f"{token!r} is missing" if token else "it should end"
            raise _refused(self.fields, f"{wanted} at {self.tokens[self.place]!r}")
        self.place += 1

    def _read_path(self, mask: _Mask, depth: int) -> None:
        name = self.tokens[self.place]
        if name in {"", ",", "/", "(", ")"} or depth == 0:
            raise _refused(self.fields, f"a name is missing at {name!r}")
        self.place += 1
        known = name in mask
        inside = mask.setdefault(name, {})
        match self.tokens[self.place]:
            case "/":
                self.place += 1
                below: _Mask = {}
                self._read_path(below, depth - 1)
            case "(":
                self.place += 1
                below = self.read_list(depth - 1)
                self.expect(")")
            case _:
                below = {}
        # `a,a/b` asks for all of `a`.
        if known and not (inside and below):
            inside.clear()
        else:
            inside.update(below)


def _tokens(fields: str) -> Iterator[str]:
    place = 0
    while place < len(fields):
        match = _TOKEN_RE.match(fields, place)
        if match is None:
            raise _refused(fields, f"{fields[place]!r} has no meaning in it")
        yield match[1]
        place = match.end()


def _told(value: Any, mask: _Mask) -> Any:  # noqa: ANN401  # JSON
    if not mask:
        return value
    if isinstance(value, list):
        return [_told(each, mask) for each in value]
    return _object_of(value, mask) if isinstance(value, dict) else value


def _object_of(document: Mapping[str, Any], mask: _Mask) -> dict[str, Any]:
    if "*" in mask:
        return {name: _told(value, mask["*"]) for name, value in document.items()}
    return {
        name: _told(document[name], inside)
        for name, inside in mask.items()
        if name in document
    }


def _refused(fields: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"fields {fields!r:.200}: {why}; write it as kind,items(name,size)"
    )
