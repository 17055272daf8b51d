"""The lock of an archive: every package of its environment, at one version.

Requirements text without a host or path in it, for one version of Python and one
platform. This is a format: locks travel in archives and are built years later.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Final

from homeport.errors import InvalidArgumentError

PATH: Final = "MAR-INF/requirements.lock"
MAX_BYTES: Final = 1 << 20
_PYTHON_RE: Final = re.compile(r"# python: (\d{1,2}\.\d{1,3})")
_PLATFORM_RE: Final = re.compile(r"# platform: ([A-Za-z0-9_.-]{1,64})")
_PIN_RE: Final = re.compile(
    r"(?P<name>[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?)"
    r"==(?P<version>[0-9][A-Za-z0-9.!_-]{0,127})"
    r"(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})*)"
)
_CONTINUED_RE: Final = re.compile(r"\s*\\\n\s*")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Pin:
    """One package at one version.

    Attributes:
        name: As the index normalises it: lower case, hyphens.
        version: Without the part behind `+` that only one index knows.
        hashes: The sha256 of each file that may be installed, hexadecimal; none allow
            any, as for a package that was found on the packing machine alone.
    """

    name: str
    version: str
    hashes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Lock:
    """What an environment holds.

    Attributes:
        text: As it lies in the archive.
        python: The version it is for, as in "3.11".
        platform: Where it can be installed, as in "linux-x86_64".
        pins: By name, each name once.
    """

    text: str
    python: str
    platform: str
    pins: tuple[Pin, ...]

    @property
    def digest(self) -> str:
        """The sha256 of the text, hexadecimal; covers Python and platform."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def make(python: str, platform: str, pins: tuple[Pin, ...]) -> Lock:
    """Return the lock of these packages, with its text written."""
    ordered = tuple(sorted(pins))
    header = f"# python: {python}\n# platform: {platform}\n"
    return Lock(header + write(ordered), python, platform, ordered)


def write(pins: Iterable[Pin]) -> str:
    """Return the lines of a requirements file that ask for exactly these packages."""
    lines = []
    for pin in pins:
        hashes = (f"    --hash=sha256:{digest}" for digest in sorted(pin.hashes))
        lines.append(" \\\n".join((f"{pin.name}=={pin.version}", *hashes)) + "\n")
    return "".join(lines)


def parse(text: str) -> Lock:
    """Return the lock that `text` is.

    Raises:
        InvalidArgumentError: It is none: too long, no header, a line that is not a
            name, a version and hashes, or a name twice. The line is not repeated, it
            may hold a password.
    """
    if len(text) > MAX_BYTES:
        raise InvalidArgumentError(
            f"{PATH} is longer than {MAX_BYTES >> 20} MiB: pack the archive again"
        )
    python, platform = "", ""
    pins: dict[str, Pin] = {}
    for number, line in _logical_lines(text):
        if line.startswith("#"):
            python = _said(_PYTHON_RE, line) or python
            platform = _said(_PLATFORM_RE, line) or platform
            continue
        pin = _parse_pin(number, line)
        if pin.name in pins:
            raise _refused(number, f"names {pin.name} again")
        pins[pin.name] = pin
    if not python or not platform:
        raise InvalidArgumentError(
            f"{PATH} does not say which Python and platform it is for: "
            "pack the archive again with homeport pack --lock"
        )
    return Lock(text, python, platform, tuple(sorted(pins.values())))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that says something, with its number, continuations joined."""
    number = 1
    for line in re.split(r"(?<!\\)\n", text):
        joined = _CONTINUED_RE.sub(" ", line).strip()
        if joined:
            yield number, joined
        number += line.count("\n") + 1


def _said(pattern: re.Pattern[str], line: str) -> str:
    match = pattern.fullmatch(line)
    return match[1] if match else ""


def _parse_pin(number: int, line: str) -> Pin:
    match = _PIN_RE.fullmatch(line)
    if match is None:
        raise _refused(number, "is not a name, a version and sha256 hashes")
    hashes = tuple(
        part.removeprefix("--hash=sha256:") for part in match["hashes"].split()
    )
    return Pin(match["name"], match["version"], hashes)


def _refused(number: int, what: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{PATH} line {number} {what}: pack the archive again, or take the lock out"
    )
