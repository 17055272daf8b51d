"""The spool of one job: its output so far, and how far it is, safe from a crash.

    position.json   how many bytes of each file count, and where to go on; replaced as
                    one, after the bytes it counts are on the disk
    inputs.json     the objects that are read, found when the job began
    results, errors the output; what is behind the position was not finished
    until-SECONDS   there when the job has failed and may go on later: up to when all
                    this is kept

Nothing of it is visible to anybody else: the output becomes objects when it is whole.
"""

import contextlib
import dataclasses
import datetime as dt
import json
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any, BinaryIO, Final, cast

from homeport.errors import Code
from homeport.jobs.files import InputFile
from homeport.resources.batch_job import Tally
from homeport.resources.operation import Failure

_POSITION: Final = "position.json"
_INPUTS: Final = "inputs.json"
_RESULTS: Final = "results"
_ERRORS: Final = "errors"
_UNTIL: Final = "until-"


@dataclasses.dataclass(frozen=True, slots=True)
class Position:
    """Up to where the input was read, and what came of it.

    Attributes:
        file: How many files were read to their ends.
        offset: Bytes of the next file that were read.
        results_bytes: Of the results that belong to it.
        errors_bytes: Of the errors that belong to it.
        tally: What is in them.
    """

    file: int = 0
    offset: int = 0
    results_bytes: int = 0
    errors_bytes: int = 0
    tally: Tally = dataclasses.field(default_factory=Tally)


class Spool:
    """The files of one job; used by one thread at a time.

    Args:
        directory: Its own; made by `begin`.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._results: BinaryIO | None = None
        self._errors: BinaryIO | None = None

    def found(self) -> tuple[Sequence[InputFile], Position] | None:
        """Open what an earlier run left; None if that is nothing to go on with."""
        try:
            inputs = json.loads((self._directory / _INPUTS).read_bytes())
            said = json.loads((self._directory / _POSITION).read_bytes())
            position = _position(said)
            sizes = [path.stat().st_size for path in self.paths]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if sizes[0] < position.results_bytes or sizes[1] < position.errors_bytes:
            return None
        self._open("r+b", position)
        return [InputFile(*one) for one in inputs], position

    def finished(self) -> Tally | None:
        """Return what is in the whole output; None if it is not whole."""
        found = self.found()
        self.close()
        if found is None or found[1].file < len(found[0]):
            return None
        return found[1].tally

    def begin(self, inputs: Sequence[InputFile]) -> None:
        """Start from nothing."""
        self.remove()
        self._directory.mkdir(mode=0o700, parents=True)
        content = json.dumps([dataclasses.astuple(one) for one in inputs])
        self._replace(_INPUTS, content.encode())
        self._open("w+b", Position())

    @property
    def paths(self) -> tuple[pathlib.Path, pathlib.Path]:
        """Where the results and the errors are."""
        return self._directory / _RESULTS, self._directory / _ERRORS

    def write(self, results: bytes, errors: bytes) -> None:
        """Append to both files; it counts after the next `keep`."""
        opened = self._files()
        for file, content in zip(opened, (results, errors), strict=True):
            file.write(content)

    def keep(self, file: int, offset: int, tally: Tally) -> None:
        """Make everything written so far last, and from where to go on after it."""
        results, errors = self._files()
        for one in (results, errors):
            one.flush()
            os.fdatasync(one.fileno())
        position = Position(file, offset, results.tell(), errors.tell(), tally)
        content = json.dumps(dataclasses.asdict(position)).encode()
        self._replace(_POSITION, content)

    def close(self) -> None:
        """Let go of the files; they stay."""
        for file in (self._results, self._errors):
            if file is not None:
                # What a full disk did not take is behind the position.
                with contextlib.suppress(OSError):
                    file.close()
        self._results = self._errors = None

    def set_aside(self, until: dt.datetime) -> bool:
        """Keep what counts for somebody who comes for it, up to that time.

        Returns:
            Whether there is anything to go on with.
        """
        if not (self._directory / _POSITION).exists():
            return False
        try:
            # Without a byte: a full disk has room for that.
            (self._directory / f"{_UNTIL}{until.timestamp():.0f}").touch()
        except OSError:
            return False
        return True

    def take_back(self) -> None:
        """Go on with what was set aside, if it was."""
        for path in self._directory.glob(f"{_UNTIL}*"):
            path.unlink(missing_ok=True)

    def is_kept(self, now: dt.datetime) -> bool:
        """Tell whether it was set aside, and its time has not come."""
        return any(
            now.timestamp() < int(path.name.removeprefix(_UNTIL))
            for path in self._directory.glob(f"{_UNTIL}[0-9]*")
        )

    def remove(self) -> None:
        """Delete everything."""
        self.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _files(self) -> tuple[BinaryIO, BinaryIO]:
        if self._results is None or self._errors is None:
            raise RuntimeError("the spool is not open")
        return self._results, self._errors

    def _open(self, mode: str, position: Position) -> None:
        results, errors = self.paths
        self._results = _opened(results, mode, position.results_bytes)
        self._errors = _opened(errors, mode, position.errors_bytes)

    def _replace(self, name: str, content: bytes) -> None:
        partial = self._directory / f"{name}.partial"
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._directory / name)


def _opened(path: pathlib.Path, mode: str, size: int) -> BinaryIO:
    file = cast(BinaryIO, path.open(mode))
    file.truncate(size)
    file.seek(size)
    return file


def _position(said: dict[str, Any]) -> Position:
    tally = said.pop("tally")
    failures = tuple(
        Failure(Code(one["code"]), one["message"]) for one in tally.pop("failures")
    )
    return Position(**said, tally=Tally(**tally, failures=failures))
