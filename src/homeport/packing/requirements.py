"""A requirements file as an archive may carry it: names and versions, nothing else.

An archive is installed on somebody else's machine, so a line that says where to fetch
from (an index, a URL, a path) is refused. Messages never repeat such a line: it may
hold a password.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from homeport.errors import InvalidArgumentError

# PEP 508: name, extras; what follows is a version specifier, then a marker.
_REQUIREMENT_RE: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*"
    r"(?:\[[A-Za-z0-9._,\s-]*\])?\s*"
    r"\(?(?P<versions>(?:(?:===|[=~!<>]=|[<>])\s*[\w.*+!-]+\s*,?\s*)*)\)?\s*"
    r"(?:;.*)?"
)
_HASH_RE: Final = re.compile(r"\s--hash[= ]\S+")
_COMMENT_RE: Final = re.compile(r"(?:^|\s)#.*")
_PIN_RE: Final = re.compile(r"===?\s*[^*,\s]+")
_ARCHIVE_SUFFIXES: Final = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz")


def check(path: Path) -> tuple[str, ...]:
    """Return a warning for each line that will not install the same everywhere.

    Raises:
        InvalidArgumentError: The file is not UTF-8, or a line is an option, URL, path
            or no requirement at all; the message names the line by its number.
    """
    warnings = [
        _check_line(f"{path.name} line {number}", line)
        for number, line in _logical_lines(_text(path))
    ]
    return tuple(warning for warning in warnings if warning)


def read(path: Path) -> tuple[str, ...]:
    """Return the requirements, each on one line, without comments.

    Raises:
        InvalidArgumentError: The file is not UTF-8.
    """
    return tuple(line for _, line in _logical_lines(_text(path)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"{path.name} is not UTF-8 text: save it as UTF-8"
        ) from error


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each requirement with the number of its first line, joined and bare."""
    first, gathered = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if gathered else number
        if line.endswith("\\"):
            gathered += line[:-1] + " "
            continue
        bare = _COMMENT_RE.sub("", gathered + line).strip()
        gathered = ""
        if bare:
            yield first, bare
    if gathered.strip():
        yield first, gathered.strip()


def _check_line(where: str, line: str) -> str:
    """Return the line's warning, "" for none."""
    if line.startswith("-"):
        option = re.split(r"[\s=]", line, maxsplit=1)[0]
        raise InvalidArgumentError(
            f"{where} is the option {option:.40}: an archive's requirements are "
            "names and versions alone, put such options where it is installed"
        )
    requirement = _HASH_RE.sub("", line).strip()
    _check_location(where, requirement)
    match = _REQUIREMENT_RE.fullmatch(requirement)
    if match is None:
        raise InvalidArgumentError(
            f"{where} ({requirement!r:.80}) is no requirement: "
            "write a name and a version, as in numpy==2.1.0"
        )
    name, versions = match["name"], match["versions"].strip()
    if not _PIN_RE.fullmatch(versions):
        return f"{where}: {name} is not pinned, write {name}==VERSION"
    if "+" in versions:
        return (
            f"{where}: {name}{versions} is a local version no public index has, "
            f"write {name}{versions.partition('+')[0]}"
        )
    return ""


def _check_location(where: str, requirement: str) -> None:
    plain = requirement.partition(";")[0].strip()
    kind = ""
    if "://" in plain or plain.startswith(("git+", "file:")):
        kind = "a URL"
    elif plain.startswith(".") or "/" in plain or "\\" in plain:
        kind = "a path"
    elif plain.lower().endswith(_ARCHIVE_SUFFIXES):
        kind = "a file"
    if kind:
        raise InvalidArgumentError(
            f"{where} is {kind}: name a released package and its version, or pack "
            "your own modules with --extra-files"
        )
