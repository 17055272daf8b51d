"""What of this machine a worker sees: its model, its environment, the system, no more.

The rest, the data directory first of all, is refused by the kernel where that has
Landlock. `landlock` carries it out, in the worker, before any of the author's code and
variables count.
"""

import dataclasses
import enum
import glob
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Self

from homeport.errors import FailedPreconditionError
from homeport.worker import exposure, landlock
from homeport.worker.landlock import Rules

# Programs, libraries, certificates, name service; what a system has in one of them.
_SYSTEM: Final = (
    "/bin", "/etc", "/gnu/store", "/lib", "/lib32", "/lib64", "/nix/store", "/opt",
    "/proc", "/run/nscd", "/run/resolvconf", "/run/systemd/resolve", "/sbin", "/sys",
    "/usr", "/var/cache/fontconfig", "/var/lib/ca-certificates",
)  # fmt: skip
_DEVICES: Final = (
    "/dev/dri", "/dev/full", "/dev/infiniband", "/dev/kfd", "/dev/null",
    "/dev/nvidia*", "/dev/random", "/dev/shm", "/dev/urandom", "/dev/zero",  # noqa: S108
)  # fmt: skip
_SHARED: Final = ("/tmp", "/var/tmp")  # noqa: S108  # as handlers name them


class Level(enum.StrEnum):
    """How much is kept from workers; `AUTO` is as much as the host can."""

    AUTO = "auto"
    STRICT = "strict"
    NONE = "none"


@dataclasses.dataclass(frozen=True, slots=True)
class Sandbox:
    """What all workers of a server have in common.

    Attributes:
        level: How much is kept from them.
        hidden: Folders of which they see nothing but what is their own.
        read: Folders of the operator's that they may read.
        write: Likewise, that they may change.
    """

    level: Level = Level.AUTO
    hidden: tuple[pathlib.Path, ...] = ()
    read: tuple[pathlib.Path, ...] = ()
    write: tuple[pathlib.Path, ...] = ()

    def check(self) -> None:
        """Refuse what this host cannot give, or what would give everything.

        Raises:
            FailedPreconditionError: The level is strict and there is no Landlock that
                knows of TCP, or a folder that is opened lies in a hidden one.
        """
        if self.level is Level.STRICT and not landlock.can_close_tcp():
            raise FailedPreconditionError(
                "--worker-sandbox strict needs Landlock of Linux 6.7 or newer, which "
                "this host does not have: start with --worker-sandbox auto"
            )
        for path in (*self.read, *self.write):
            if any(_is_below(path, one) for one in self.hidden):
                raise FailedPreconditionError(
                    f"--worker-read or --worker-write {str(path)!r} lies in the data "
                    "directory, which no worker may see: choose another folder"
                )
        for path in self.write:
            if self._is_above_hidden(str(path)):
                raise FailedPreconditionError(
                    f"--worker-write {str(path)!r} holds the data directory, which no "
                    "worker may change: choose a folder beside it"
                )

    def rules(
        self,
        model_dir: pathlib.Path,
        private_dir: pathlib.Path,
        python: pathlib.Path | None,
    ) -> Rules | None:
        """Return what one worker may reach, None for everything.

        Args:
            model_dir: Its archive, laid out.
            private_dir: Its own.
            python: The interpreter of its own environment, None for the server's.
        """
        if self.level is Level.NONE:
            return None
        strict = self.level is Level.STRICT
        own = _server_packages() if python is None else _own_packages(python)
        seen = (*_SYSTEM, *_interpreter(), *own, *_absolute(self.read))
        shared = () if strict else _SHARED
        return Rules(
            read=(*self._visible(seen), str(model_dir)),
            write=(
                str(private_dir),
                *(one for one in shared if not self._is_above_hidden(one)),
                *_absolute(self.write),
            ),
            devices=tuple(path for one in _DEVICES for path in glob.glob(one)),  # noqa: PTH207  # of devices
            tcp=not strict,
        )

    def describe(self) -> str:
        """Return what is in force on this host, in one clause."""
        if self.level is Level.NONE:
            return "none: workers see all that the server's user sees"
        found = landlock.version()
        if not found:
            return (
                "none: this host has no Landlock (Linux 5.13 or newer), workers see "
                "all that the server's user sees"
            )
        network = "no TCP" if self.level is Level.STRICT else "network open"
        return f"{self.level}: Landlock {found}, data directory hidden, {network}"

    def to_json(self) -> dict[str, Any]:
        """Return it as values of JSON."""
        return {
            "level": str(self.level),
            "hidden": _absolute(self.hidden),
            "read": _absolute(self.read),
            "write": _absolute(self.write),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Return the sandbox that `to_json` gave `document` for."""
        hidden, read, write = (
            tuple(map(pathlib.Path, document[name]))
            for name in ("hidden", "read", "write")
        )
        return cls(Level(document["level"]), hidden, read, write)

    def _visible(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield the paths, divided where something hidden lies below."""
        for path in paths:
            if not self._is_above_hidden(path):
                yield path
            elif not any(_is_below(pathlib.Path(path), one) for one in self.hidden):
                yield from self._visible(_children(path))

    def _is_above_hidden(self, path: str) -> bool:
        """Tell whether something hidden is `path`, or lies below it."""
        return any(_is_below(one, pathlib.Path(path)) for one in self.hidden)


def _absolute(paths: Iterable[pathlib.Path]) -> list[str]:
    # Workers begin in another folder.
    return [str(path.absolute()) for path in paths]


def _is_below(path: pathlib.Path, folder: pathlib.Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _children(path: str) -> Iterator[str]:
    try:
        with os.scandir(path) as entries:
            # A link may lead to what is hidden; what it leads to is seen by its place.
            yield from (one.path for one in entries if not one.is_symlink())
    except OSError:
        return


def _interpreter() -> tuple[str, ...]:
    # A virtual environment's links lead to the other two.
    return sys.base_prefix, sys.base_exec_prefix, os.path.realpath(sys.executable)


def _server_packages() -> tuple[str, ...]:
    """Return where the server's own packages are: what it was started among is not."""
    here = os.getcwd()  # noqa: PTH109  # a text, as sys.path has
    paths = {one for one in sys.path if one and one != here}
    return (sys.prefix, *exposure.rooms(), *sorted(paths))


def _own_packages(python: pathlib.Path) -> tuple[str, ...]:
    return (str(python.parents[1]), *exposure.rooms())
