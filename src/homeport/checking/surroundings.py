"""The environment an archive is checked in: its own, from its lock, or Homeport's."""

import contextlib
import dataclasses
import enum
import pathlib
from collections.abc import Callable, Sequence
from typing import Final

from homeport.archive import lockfile
from homeport.archive.inventory import Inventory
from homeport.checking import failures, importing
from homeport.checking.course import Course
from homeport.checking.report import StageName
from homeport.environments import folders, lock
from homeport.environments.build import Environments
from homeport.environments.lock import Lock
from homeport.errors import (
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
)
from homeport.packing import completion, requirements
from homeport.packing.imports import Import, ImportScan
from homeport.packing.installed import Installed

# Of this machine and its network, whatever the archive is.
OURS: Final = (
    ResourceExhaustedError,
    DataLossError,
    UnavailableError,
    DeadlineExceededError,
)
_OWN: Final = "Homeport's own environment"
_LOCK: Final = "lock"
_LOCKED: Final = "as locked in the archive"
_NONE: Final = "no requirements: it runs in Homeport's own environment"


class Choice(enum.StrEnum):
    """Which environment is wanted.

    `AUTO` is what a deployment does: its own if the archive has requirements.
    """

    AUTO = "auto"
    OWN = "own"
    LOCKED = "locked"


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the worker runs.

    Attributes:
        python: The interpreter, None for Homeport's own.
        lock: The text of the lock it was built from, "" for Homeport's own.
        size_bytes: What it takes on the disk, None for Homeport's own.
        warnings: What may be lacking in it, one sentence each.
    """

    python: pathlib.Path | None = None
    lock: str = ""
    size_bytes: int | None = None
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Builder:
    """Prepares environments.

    Attributes:
        environments: Where they are.
        choice: Which one is wanted.
        allow_build: Whether packages without a wheel may be built.
        on_line: Receives lines that tell of progress.
    """

    environments: Environments
    choice: Choice = Choice.AUTO
    allow_build: bool = False
    on_line: Callable[[str], None] = lambda _line: None

    def prepare(
        self,
        course: Course,
        inventory: Inventory,
        model_dir: pathlib.Path,
        until: contextlib.ExitStack,
    ) -> Surroundings:
        """Run the stages that look at the imports, resolve and build.

        What was built stays there until `until` is closed.

        Raises:
            StageFailedError: One of them failed.
            HomeportError: The disk is full, the package index does not answer, or a
                package's file is not the locked one.
        """
        why = self._why_not(inventory)
        with course.stage(StageName.IMPORTS) as stage:
            found = importing.scan(inventory, model_dir)
            stage.detail = importing.summary(found)
            doubts: tuple[str, ...] = ()
            if why:
                doubts = _refuse(importing.lacking_here(found), _OWN)
            _refuse(importing.lacking_anywhere(found), "the archive")
        if why:
            course.skip(StageName.RESOLVE, why)
            course.skip(StageName.BUILD, why)
            return Surroundings(warnings=doubts)
        with course.stage(StageName.RESOLVE, OURS) as stage:
            wanted, source = self._lock(inventory, model_dir, found)
            how = _LOCKED if source == _LOCK else f"resolved from {source}"
            stage.detail = f"{_packages(wanted)}, {how}"
            lacking = importing.lacking_in(wanted, found)
            if indispensable := _indispensable(lacking):
                raise failures.not_locked(indispensable, source)
            doubts = importing.doubts(lacking, f"the archive's {source}")
        with course.stage(StageName.BUILD, OURS) as stage:
            built = until.enter_context(self.environments.using(wanted, self.on_line))
            stage.detail = "it was there" if built.was_there else _packages(wanted)
        size_bytes = folders.size_bytes(built.python.parents[1])
        return Surroundings(built.python, wanted.text, size_bytes, doubts)

    def _why_not(self, inventory: Inventory) -> str:
        """Return why Homeport's own environment it is, "" if it is another."""
        if self.choice is Choice.OWN:
            return "asked to run in Homeport's own environment"
        has_lock = any(one.path == lockfile.PATH for one in inventory.members)
        has_requirements = has_lock or bool(inventory.manifest.requirements_file)
        if self.choice is Choice.AUTO and not has_requirements:
            return _NONE
        return ""

    def _lock(
        self, inventory: Inventory, model_dir: pathlib.Path, imports: ImportScan
    ) -> tuple[Lock, str]:
        """Return the archive's lock, or a new one of its requirements; and whose it is.

        Raises:
            HomeportError: As `lock.parse` and `lock.resolve`; or it has neither.
        """
        if any(one.path == lockfile.PATH for one in inventory.members):
            found = lock.parse(_read_lock(model_dir / lockfile.PATH))
            lock.check_target(found)
            return found, _LOCK
        name = inventory.manifest.requirements_file
        if not name:
            raise FailedPreconditionError(
                "the archive has no requirements to build an environment from: pack it "
                "with --requirements-file, or check it with --environment own"
            )
        lines = requirements.read(model_dir / name)
        resolved = lock.resolve(
            lines,
            if_they_fit=(*_of_torchserve(lines, imports), *lock.WORKER_WISHES),
            here=Installed().versions(completion.names_of(lines)),
            allow_build=self.allow_build,
            on_line=self.on_line,
        )
        return resolved, name


def _of_torchserve(lines: Sequence[str], imports: ImportScan) -> tuple[str, ...]:
    """Return what requirements written for TorchServe leave out, where code needs it.

    Its server installs them over an environment that has PyTorch.
    """
    added = completion.complete(lines, imports).added
    return tuple(line for line in added if line.startswith("torch=="))


def _refuse(lacking: Sequence[Import], where: str) -> tuple[str, ...]:
    """Return a warning for each import that may never be asked for.

    Raises:
        FaultError: There is one without which the archive cannot be served.
    """
    if indispensable := _indispensable(lacking):
        raise failures.not_provided(indispensable, where)
    return importing.doubts(lacking, where)


def _indispensable(lacking: Sequence[Import]) -> list[Import]:
    return [one for one in lacking if one.indispensable]


def _read_lock(path: pathlib.Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(lockfile.MAX_BYTES + 1)
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"{lockfile.PATH} is no UTF-8 text: pack the archive again"
        ) from error


def _packages(wanted: Lock) -> str:
    count = len(wanted.pins)
    return "1 package" if count == 1 else f"{count} packages"
