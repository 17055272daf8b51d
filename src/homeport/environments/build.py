"""Environments: one Python environment for each lock, built once, shared, read-only.

An environment is a folder named by its lock's digest. It is made under another name and
appears in one step, so that a folder of that name is whole. It is a cache: any of them
may be deleted while nothing runs in it.
"""

import contextlib
import dataclasses
import errno
import logging
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Final

from homeport.archive import lockfile
from homeport.environments import explanation, folders, lock, uvtool
from homeport.environments.lock import Lock
from homeport.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    ResourceExhaustedError,
)

_log: Final = logging.getLogger(__name__)
_TIMEOUT_S: Final = 1800.0
_LOCK_PREFIX: Final = ".lock."
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclasses.dataclass(frozen=True, slots=True)
class Environment:
    """One that is there.

    Attributes:
        python: Its interpreter.
        digest: Of the lock it was built from.
        was_there: Whether it had been built before it was asked for.
    """

    python: pathlib.Path
    digest: str
    was_there: bool


class Environments:
    """Builds environments and finds those that were built.

    Several servers and commands may share a directory.

    Args:
        directory: Where they lie, a folder each; made when the first one is built.
        allow_build: Whether packages without a wheel may be built, which runs their
            code.
        timeout_s: For one to be built, and for the wait until another has built it.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        *,
        allow_build: bool = False,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        # Interpreters are started from other directories.
        self._directory = directory.absolute()
        self._terms = () if allow_build else ("--only-binary", ":all:")
        self._timeout_s = timeout_s
        self._runs = uvtool.Runs()
        # What this process has built, or looked through.
        self._whole: set[str] = set()

    def find(self, wanted: Lock) -> Environment | None:
        """Return the lock's environment if it has been built."""
        python = self._directory / wanted.digest / "bin/python"
        # A link to an interpreter that was since removed leads nowhere.
        if not python.exists():
            return None
        return Environment(python, wanted.digest, was_there=True)

    def build(
        self, wanted: Lock, on_line: Callable[[str], None] = lambda _line: None
    ) -> Environment:
        """Return the lock's environment, built if it is not there; blocks meanwhile.

        Whoever else builds it is waited for. A failure leaves nothing.

        Args:
            wanted: What it holds.
            on_line: Receives lines that tell of progress.

        Raises:
            FailedPreconditionError: The lock is for another Python or platform, a
                package has no wheel here, or there is no uv.
            NotFoundError: The index does not have a package or version any more.
            DataLossError: A file is not the one that was locked.
            UnavailableError: The index does not answer, or `stop` was called.
            ResourceExhaustedError: The disk is full.
            DeadlineExceededError: It took too long.
        """
        lock.check_target(wanted)
        with _disk_told(), self._owned(wanted.digest) as owner:
            found = self.find(wanted)
            if found is not None and self._is_whole(wanted.digest):
                # When it was last used.
                os.utime(self._directory / wanted.digest)
                return found
            self._remove(wanted.digest)
            self._sweep()
            on_line(f"building an environment of {len(wanted.pins)} packages")
            self._build(wanted, on_line, owner)
            self._whole.add(wanted.digest)
        built = self._directory / wanted.digest / "bin/python"
        return Environment(built, wanted.digest, was_there=False)

    def remove(self, digest: str) -> None:
        """Delete one, when nothing runs in it; none of that digest is fine."""
        with self._owned(digest):
            self._remove(digest)

    def stop(self) -> None:
        """End what is being built at once; nothing is built any more."""
        self._runs.stop()

    def _build(self, wanted: Lock, on_line: Callable[[str], None], owner: int) -> None:
        staged = self._staging(wanted.digest)

        def tell(line: str) -> None:
            # The rest is true of the place where it is made, and names it.
            if str(staged) not in line:
                on_line(line)

        try:
            # Relocatable: its scripts find it under the name that it gets.
            self._uv(
                tell,
                owner,
                *("venv", "--quiet", "--relocatable", "--no-project"),
                *("--python", sys.executable, str(staged)),
            )
            requirements = staged / "requirements.txt"
            # Written anew: only what was understood reaches uv.
            requirements.write_text(lockfile.write(wanted.pins), encoding="utf-8")
            self._uv(
                tell,
                owner,
                *("pip", "sync", str(requirements), "--allow-empty-requirements"),
                *("--python", str(staged / "bin/python"), "--compile-bytecode"),
                # A link would let a handler write into other environments' files.
                *("--link-mode", "copy"),
                *self._terms,
            )
            folders.protect(staged)
            staged.rename(self._directory / wanted.digest)
        finally:
            folders.discard(staged)

    def _uv(self, tell: Callable[[str], None], owner: int, *arguments: str) -> None:
        # In an empty directory: uv reads the settings of projects around it.
        with tempfile.TemporaryDirectory(prefix="homeport-build-") as folder:
            outcome = uvtool.run(
                arguments,
                directory=pathlib.Path(folder),
                timeout_s=self._timeout_s,
                runs=self._runs,
                # If we are killed it still owns the folder, until it ends itself.
                keep_fds=(owner,),
                on_line=tell,
            )
        if outcome.status != 0:
            raise explanation.explain(outcome, lock.target())

    def _owned(
        self, digest: str, timeout_s: float | None = None
    ) -> contextlib.AbstractContextManager[int]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{_LOCK_PREFIX}{digest}"
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        return folders.owned(path, limit_s, self._runs.check)

    def _sweep(self) -> None:
        """Remove what other builds left that were killed; those in work are not."""
        for path in self._directory.glob(f"{_LOCK_PREFIX}*"):
            digest = path.name.removeprefix(_LOCK_PREFIX)
            with contextlib.suppress(DeadlineExceededError), self._owned(digest, 0.0):
                folders.discard(self._staging(digest))

    def _staging(self, digest: str) -> pathlib.Path:
        return self._directory / f".staging.{digest}"

    def _is_whole(self, digest: str) -> bool:
        """Tell whether nothing of it is lost; it is looked at the first time alone."""
        if digest not in self._whole:
            if not folders.is_whole(self._directory / digest):
                _log.warning("environment %s was damaged: building it anew", digest)
                return False
            self._whole.add(digest)
        return True

    def _remove(self, digest: str) -> None:
        """Remove what is there of an environment, and of a build that was killed."""
        self._whole.discard(digest)
        staged = self._staging(digest)
        folders.discard(staged)
        with contextlib.suppress(FileNotFoundError):
            # In one step: whoever sees the name finds the whole, or nothing.
            (self._directory / digest).rename(staged)
            folders.discard(staged)


@contextlib.contextmanager
def _disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ResourceExhaustedError(
                "the disk is full: free space where the environments lie and try again"
            ) from error
        raise FailedPreconditionError(
            f"the environment cannot be kept ({error.strerror}): correct the "
            "directory of the environments"
        ) from error
