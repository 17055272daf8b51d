"""Environments: one Python environment for each lock, built once, shared, read-only.

An environment is a folder named by its lock's digest. It is made under another name and
appears in one step, so that a folder of that name is whole. It is a cache: what nobody
is in goes by its age and size (`eviction`).
"""

import contextlib
import dataclasses
import errno
import logging
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from homeport.archive import lockfile
from homeport.environments import eviction, explanation, folders, lock, uvtool
from homeport.environments.eviction import Limits
from homeport.environments.lock import Lock
from homeport.environments.workplaces import clear as clear_workplaces
from homeport.environments.workplaces import workplace
from homeport.errors import (
    FailedPreconditionError,
    ResourceExhaustedError,
    UnavailableError,
)
from homeport.worker import occupancy

_log: Final = logging.getLogger(__name__)
_TIMEOUT_S: Final = 1800.0
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
        limits: What is kept of those that nobody is in, None for everything.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        *,
        allow_build: bool = False,
        timeout_s: float = _TIMEOUT_S,
        limits: Limits | None = None,
    ) -> None:
        # Interpreters are started from other directories.
        self._directory = directory.absolute()
        self._terms = () if allow_build else ("--only-binary", ":all:")
        self._timeout_s = timeout_s
        self._limits = limits
        self._runs = uvtool.Runs()
        # What this process has built, or looked through.
        self._whole: set[str] = set()
        # The open files of those that it stays in.
        self._stays: tuple[int, ...] = ()

    def find(self, wanted: Lock) -> Environment | None:
        """Return the lock's environment if it has been built."""
        python = self._directory / wanted.digest / "bin/python"
        # A link to an interpreter that was since removed leads nowhere.
        if not python.exists():
            return None
        return Environment(python, wanted.digest, was_there=True)

    @contextlib.contextmanager
    def kept(self, wanted: Lock) -> Iterator[Environment | None]:
        """Yield the lock's environment, which nobody removes meanwhile.

        None where it is not there, or this process does not know whether it is whole:
        `build` makes it so. Takes no time.
        """
        if wanted.digest not in self._whole:
            yield None
            return
        with self._entered(wanted.digest) as entered:
            yield self.find(wanted) if entered else None

    def build(
        self, wanted: Lock, on_line: Callable[[str], None] = lambda _line: None
    ) -> Environment:
        """Return the lock's environment, built if it is not there; blocks meanwhile.

        It may be removed when it is not used; `using` and `kept` keep it.
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
        with self.using(wanted, on_line) as environment:
            return environment

    @contextlib.contextmanager
    def using(
        self, wanted: Lock, on_line: Callable[[str], None] = lambda _line: None
    ) -> Iterator[Environment]:
        """Yield what `build` returns; nobody removes it meanwhile.

        After one was built, others may be removed at the end of its use: nobody who
        wants it waits for that.

        Raises:
            HomeportError: As `build`.
        """
        lock.check_target(wanted)
        with contextlib.ExitStack() as stack:
            with _disk_told(), self._turn(wanted.digest) as owner:
                environment = self._found_or_built(wanted, on_line, owner)
                # Whoever locks it alone has the turn, which is ours.
                if not stack.enter_context(self._entered(wanted.digest)):
                    raise UnavailableError(
                        "the environment is locked by a program that runs in it: "
                        "undeploy the versions that share its lock, and try again"
                    )
            yield environment
            if not environment.was_there:
                self._evict()

    def stay_in(self, digests: Iterable[str]) -> None:
        """Keep these environments, of them that are there, until this is called again.

        Others that were kept so are not any more.
        """
        before, entered = self._stays, list[int]()
        try:
            for digest in digests:
                held = occupancy.enter(self._directory / digest)
                if held is not None:
                    entered.append(held)
        finally:
            self._stays = tuple(entered)
            for one in before:
                os.close(one)

    def tidy(self) -> None:
        """Remove what the dead left, and what the limits do not keep.

        `stop` ends it within a moment; the next look goes on then.
        """
        clear_workplaces()
        eviction.clear(self._directory, self._is_stopped)
        self._evict()

    def stop(self) -> None:
        """End what is being built or looked at; nothing is built any more."""
        self._runs.stop()

    def _found_or_built(
        self, wanted: Lock, on_line: Callable[[str], None], owner: int
    ) -> Environment:
        found = self.find(wanted)
        if found is not None and self._is_whole(wanted.digest):
            return found
        self._whole.discard(wanted.digest)
        folders.remove(self._directory, wanted.digest)
        eviction.clear(self._directory)
        on_line(f"building an environment of {len(wanted.pins)} packages")
        self._build(wanted, on_line, owner)
        self._whole.add(wanted.digest)
        built = self._directory / wanted.digest / "bin/python"
        return Environment(built, wanted.digest, was_there=False)

    def _build(self, wanted: Lock, on_line: Callable[[str], None], owner: int) -> None:
        staged = folders.staging(self._directory, wanted.digest)

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
            requirements = staged / folders.REQUIREMENTS
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
        with workplace() as directory:
            outcome = uvtool.run(
                arguments,
                directory=directory,
                timeout_s=self._timeout_s,
                runs=self._runs,
                # If we are killed it still owns the folder, until it ends itself.
                keep_fds=(owner,),
                on_line=tell,
            )
        if outcome.status != 0:
            raise explanation.explain(outcome, lock.target())

    def _turn(self, digest: str) -> contextlib.AbstractContextManager[int]:
        return folders.turn(self._directory, digest, self._timeout_s, self._runs.check)

    @contextlib.contextmanager
    def _entered(self, digest: str) -> Iterator[bool]:
        """Yield whether this process is in an environment, which it then uses."""
        folder = self._directory / digest
        held = occupancy.enter(folder)
        if held is None:
            yield False
            return
        try:
            # When it was last used.
            os.utime(folder)
            yield True
        finally:
            os.close(held)

    def _evict(self) -> None:
        if self._limits is None:
            return
        try:
            gone = eviction.evict(
                self._directory, self._limits, time.time(), is_stopped=self._is_stopped
            )
        except OSError as error:
            # No reason for whoever has just built one to fail.
            _log.warning("unused environments were not removed (%s)", error.strerror)
            return
        for one in gone:
            _log.info("removed environment %s, which nobody used", one.digest)

    def _is_stopped(self) -> bool:
        return self._runs.stopped

    def _is_whole(self, digest: str) -> bool:
        """Tell whether nothing of it is lost; it is looked at the first time alone."""
        if digest not in self._whole:
            if not folders.is_whole(self._directory / digest):
                _log.warning("environment %s was damaged: building it anew", digest)
                return False
            self._whole.add(digest)
        return True


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
