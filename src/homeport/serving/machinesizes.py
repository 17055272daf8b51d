"""How large Google Cloud's machine types are, and what of that this host gives."""

import dataclasses
import os
import re
from typing import Final

from homeport.serving import machines

_NAME: Final = re.compile(r"([a-z0-9]+)-([a-z]+)-([0-9]+)(?:-.*)?")
# GB for each vCPU, by the kind of machine; the first generation has its own.
_GB_PER_CORE: Final = {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0}
_GB_PER_CORE_OF_N1: Final = {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9}
_GIB: Final = 1 << 30


@dataclasses.dataclass(frozen=True, slots=True)
class MachineSize:
    """What a replica may take.

    Attributes:
        cores: Of the processor.
        memory_bytes: None for no limit: the kind of machine is not known.
    """

    cores: int
    memory_bytes: int | None


def size(machine_type: str) -> MachineSize | None:
    """Return how large a machine type is on this host, None for an unknown name.

    An upper limit: a host that has less gives what it has.
    """
    found = _NAME.fullmatch(machine_type)
    if found is None:
        return None
    family, kind, cores = found[1], found[2], int(found[3])
    per_core = (_GB_PER_CORE_OF_N1 if family == "n1" else _GB_PER_CORE).get(kind)
    memory_bytes = None
    if per_core is not None:
        host_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory_bytes = min(int(cores * per_core * _GIB), host_bytes)
    return MachineSize(min(cores, machines.this_host().cores), memory_bytes)
