"""Notes of uploads under way, in the user's cache directory; only this client's own."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
from types import TracebackType
from typing import IO, Any, Final, Self

_FOLDER: Final = "homeport/uploads"


@dataclasses.dataclass(frozen=True, slots=True)
class FileState:
    """By what a file is the same as before.

    Attributes:
        size_bytes: Its length.
        modified_ns: When it was written last.
        inode: Its number; another file of the same path has another one.
    """

    size_bytes: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, file: pathlib.Path) -> "FileState":
        """Return the state of a file.

        Raises:
            OSError: It is not there.
        """
        found = file.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)


class Note:
    """What is known of one file's upload to one place; held by one process.

    A process that finds it held, or that has no cache directory, notes nothing: its
    upload cannot be gone on with by another.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    @classmethod
    def of(cls, *key: str) -> "Note":
        """Return the note of the upload that these texts tell from every other."""
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
        return cls(_cache() / _FOLDER / f"{digest}.json")

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                raise
            self._file = file
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            if not self._text():
                self._path.unlink()
        self._file.close()
        self._file = None

    def session_for(self, state: FileState) -> str:
        """Return the session that was noted for a file in this state, "" for none."""
        noted = self._noted()
        same = noted.get("file") == list(dataclasses.astuple(state))
        return str(noted.get("session", "")) if same else ""

    def write(self, state: FileState, session: str) -> None:
        """Note a session."""
        noted = {"file": dataclasses.astuple(state), "session": session}
        self._replace(json.dumps(noted))

    def forget(self) -> None:
        """Note nothing."""
        self._replace("")

    def _noted(self) -> dict[str, Any]:
        try:
            noted = json.loads(self._text() or "{}")
        except ValueError:
            return {}
        return noted if isinstance(noted, dict) else {}

    def _text(self) -> str:
        if self._file is None:
            return ""
        self._file.seek(0)
        return self._file.read()

    def _replace(self, text: str) -> None:
        if self._file is None:
            return
        # A full disk must not end an upload.
        with contextlib.suppress(OSError):
            self._file.seek(0)
            self._file.truncate()
            self._file.write(text)
            self._file.flush()


def _cache() -> pathlib.Path:
    told = os.environ.get("XDG_CACHE_HOME", "")
    return pathlib.Path(told) if told else pathlib.Path("~/.cache").expanduser()
