"""The lines replicas print: the last ones in memory, more of them in a file."""

import collections
import contextlib
import datetime as dt
import io
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TextIO

_LINES_IN_MEMORY: Final = 1000
_FILE_BYTES: Final = 10 << 20
_READ_BYTES: Final = 256 << 10
# Shorter values are words and numbers that would blot out half the log.
_SHORTEST_SECRET: Final = 4


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
        self._file: TextIO | None = None

    def write(self, line: str) -> None:
        """Add one line; one that the disk does not take is kept in memory alone."""
        stamped = f"{self._now().isoformat(timespec='milliseconds')} {line}"
        self._last_lines().append(stamped)
        try:
            self._append(stamped)
        except OSError:
            self._file = None

    def tail(self, lines: int) -> list[str]:
        """Return up to `lines` of the last lines, those of earlier servers too."""
        kept = list(self._last_lines())
        return kept[-lines:] if lines > 0 else []

    def _last_lines(self) -> collections.deque[str]:
        if self._lines is None:
            earlier = _end_of(self._path)
            self._lines = collections.deque(earlier, maxlen=_LINES_IN_MEMORY)
        return self._lines

    def _append(self, stamped: str) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open(
                "a", encoding="utf-8", errors="backslashreplace", buffering=1
            )
        self._file.write(stamped + "\n")
        if self._file.tell() > _FILE_BYTES:
            self.close()
            self._path.replace(self._path.with_suffix(".log.1"))

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Forget every line; whoever has the path next begins with none."""
        self._lines = None
        with contextlib.suppress(OSError):
            self.close()
        self._file = None
        for path in (self._path, self._path.with_suffix(".log.1")):
            with contextlib.suppress(OSError):
                path.unlink()


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


def redacted(lines: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Return the lines with every value of `environment` replaced by its name.

    Of a value of several lines each line is a secret by itself, as a log has it.
    """
    secrets = {
        part: name
        for name, value in environment.items()
        for part in (value, *value.splitlines())
        if len(part) >= _SHORTEST_SECRET
    }
    if not secrets:
        return list(lines)
    # The longest first, so that no value hides inside another's remains.
    by_length = sorted(secrets, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, by_length)))
    return [pattern.sub(lambda found: f"[{secrets[found[0]]}]", line) for line in lines]
