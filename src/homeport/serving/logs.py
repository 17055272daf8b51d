"""The lines replicas print: the last ones in memory, more of them in a file."""

import collections
import contextlib
import datetime as dt
import io
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from homeport.errors import HomeportError, RelayedError
from homeport.serving.housing import UnwellError
from homeport.worker.redaction import redacted
from homeport.worker.replica import ReplicaEndedError

# Sentences of ours alone: a value in them is a port or a number that we say.
_OUR_WORDS: Final = (UnwellError, ReplicaEndedError)
_ERROR_LOG_LINES: Final = 100
_LINES_IN_MEMORY: Final = 1000
_FILE_BYTES: Final = 10 << 20
_READ_BYTES: Final = 256 << 10


class ReplicaLog:
    """The log of one deployed model, all its replicas together.

    The file is renamed to `.1` when it reaches 10 MiB, so twice that is kept.

    Args:
        path: The file, appended to.
        now: The time, aware.
    """

    def __init__(self, path: pathlib.Path, now: Callable[[], dt.datetime]) -> None:
        self._path = path
        self._now = now
        self._lines: collections.deque[str] | None = None
        self._file: io.FileIO | None = None
        self._size = 0

    def write(self, lines: Sequence[str]) -> None:
        """Add lines that came together; what the disk does not take is in memory alone.

        They share one time stamp and one write: a replica may print much, and this
        runs on the server's event loop.
        """
        stamp = self._now().isoformat(timespec="milliseconds")
        stamped = [f"{stamp} {line}" for line in lines]
        self._last_lines().extend(stamped)
        try:
            self._append("".join([f"{line}\n" for line in stamped]))
        except OSError:
            with contextlib.suppress(OSError):
                self.close()

    def tail(self, lines: int) -> list[str]:
        """Return up to `lines` of the last lines, those of earlier servers too."""
        kept = list(self._last_lines())
        return kept[-lines:] if lines > 0 else []

    def _last_lines(self) -> collections.deque[str]:
        if self._lines is None:
            earlier = _end_of(self._path)
            self._lines = collections.deque(earlier, maxlen=_LINES_IN_MEMORY)
        return self._lines

    def _append(self, text: str) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
            self._size = self._file.tell()
        self._size += self._file.write(text.encode("utf-8", "backslashreplace"))
        if self._size > _FILE_BYTES:
            self.close()
            self._path.replace(self._path.with_suffix(".log.1"))

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def remove(self) -> None:
        """Forget every line; whoever has the path next begins with none."""
        self._lines = None
        with contextlib.suppress(OSError):
            self.close()
        self._file = None
        for path in (self._path, self._path.with_suffix(".log.1")):
            with contextlib.suppress(OSError):
                path.unlink()


def with_last_lines(
    error: HomeportError, log: ReplicaLog, environment: Mapping[str, str]
) -> HomeportError:
    """Return a replica's failure with what it printed last, its values redacted.

    Many a failure comes before anything could print: then it stands alone.
    """
    message = error.message
    if not isinstance(error, _OUR_WORDS):
        (message,) = redacted([message], environment)
    stamped = [line.partition(" ") for line in log.tail(_ERROR_LOG_LINES)]
    if not stamped:
        return RelayedError(error.code, message)
    lines = redacted([line for _, _, line in stamped], environment)
    shown = "\n".join(
        f"{stamp} {line}" for (stamp, _, _), line in zip(stamped, lines, strict=True)
    )
    return RelayedError(
        error.code, f"{message}\nLast log lines of the replica:\n{shown}"
    )


def _end_of(path: pathlib.Path) -> list[str]:
    """Return the last whole lines of a file, none if there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - _READ_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return lines if size <= _READ_BYTES else lines[1:]
