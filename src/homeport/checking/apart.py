"""A check in a process of its own, as a server runs it.

Reading what strangers wrote takes a processor for itself, and running it may hang. So
neither happens in the server: its process ends the check, and the check ends with it.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Final, final

from homeport.checking import report as reports
from homeport.checking.ending import Ending
from homeport.checking.preflight import Checker
from homeport.checking.report import Report, Stage, StageName, Verdict
from homeport.checking.trial import NOT_REACHED
from homeport.environments.build import Environments
from homeport.environments.eviction import Limits
from homeport.errors import (
    CancelledError,
    Code,
    FailedPreconditionError,
    HomeportError,
    RelayedError,
)
from homeport.worker.process import describe_exit
from homeport.worker.sandbox import Sandbox

# For its worker and uv to be ended, before all of it is killed.
_END_GRACE_S: Final = 5.0
_NOTHING: Final = Report(model_name="", stages=(), batching=NOT_REACHED)


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """What an archive is checked with.

    Attributes:
        environment: The version's variables.
        server_config: The text of the config.properties beside the archive, "" for
            none.
        archive_bytes: The archive's own length.
    """

    environment: Mapping[str, str]
    server_config: str
    archive_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """How archives are checked.

    Attributes:
        environments_dir: Where the environments of locks are.
        scratch_dir: Where workers have their private directories.
        allow_build: Whether packages without a wheel may be built.
        load_timeout_s: For each of import, load and prediction.
        timeout_s: For all of one check.
        sandbox: What its worker is kept in.
        limits: What is kept of environments that nobody is in, None for everything.
    """

    environments_dir: pathlib.Path
    scratch_dir: pathlib.Path
    allow_build: bool
    load_timeout_s: float
    timeout_s: float
    sandbox: Sandbox = dataclasses.field(default_factory=Sandbox)
    limits: Limits | None = None


class CheckError(RelayedError):
    """A check ended with an error, not with a report."""


@final
class ApartChecker:
    """Checks each archive in a process of its own; several at once are fine.

    Args:
        terms: How.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._running: set[_Process] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def check(
        self, read: Callable[[], pathlib.Path], subject: Subject, ending: Ending
    ) -> Report:
        """Return what the archive is found to be; a fault of it is in the report.

        One that does not end in time has failed in the stage that it was in.

        Args:
            read: Checks the archive and returns the folder it is laid out in.
            subject: What it is checked with.
            ending: Through which it can be ended from another thread.

        Raises:
            CancelledError: It was ended so.
            FailedPreconditionError: `stop` was called.
            CheckError: A fault of this machine, not of the archive, such as a full disk
                or no further process.
        """
        try:
            model_dir = read()
        except HomeportError as error:
            return self._refused(error, subject)
        with (
            _scratch(self._terms.scratch_dir) as scratch_dir,
            self._begin() as process,
            ending.by(process.end),
        ):
            terms = dataclasses.replace(self._terms, scratch_dir=scratch_dir)
            process.order(_order(terms, model_dir, subject))
            heard = process.hear(self._terms.timeout_s)
        if self._stopped:
            raise _interrupted()
        if ending.is_wanted:
            raise CancelledError("the check was ended: upload again")
        return heard.report if heard.ended else self._cut_off(heard.report, process)

    def stop(self) -> None:
        """End the checks in work, which raise; none is begun any more."""
        with self._lock:
            self._stopped = True
            running = tuple(self._running)
        for process in running:
            process.end()

    def _cut_off(self, so_far: Report, process: "_Process") -> Report:
        if process.late:
            return _cut_off(
                so_far,
                f"the check did not end within {self._terms.timeout_s:g} s",
                "Make what it waits for faster, or start the server with a larger "
                "--check-timeout.",
            )
        return _cut_off(
            so_far,
            f"the process of the check {process.ending}",
            "See whether the archive takes more memory than this machine has; the "
            "server's log may have more.",
        )

    def _refused(self, error: HomeportError, subject: Subject) -> Report:
        """Return the report of an archive that cannot even be laid out.

        Raises:
            CheckError: It is no fault of the archive.
        """

        def read() -> pathlib.Path:
            raise error

        checker = Checker(
            Environments(self._terms.environments_dir), self._terms.scratch_dir
        )
        try:
            return checker.check(read, archive_bytes=subject.archive_bytes)
        except HomeportError as ours:
            raise CheckError(ours.code, ours.message) from ours

    @contextlib.contextmanager
    def _begin(self) -> Iterator["_Process"]:
        with self._lock:
            if self._stopped:
                raise _interrupted()
            process = _Process()
            self._running.add(process)
        try:
            yield process
        finally:
            process.close()
            with self._lock:
                self._running.discard(process)


