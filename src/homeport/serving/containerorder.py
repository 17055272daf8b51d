"""The order for a container: what the engine's `create` is told."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Final

from homeport.resources import probes
from homeport.resources.model import ContainerSpec
from homeport.serving import machinesizes
from homeport.serving.contract import Contract

MOUNT: Final = "/mnt/artifact"
_MOST_PROCESSES: Final = 4096
# What entrypoints need that begin as root and go on as somebody else; nothing that
# reaches out of the container.
_CAPABILITIES: Final = (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID",
)  # fmt: skip
# Variables that the engine's own command goes by: it is given their values as
# arguments, which every account can read, and all others as its own variables.
_OF_THE_COMMAND: Final = (
    "BUILDAH", "CONTAINER", "DBUS", "DOCKER", "GO", "HOME", "LANG", "LC_", "LD_",
    "PATH", "PODMAN", "REGISTRY", "SSL_", "STORAGE", "TMPDIR", "XDG_",
)  # fmt: skip
_PROXY: Final = "_PROXY"


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """One container to be made.

    Attributes:
        name: Its own.
        labels: By which it is found again.
        spec: The image and its probes.
        contract: Port, command and variables.
        artifact_dir: Mounted read-only, None for nothing.
        machine_type: Google Cloud's name, whose size is its limit; "" for none.
        gpu_ids: The GPUs of this host that it sees.
        pull: Whether an image that is not there is fetched.
    """

    name: str
    labels: Mapping[str, str]
    spec: ContainerSpec
    contract: Contract
    artifact_dir: pathlib.Path | None
    machine_type: str = ""
    gpu_ids: tuple[int, ...] = ()
    pull: bool = False

    def arguments(self, engine: str) -> list[str]:
        """Return the words of the `create` of docker or podman."""
        command = self.contract.command
        variables, _ = _parted(self.contract.variables)
        return [
            *("create", "--name", self.name),
            *("--pull", "missing" if self.pull else "never"),
            # What it prints goes into the replica's log: kept once, and bounded.
            *("--log-driver", "none"),
            *("--security-opt", "no-new-privileges", "--cap-drop", "ALL"),
            *_repeated("--cap-add", _CAPABILITIES),
            *("--pids-limit", str(_MOST_PROCESSES)),
            *_repeated("--label", [f"{k}={v}" for k, v in self.labels.items()]),
            *_repeated("--publish", [f"127.0.0.1::{port}" for port in self.ports()]),
            *_repeated("--env", variables),
            *self._limits(),
            *self._gpus(engine),
            *self._mount(),
            *(("--entrypoint", command[0]) if command else ()),
            self.spec.image_uri,
            *command[1:],
            *self.contract.args,
        ]

    def environment(self) -> dict[str, str]:
        """Return the variables that the engine's command takes values from."""
        return _parted(self.contract.variables)[1]

    def ports(self) -> tuple[int, ...]:
        """Return the ports that are reached from here: that of HTTP and the probes'."""
        asked = (probe.port for probe in probes.read(self.spec.kept).probes)
        return tuple(dict.fromkeys((self.contract.port, *filter(None, asked))))

    @property
    def memory_bytes(self) -> int | None:
        """The most memory it may take, None for as much as there is."""
        size = machinesizes.size(self.machine_type)
        return None if size is None else size.memory_bytes

    def _limits(self) -> list[str]:
        words = []
        size = machinesizes.size(self.machine_type)
        if size is not None:
            words += ["--cpus", str(size.cores)]
        if self.memory_bytes is not None:
            words += ["--memory", str(self.memory_bytes)]
        shared_mb = probes.read(self.spec.kept).shared_memory_mb
        if shared_mb:
            words += ["--shm-size", f"{shared_mb}m"]
        return words

    def _gpus(self, engine: str) -> list[str]:
        if not self.gpu_ids:
            return []
        if engine == "podman":
            devices = [f"nvidia.com/gpu={gpu_id}" for gpu_id in self.gpu_ids]
            return _repeated("--device", devices)
        # Comma-separated values in a comma-separated value.
        return ["--gpus", f'"device={",".join(map(str, self.gpu_ids))}"']

    def _mount(self) -> list[str]:
        if self.artifact_dir is None:
            return []
        # Comma-separated values, quoted as such files have it.
        source = str(self.artifact_dir).replace('"', '""')
        return ["--mount", f'type=bind,"source={source}",target={MOUNT},readonly']


def _repeated(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _parted(variables: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the values of --env, and the variables that stand behind bare names."""
    words, behind = [], {}
    for name, value in variables.items():
        if name.startswith(_OF_THE_COMMAND) or name.upper().endswith(_PROXY):
            words.append(f"{name}={value}")
        else:
            words.append(name)
            behind[name] = value
    return words, behind
