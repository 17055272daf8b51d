"""What a deployment asks of the machine, against what this host has."""

import dataclasses
import os
import pathlib
import re
from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.resources.endpoint import DedicatedResources

# The vCPU count that ends the names of Google Cloud's machine types: n1-standard-4.
_MACHINE_CORES: Final = re.compile(r"[a-z0-9]+-[a-z]+-([0-9]+)[a-z]*")


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """What this machine has.

    Attributes:
        cores: Cores the server may use.
        gpus: NVIDIA devices.
    """

    cores: int
    gpus: int


def this_host() -> Host:
    """Return what this machine has now."""
    gpus = len(list(pathlib.Path("/dev").glob("nvidia[0-9]*")))
    return Host(len(os.sched_getaffinity(0)), gpus)


def check_resources(resources: DedicatedResources) -> None:
    """Refuse replica counts that cannot be meant.

    Raises:
        InvalidArgumentError: A minimum under 1, or a maximum under the minimum.
    """
    low, high = resources.min_replica_count, resources.max_replica_count
    if low < 1:
        raise InvalidArgumentError(f"min_replica_count is {low}: at least 1")
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
    if resources.accelerator_count > host.gpus:
        found.append(
            f"{resources.accelerator_count} {resources.accelerator_type} asked for "
            f"and this host has {host.gpus} GPUs: replicas run on the CPU"
        )
    if resources.max_replica_count > resources.min_replica_count:
        found.append(
            f"max_replica_count {resources.max_replica_count} has no effect: replicas "
            f"are not scaled on load, {resources.min_replica_count} always run"
        )
    return tuple(found)
