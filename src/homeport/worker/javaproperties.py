"""Java's .properties text, the form of TorchServe's config.properties."""

import re
from collections.abc import Iterator
from typing import Final

from homeport.errors import InvalidArgumentError

_BLANKS: Final = " \t\f"
_COMMENTS: Final = ("#", "!")
# A key ends at the first blank, = or : that no backslash stands before.
_KEY_RE: Final = re.compile(
    r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL
)
_ESCAPE_RE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|.|$)", re.DOTALL)
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse(text: str) -> dict[str, str]:
    r"""Return the values by key; of a key given twice the last value counts.

    Raises:
        InvalidArgumentError: A \\u is not followed by four hexadecimal digits.
    """
    values = {}
    for line in _logical_lines(text):
        match = _KEY_RE.fullmatch(line)
        key, value = match.groups() if match else (line, "")
        values[_unescape(key)] = _unescape(value)
    return values


def _logical_lines(text: str) -> Iterator[str]:
    """Yield the lines, each joined with those it goes on in; no comments, no blanks."""
    begun = ""
    for natural in re.split(r"\r\n|\r|\n", text):
        line = natural.lstrip(_BLANKS)
        if not begun and (not line or line.startswith(_COMMENTS)):
            continue
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            begun += line[:-1]
            continue
        yield begun + line
        begun = ""
    if begun:
        yield begun


def _unescape(text: str) -> str:
    return _ESCAPE_RE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) > 1:
        return chr(int(escape[1:], 16))
    if escape == "u":
        raise InvalidArgumentError(
            "config.properties has a \\u without four hexadecimal digits after it: "
            "write a backslash itself as \\\\"
        )
    return _CONTROLS.get(escape, escape)
