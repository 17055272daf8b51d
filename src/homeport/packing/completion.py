"""What an archive's requirements lack of what its code imports."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from homeport.environments import requested
from homeport.packing.imports import Import, ImportScan, Kind
from homeport.packing.installed import Installed
from homeport.worker import distributions

_NAME_RE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclasses.dataclass(frozen=True, slots=True)
class Completion:
    """Requirements with what the code imports.

    Attributes:
        lines: The requirements as they were, then `added`.
        added: `name==version` of each distribution that is imported, that no line
            names, and that is installed here; by name.
        if_they_fit: The same for imports that the code goes on without, and for those
            of modules that nothing was seen to import.
    """

    lines: tuple[str, ...]
    added: tuple[str, ...]
    if_they_fit: tuple[str, ...] = ()


def complete(lines: Sequence[str], scan: ImportScan) -> Completion:
    """Return the requirements with a pin for each distribution they lack.

    Args:
        lines: Requirements, each beginning with its name.
        scan: What the archive imports.
    """
    names = names_of(lines)
    lacking = [found for found in _of_distributions(scan) if not _names(names, found)]
    added = {_pin(found) for found in lacking if found.needed}
    perhaps = {_pin(found) for found in lacking} - added
    return Completion(
        (*lines, *sorted(added)), tuple(sorted(added)), tuple(sorted(perhaps))
    )


def unprovided(
    scan: ImportScan, names: Iterable[str], installed: Installed | None = None
) -> tuple[Import, ...]:
    """Return the needed imports that no package of these names provides.

    What is missing here may come from a package that is not installed here and is
    called differently: as long as there is one that no import accounts for, such
    imports are left out, and only running the code tells. That also tells whether the
    code ever comes to a late one.

    Args:
        scan: What the archive imports.
        names: Of requirements, or of a lock's pins, in any spelling.
        installed: Whose modules are known; by default this environment's.
    """
    given = frozenset(map(distributions.normalize, names))
    unknown = strangers(scan, given, installed or Installed())
    return tuple(
        found
        for found in scan.found
        if found.needed
        and found.kind in {Kind.DISTRIBUTION, Kind.MISSING}
        and not _names(given, found)
        and not (unknown and found.kind is Kind.MISSING and found.distribution)
    )


def strangers(
    scan: ImportScan, names: Iterable[str], installed: Installed
) -> tuple[str, ...]:
    """Return the packages whose modules nobody here knows, sorted.

    They are not installed, and no import of the archive is called like them.
    """
    accounted = {name for found in scan.found for name in _providers(found)}
    given = map(distributions.normalize, names)
    return tuple(
        sorted(
            name for name in given if name not in accounted and not installed.has(name)
        )
    )


def names_of(lines: Iterable[str]) -> frozenset[str]:
    """Return the normalized names of the requirements whose markers hold here."""
    matches = (_NAME_RE.match(line) for line in lines if requested.applies(line))
    return frozenset(distributions.normalize(match[0]) for match in matches if match)


def _of_distributions(scan: ImportScan) -> Iterator[Import]:
    return (found for found in scan.found if found.kind is Kind.DISTRIBUTION)


def _pin(found: Import) -> str:
    return f"{found.distribution}=={found.version}"


def _names(names: frozenset[str], found: Import) -> bool:
    return not names.isdisjoint(_providers(found))


def _providers(found: Import) -> frozenset[str]:
    if not found.distribution:
        return frozenset()
    return distributions.candidates(found.module) | {found.distribution}
