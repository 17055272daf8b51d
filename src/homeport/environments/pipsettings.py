"""Where the user's pip finds packages, told to uv, which does not read it itself."""

import configparser
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Final

_SYSTEM_FILE: Final = pathlib.Path("/etc/pip.conf")
# pip's option, and uv's variable for it.
_SETTINGS: Final = {"find-links": "UV_FIND_LINKS", "index-url": "UV_DEFAULT_INDEX"}
# What the user has told uv stays: the older spelling counts too.
_OLDER: Final = {"UV_DEFAULT_INDEX": "UV_INDEX_URL"}


def as_uv(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of uv that say what pip's settings say.

    pip's variables win over its files, and uv's own variables, which are not among
    those returned, over both. Further indexes of pip (`extra-index-url`) are not
    handed on: uv searches several indexes in another way.
    """
    said = {}
    files = _read_files(environ)
    for option, variable in _SETTINGS.items():
        if environ.get(variable) or environ.get(_OLDER.get(variable, "")):
            continue
        name = "PIP_" + option.upper().replace("-", "_")
        value = (environ.get(name) or files.get(option, "")).split()
        if value:
            # pip separates places by spaces, uv by commas.
            said[variable] = ",".join(value)
    return said


def _read_files(environ: Mapping[str, str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for path in _files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            # pip itself will tell whoever uses it.
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                said |= dict(parser.items(section))
    return said


def _files(environ: Mapping[str, str]) -> Iterator[pathlib.Path]:
    """Yield the files that pip reads, the strongest last."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    home = pathlib.Path(environ.get("HOME", "/nonexistent"))
    config = pathlib.Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    yield _SYSTEM_FILE
    yield home / ".pip/pip.conf"
    yield config / "pip/pip.conf"
    yield pathlib.Path(sys.prefix) / "pip.conf"
    if named:
        yield pathlib.Path(named)
