"""What is asked for: lines of a requirements file, which say what and never where."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from homeport.archive.lockfile import Pin
from homeport.errors import DataLossError, InvalidArgumentError

_COMMENT_RE: Final = re.compile(r"(?:^|\s)#.*")
_HASH_RE: Final = re.compile(r"\s--hash[= ](?:sha256:([0-9a-fA-F]{64})\b|\S+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Requested:
    """Lines that were understood.

    Attributes:
        lines: Names, versions and markers.
        hashes: By normalised name, the sha256 of each file that its lines allow.
    """

    lines: tuple[str, ...]
    hashes: Mapping[str, frozenset[str]]

    def choose(self, here: Mapping[str, str]) -> tuple[Pin, ...]:
        """Return those of the versions in `here`, by name, that the lines allow."""
        asked = [Requirement(line) for line in self.lines]
        return tuple(
            Pin(name, version)
            for name, version in sorted(here.items())
            if all(
                one.specifier.contains(version, prereleases=True)
                for one in asked
                if canonicalize_name(one.name) == name
            )
        )

    def restrict(self, pin: Pin) -> Pin:
        """Return the pin with no other hashes than those its line allows.

        Raises:
            DataLossError: It allows none of the pin's.
        """
        allowed = self.hashes.get(pin.name)
        if not allowed:
            return pin
        kept = allowed.intersection(pin.hashes) if pin.hashes else allowed
        if not kept:
            raise DataLossError(
                f"no file of {pin.name} {pin.version} in the index has a sha256 that "
                "the requirements give: correct the --hash, or see where the index "
                "gets that file from"
            )
        return dataclasses.replace(pin, hashes=tuple(sorted(kept)))


def parse(lines: Sequence[str]) -> Requested:
    """Return what the lines ask for, without comments and empty ones.

    Raises:
        InvalidArgumentError: A line is no requirement, or says where to fetch from.
    """
    kept: list[str] = []
    hashes: dict[str, frozenset[str]] = {}
    for line in lines:
        bare = _COMMENT_RE.sub("", line).strip()
        allowed = [digest.lower() for digest in _HASH_RE.findall(bare) if digest]
        bare = _HASH_RE.sub("", bare).strip()
        if bare:
            name = canonicalize_name(_parse_line(bare).name)
            kept.append(bare)
            if allowed:
                hashes[name] = hashes.get(name, frozenset()) | frozenset(allowed)
    return Requested(tuple(kept), hashes)


def applies(line: str) -> bool:
    """Tell whether a requirement's marker holds here; a broken line counts as if."""
    if ";" not in line:
        return True
    try:
        marker = Requirement(_HASH_RE.sub("", line).strip()).marker
    except InvalidRequirement:
        return True
    return marker is None or marker.evaluate()


def _parse_line(line: str) -> Requirement:
    """Return the requirement, which is a name and versions; it is not repeated."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        raise _refused(line, "is no name of a package with versions") from error
    if requirement.url:
        raise _refused(line, "says where to fetch from")
    return requirement


def _refused(line: str, why: str) -> InvalidArgumentError:
    name = re.match(r"[\w.-]{0,40}", line)
    shown = name[0] if name else ""
    return InvalidArgumentError(
        f"the requirement that begins with {shown!r} {why}: "
        "write a name and a version, as in numpy==2.1.0"
    )
