"""What a deployment asks of the machine, against what this host has."""

import dataclasses
import os
import re
from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.resources.endpoint import DedicatedResources

# The vCPU count that ends the names of Google Cloud's machine types: n1-standard-4.
_MACHINE_CORES: Final = re.compile(r"[a-z0-9]+-[a-z]+-([0-9]+)")
REPLICAS_PER_CORE: Final = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """What this machine has.

    Attributes:
        cores: Cores the server may use.
    """

    cores: int


def this_host() -> Host:
    """Return what this machine has now."""
    # Not every system has affinities.
    if hasattr(os, "sched_getaffinity"):
        return Host(len(os.sched_getaffinity(0)))
    return Host(os.cpu_count() or 1)


def check_resources(resources: DedicatedResources, host: Host) -> None:
    """Refuse replica counts that cannot be meant.

    Raises:
        InvalidArgumentError: A minimum under 1, more than 64 for each core of this
            host, or a maximum under the minimum.
    """
    low, high = resources.min_replica_count, resources.max_replica_count
    if low < 1:
        raise InvalidArgumentError(f"min_replica_count is {low}: at least 1")
    # Each is a process of tens of MB that is started, watched and drained; beyond the
    # cores more of them answer no faster.
    most = REPLICAS_PER_CORE * host.cores
    for name, count in (("min_replica_count", low), ("max_replica_count", high)):
        if count > most:
            raise InvalidArgumentError(
                f"{name} is {count}: at most {most}, {REPLICAS_PER_CORE} for each core "
                "of this host"
            )
    if high < low:
        raise InvalidArgumentError(
            f"max_replica_count is {high}: at least min_replica_count, which is {low}"
        )


def shortages(resources: DedicatedResources, host: Host) -> tuple[str, ...]:
    """Return one sentence for each thing asked for that the host does not give."""
    found = []
    machine = _MACHINE_CORES.fullmatch(resources.machine_type)
    if machine and int(machine[1]) > host.cores:
        found.append(
            f"machine_type {resources.machine_type} has {machine[1]} cores and this "
            f"host {host.cores}: replicas use what is there"
        )
    if resources.accelerator_count:
        found.append(
            f"{resources.accelerator_count} {resources.accelerator_type} asked for: "
            "replicas run on the CPU, whatever this host has"
        )
    return tuple(found)