@dataclasses.dataclass(slots=True)
class _Heard:
    """What a process has said.

    Attributes:
        report: Its last one, of all stages that have ended.
        ended: Whether that is the whole one.
    """

    report: Report = _NOTHING
    ended: bool = False

    def take(self, said: Mapping[str, Any]) -> None:
        """Note one message.

        Raises:
            CheckError: It says that the check met an error.
        """
        if "error" in said:
            raise CheckError(Code(said["error"]["code"]), said["error"]["message"])
        self.report, self.ended = reports.from_json(said["report"]), said["ended"]


class _Process:
    """One check's process, which leads a group of its own.

    Attributes:
        late: Whether it was ended because its time was over.

    Raises:
        CheckError: It could not be started.
    """

    def __init__(self) -> None:
        self.late = False
        try:
            self._process = subprocess.Popen(
                # -P: never import from the current directory.
                [sys.executable, "-P", "-m", "homeport.checking"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise CheckError(
                Code.UNAVAILABLE,
                f"its process could not be started ({error.strerror}): free memory or "
                "processes on this host and upload again",
            ) from error

    @property
    def ending(self) -> str:
        """How it has ended, as in "was killed by SIGKILL"."""
        how = describe_exit(self._process.wait())
        return f"was {how}" if how.startswith("killed") else how

    def order(self, order: Mapping[str, Any]) -> None:
        """Say what to check; the pipe stays open, as its end ends the check."""
        stdin = _pipe(self._process.stdin)
        # One that has ended already says so by what it does not say.
        with contextlib.suppress(BrokenPipeError):
            stdin.write(json.dumps(order).encode() + b"\n")
            stdin.flush()

    def hear(self, timeout_s: float) -> _Heard:
        """Return what it has said when it has ended, which it has after the timeout."""
        heard = _Heard()
        timer = threading.Timer(timeout_s, self._end_late)
        timer.start()
        try:
            for line in _pipe(self._process.stdout):
                # One that is killed may leave a part of a message.
                if line.endswith(b"\n"):
                    heard.take(json.loads(line))
        finally:
            timer.cancel()
        return heard

    def end(self) -> None:
        """End it, with the worker and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_END_GRACE_S)
        except subprocess.TimeoutExpired:
            self._kill()

    def close(self) -> None:
        """Leave nothing of it."""
        if self._process.poll() is None:
            self._kill()
        with contextlib.suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()
        _pipe(self._process.stdout).close()
        self._process.wait()

    def _end_late(self) -> None:
        self.late = True
        self.end()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _scratch(parent: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield a directory for one check, which may be killed before it clears away.

    Raises:
        CheckError: There is no room for it.
    """
    try:
        made = tempfile.TemporaryDirectory(
            prefix="homeport-check-", dir=parent, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise CheckError(
            Code.RESOURCE_EXHAUSTED,
            f"nothing can be written where checks run ({error.strerror}): free disk "
            "space and upload again",
        ) from error
    with made as path:
        yield pathlib.Path(path)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("the check was started without pipes")
    return stream


def _order(
    terms: Terms, model_dir: pathlib.Path, subject: Subject
) -> Mapping[str, Any]:
    return {
        "model_dir": str(model_dir.absolute()),
        "environments_dir": str(terms.environments_dir.absolute()),
        "scratch_dir": str(terms.scratch_dir.absolute()),
        "allow_build": terms.allow_build,
        "load_timeout_s": terms.load_timeout_s,
        "sandbox": terms.sandbox.to_json(),
        "limits": terms.limits and dataclasses.asdict(terms.limits),
        **dataclasses.asdict(subject),
    }


def _cut_off(so_far: Report, cause: str, remedy: str) -> Report:
    """Return the report of a check that was ended in the stage it had reached."""
    left = list(StageName)[len(so_far.stages) :]
    if not left:
        return so_far
    failed = Stage(left[0], Verdict.FAILED, cause=cause, remedy=remedy)
    skipped = (
        Stage(name, Verdict.SKIPPED, detail=f"{left[0]} failed") for name in left[1:]
    )
    return dataclasses.replace(so_far, stages=(*so_far.stages, failed, *skipped))


def _interrupted() -> FailedPreconditionError:
    return FailedPreconditionError(
        "the server stopped before this ended and nothing was changed: send the "
        "request again"
    )
