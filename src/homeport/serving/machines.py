"""What a deployment asks of the machine, against what this host has."""

import dataclasses
import functools
import os
import re
import shutil
import subprocess
from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.resources.endpoint import DedicatedResources
from homeport.serving import machinetypes

# What tells accelerators of the service's names apart: NVIDIA_H100_80GB is an H100.
_GPU_MODEL: Final = re.compile(r"[A-Z]+[0-9]+")
_GPU_QUERY: Final = ("--query-gpu=name", "--format=csv,noheader")
_GPU_TIMEOUT_S: Final = 20.0
REPLICAS_PER_CORE: Final = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """What this machine has.

    Attributes:
        cores: Cores the server may use.
        gpus: The names of its GPUs, in the order of the bus.
    """

    cores: int
    gpus: tuple[str, ...] = ()


def this_host() -> Host:
    """Return what this machine has now."""
    # Not every system has affinities.
    if hasattr(os, "sched_getaffinity"):
        return Host(len(os.sched_getaffinity(0)), _gpus())
    return Host(os.cpu_count() or 1, _gpus())


@functools.cache  # a host keeps its GPUs while a server runs
def _gpus() -> tuple[str, ...]:
    """Return the names of this host's GPUs, as NVIDIA's own command tells them."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ()
    try:
        told = subprocess.run(  # noqa: S603  # found on PATH, fixed arguments
            [command, *_GPU_QUERY],
            capture_output=True,
            check=True,
            text=True,
            timeout=_GPU_TIMEOUT_S,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        # A driver that does not answer serves nobody.
        return ()
    return tuple(line.strip() for line in told.splitlines() if line.strip())


def check_resources(resources: DedicatedResources, host: Host) -> None:
    """Refuse what cannot be meant.

    Raises:
        InvalidArgumentError: A minimum under 1, more than 64 replicas for each core of
            this host, or a maximum under the minimum.
    """
    low, high = resources.min_replica_count, resources.max_replica_count
    if low < 1:
        raise InvalidArgumentError(
            f"min_replica_count is {low}: give 1 or more (0 means 1), nothing is "
            "scaled to zero here"
        )
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
    found = _missing_machine(resources.machine_type, host)
    if resources.accelerator_count:
        found += _missing_accelerators(resources, host)
    return tuple(found)


def _missing_machine(machine_type: str, host: Host) -> list[str]:
    if not machine_type:
        return []
    machine = machinetypes.read(machine_type)
    if machine is None:
        return [
            f"machine_type {machine_type} is none that is known here: it limits nothing"
        ]
    if machine.cores is None or machine.cores <= host.cores:
        return []
    return [
        f"machine_type {machine_type} has {machine.cores} cores and this host "
        f"{host.cores}: replicas use what is there"
    ]


def _missing_accelerators(resources: DedicatedResources, host: Host) -> list[str]:
    count, kind = resources.accelerator_count, resources.accelerator_type
    has, low = len(host.gpus), resources.min_replica_count
    if not has or not kind.startswith("NVIDIA_"):
        return [
            f"{count} {kind} asked for, and this host has none: replicas run on the CPU"
        ]
    found = []
    model = _GPU_MODEL.search(kind)
    if model and not any(model[0] in name for name in host.gpus):
        found.append(
            f"{kind} asked for, and this host has {host.gpus[0]}: that is used"
        )
    if count > has:
        found.append(
            f"{count} {kind} asked for, and this host has {has}: those are used"
        )
    elif count * low > has:
        found.append(
            f"{low} replicas with {count} {kind} each asked for, and this host has "
            f"{has}: replicas share them"
        )
    return found
