"""Holding a data directory: one process at a time, closed to other accounts."""

import contextlib
import fcntl
import logging
import os
import pathlib
import stat
from collections.abc import Iterator
from typing import Final

from homeport.errors import FailedPreconditionError

_log: Final = logging.getLogger(__name__)


@contextlib.contextmanager
def held(data_dir: pathlib.Path) -> Iterator[None]:
    """Hold the data directory for this process; the lock dies with it.

    What the process and its replicas write meanwhile is for their own account alone.

    Raises:
        FailedPreconditionError: Another process holds it, nothing can be kept in it,
            or it holds something else that may be meant for other accounts.
    """
    before = os.umask(0o077)
    try:
        with _locked(data_dir):
            yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _locked(data_dir: pathlib.Path) -> Iterator[None]:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_private(data_dir)
        file = (data_dir / "lock").open("a")
    except OSError as error:
        raise FailedPreconditionError(
            f"cannot keep anything in the data directory {data_dir} "
            f"({error.strerror}): choose another --data-dir"
        ) from error
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FailedPreconditionError(
                "another homeport server uses this data directory: stop it, or give "
                "this one another --data-dir"
            ) from error
        yield


def _make_private(data_dir: pathlib.Path) -> None:
    """Close a data directory that other accounts may read.

    Raises:
        FailedPreconditionError: It holds something else that may be meant for them.
        OSError: It is somebody else's.
    """
    mode = stat.S_IMODE(data_dir.stat().st_mode)
    if not mode & 0o077:
        return
    if any(data_dir.iterdir()) and not (data_dir / "homeport.db").exists():
        raise FailedPreconditionError(
            f"the data directory {data_dir} has other files and is open to other "
            f"accounts (mode {mode:04o}): name an empty one, or close it with chmod 700"
        )
    data_dir.chmod(0o700)
    _log.warning("data directory was open to other accounts (mode %04o): closed", mode)
