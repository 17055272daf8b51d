"""Every process that comes of a check, those that hide from it included.

A handler may start a process that leaves its worker's group and is nobody's child any
more. Where the system can tell, such orphans become children of who checks, and are
ended with the check.
"""

import contextlib
import ctypes
import os
import pathlib
import signal
import sys
import time
from collections.abc import Collection, Iterator
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36
_LIMIT_S: Final = 5.0
_POLL_S: Final = 0.01


@contextlib.contextmanager
def ended() -> Iterator[None]:
    """Leave nothing running of what comes of the work inside."""
    others = frozenset(_children())
    _adopt(wanted=True)
    try:
        yield
    finally:
        end(others)
        _adopt(wanted=False)


def end(others: Collection[int] = ()) -> None:
    """Kill all children but `others`, and what turns up as children then."""
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        left = [pid for pid in _children() if pid not in others]
        if not left:
            return
        for pid in left:
            # Somebody else here may wait for it, too.
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_POLL_S)


def _adopt(*, wanted: bool) -> None:
    """Take in the orphans that come of this process from now on, or no more."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def _children() -> list[int]:
    """Return the children of this process that nobody has waited for."""
    return [
        int(entry.name)
        for entry in pathlib.Path("/proc").glob("[0-9]*")
        if _parent(entry) == os.getpid()
    ]


def _parent(entry: pathlib.Path) -> int:
    try:
        status = (entry / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # Behind the command's name, which may hold anything: the state, the parent.
    return int(status.rpartition(")")[2].split()[1])
