"""How large Google Cloud's machine types are, and what of that this host gives."""

import dataclasses
import os
from typing import Final

from homeport.serving import machines, machinetypes

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
    """Return how large a machine type is on this host, None if its name does not say.

    An upper limit: a host that has less gives what it has.
    """
    machine = machinetypes.read(machine_type)
    if machine is None or machine.cores is None:
        return None
    sizes = _GB_PER_CORE_OF_N1 if machine.family == "n1" else _GB_PER_CORE
    per_core = sizes.get(machine.kind)
    memory_bytes = None
    if per_core is not None:
        host_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory_bytes = min(int(machine.cores * per_core * _GIB), host_bytes)
    return MachineSize(min(machine.cores, machines.this_host().cores), memory_bytes)
