"""Comparison: in what two versions differ."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from homeport.resources.lineage import Provenance

# Of a long list of differences, as many are told; all are counted.
MAX_TOLD: Final = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Side:
    """One of the two versions, as far as it is compared.

    Attributes:
        provenance: The version, where it comes from, and its check.
        facts: Its words, its container and the forms it predicts by, in wire JSON.
        files: What its artifact has, each by its sha256 and length.
        members: What its archive has, each by its checksum and length; empty without
            an archive.
        packages: What its lock has, each at its version.
        metrics: What was measured of it, by evaluation and metric.
    """

    provenance: Provenance
    facts: Mapping[str, Any]
    files: Mapping[str, Any]
    members: Mapping[str, Any]
    packages: Mapping[str, str]
    metrics: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same on both sides; None where it is not there."""

    key: str
    first: Any
    second: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Differences:
    """In what two mappings differ.

    Attributes:
        same: How many keys have one value on both sides.
        different: How many have not.
        told: Up to 1000 of those, by key.
    """

    same: int
    different: int
    told: tuple[Difference, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions side by side.

    Attributes:
        first: One.
        second: The other.
        differences: By what is compared: facts, labels, lineage, files, members,
            packages, metrics.
    """

    first: Side
    second: Side
    differences: Mapping[str, Differences]


def compare(first: Side, second: Side) -> Comparison:
    """Return in what two versions differ."""
    return Comparison(
        first,
        second,
        {
            what: difference(one, other)
            for what, one, other in zip(
                _COMPARED, _compared(first), _compared(second), strict=True
            )
        },
    )


def difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> Differences:
    """Return in what two mappings differ."""
    keys = sorted(first.keys() | second.keys())
    differing = [key for key in keys if first.get(key) != second.get(key)]
    return Differences(
        same=len(keys) - len(differing),
        different=len(differing),
        told=tuple(
            Difference(key, first.get(key), second.get(key))
            for key in differing[:MAX_TOLD]
        ),
    )


_COMPARED: Final = (
    "facts",
    "labels",
    "lineage",
    "files",
    "members",
    "packages",
    "metrics",
)


def _compared(side: Side) -> Sequence[Mapping[str, Any]]:
    """Return the mappings of a side, in the order of `_COMPARED`."""
    return (
        side.facts,
        side.provenance.version.labels,
        side.provenance.lineage,
        side.files,
        side.members,
        side.packages,
        side.metrics,
    )
