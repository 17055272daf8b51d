"""The folder of one environment: whose turn it is, whether it is whole, its end.

Beside it lie, while somebody builds or removes it, a file that says whose turn that is,
and the folder under the name that is nobody's environment.
"""

import contextlib
import csv
import fcntl
import os
import pathlib
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from typing import Final

from homeport.errors import DeadlineExceededError

REQUIREMENTS: Final = "requirements.txt"
"""What an environment was built from, in its folder."""

_LOCK_PREFIX: Final = ".lock."
_STAGING_PREFIX: Final = ".staging."
_POLL_S: Final = 0.1
_WRITE_BITS: Final = 0o222
_DIRECTORY_MODE: Final = 0o555


@contextlib.contextmanager
def turn(
    directory: pathlib.Path,
    digest: str,
    timeout_s: float,
    before_waiting: Callable[[], None],
) -> Iterator[int]:
    """Yield the open file that says whose turn it is; nobody else has it.

    No other thread and no other process builds or removes that environment meanwhile.

    Args:
        directory: Of all environments; made if it is not there.
        digest: Of the lock of the one in question.
        timeout_s: How long to wait for others.
        before_waiting: Called ten times a second meanwhile; may raise to end it.

    Raises:
        DeadlineExceededError: Somebody else had it for `timeout_s`.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{_LOCK_PREFIX}{digest}"
    deadline = time.monotonic() + timeout_s
    while (owner := _try_lock(path)) is None:
        before_waiting()
        if time.monotonic() >= deadline:
            raise DeadlineExceededError(
                "the environment is being built by somebody else, who did not end "
                f"within {timeout_s:g} s: see what that build waits for"
            )
        time.sleep(_POLL_S)
    try:
        yield owner
    finally:
        # While it is held: who waits for this very file sees that it is gone.
        path.unlink(missing_ok=True)
        os.close(owner)


def _try_lock(path: pathlib.Path) -> int | None:
    """Return the file, open and locked; None while somebody else has it."""
    owner = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(owner), path.stat()):
            return owner
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(owner)
        raise
    os.close(owner)
    return None


def is_whole(directory: pathlib.Path) -> bool:
    """Tell whether every file has the size that a package says.

    It has not after a loss of power, for one. About 0.1 s for 10,000 files.
    """
    try:
        for packages in directory.glob("lib/python*/site-packages"):
            for path, sizes in _recorded(packages).items():
                if (packages / path).stat().st_size not in sizes:
                    return False
    except (OSError, ValueError):
        return False
    return True


def _recorded(packages: pathlib.Path) -> dict[str, set[int]]:
    """Return the sizes of each file: several, where packages bring the same one.

    Byte code is left out, as that of a wheel is compiled anew.
    """
    sizes: dict[str, set[int]] = {}
    for record in packages.glob("*.dist-info/RECORD"):
        with record.open(encoding="utf-8", newline="") as file:
            for path, _, size in csv.reader(file):
                if size and not path.endswith(".pyc"):
                    sizes.setdefault(path, set()).add(int(size))
    return sizes


def size_bytes(
    directory: pathlib.Path, is_stopped: Callable[[], bool] = lambda: False
) -> int:
    """Return the length of all files below a directory; links count as nothing.

    Args:
        directory: Where they are.
        is_stopped: Asked before each folder; the rest is not counted then.
    """
    total = 0
    for folder, _, names in os.walk(directory):
        if is_stopped():
            break
        for name in names:
            with contextlib.suppress(OSError):
                status = (pathlib.Path(folder) / name).lstat()
                if not stat.S_ISLNK(status.st_mode):
                    total += status.st_size
    return total


def staging(directory: pathlib.Path, digest: str) -> pathlib.Path:
    """Return where an environment is before it has its name, and after."""
    return directory / f"{_STAGING_PREFIX}{digest}"


def begun(directory: pathlib.Path) -> frozenset[str]:
    """Return the digests of what is being built or removed, or was by the dead."""
    return frozenset(
        path.name.removeprefix(prefix)
        for prefix in (_LOCK_PREFIX, _STAGING_PREFIX)
        for path in directory.glob(f"{prefix}*")
    )


def remove(directory: pathlib.Path, digest: str) -> None:
    """Remove what is there of an environment; the caller has the turn."""
    staged = staging(directory, digest)
    discard(staged)
    with contextlib.suppress(FileNotFoundError):
        # In one step: whoever sees the name finds the whole, or nothing.
        (directory / digest).rename(staged)
        discard(staged)


def protect(directory: pathlib.Path) -> None:
    """Make it read-only, with all that is in it."""
    for folder, _, names in os.walk(directory, topdown=False):
        for name in names:
            path = pathlib.Path(folder) / name
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~_WRITE_BITS)
        pathlib.Path(folder).chmod(_DIRECTORY_MODE)


def discard(directory: pathlib.Path) -> None:
    """Remove it, read-only as it may be; none is fine."""
    for folder, _, _ in os.walk(directory):
        pathlib.Path(folder).chmod(0o700)
    shutil.rmtree(directory, ignore_errors=True)
