"""Google Cloud's machine types, read from the names that it gives them."""

import dataclasses
import re
from typing import Final

from homeport.errors import InvalidArgumentError

_FORM: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)+")
# A number with a letter counts accelerators: a2-highgpu-1g, ct5lp-hightpu-4t.
_NAME: Final = re.compile(r"([a-z]+[0-9]+[a-z]*)-([a-z]+)(?:-([0-9]+)([gt])?)?(?:-.+)?")
# https://cloud.google.com/compute/docs/machine-resource
_FAMILIES: Final = frozenset(
    {"a2", "a3", "a4", "a4x", "c2", "c2d", "c3", "c3d", "c4", "c4a", "c4d", "ct5l",
     "ct5lp", "ct5p", "ct6e", "e2", "g2", "g4", "h3", "h4d", "m1", "m2", "m3", "m4",
     "n1", "n2", "n2d", "n4", "n4a", "n4d", "t2a", "t2d", "tpu7x", "x4", "z3"}
)  # fmt: skip
_KINDS: Final = frozenset(
    {"edgegpu", "highcpu", "highgpu", "highlssd", "highmem", "hightpu", "maxgpu",
     "medium", "megagpu", "megamem", "micro", "small", "standard", "standardlssd",
     "ultragpu", "ultramem"}
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class MachineType:
    """What a name says of a machine.

    Attributes:
        family: n1, e2, g2.
        kind: standard, highmem, highcpu.
        cores: Its vCPUs, None where the name does not count them.
    """

    family: str
    kind: str
    cores: int | None


def read(name: str) -> MachineType | None:
    """Return what a name says, None for one that is not known here."""
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in _FAMILIES or found[2] not in _KINDS:
        return None
    counts_cores = found[3] is not None and found[4] is None
    return MachineType(found[1], found[2], int(found[3]) if counts_cores else None)


def check_form(name: str) -> None:
    """Refuse what is no machine type's name in any year; "" is none and fine.

    Raises:
        InvalidArgumentError: It is none.
    """
    if name and not _FORM.fullmatch(name):
        raise InvalidArgumentError(
            f"machine_type is {name!r:.80}: give a name of Google Cloud's such as "
            "n1-standard-4, or leave it out for the host's own size"
        )
