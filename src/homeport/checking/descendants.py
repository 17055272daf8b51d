"""Every process that comes of a check, those that hide from it included.

A handler may start a process that leaves its worker's group and is nobody's child any
more. Where the system can tell, such orphans become children of the check, which ends
them when it ends.
"""

import ctypes
import os
import pathlib
import signal
import sys
import time
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36
_LIMIT_S: Final = 5.0
_POLL_S: Final = 0.01


def adopt() -> None:
    """Take in the orphans that come of this process from now on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end() -> None:
    """Kill all children, and what turns up as children then; for the very end."""
    deadline = time.monotonic() + _LIMIT_S
    while (children := _children()) and time.monotonic() < deadline:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        _bury()
        time.sleep(_POLL_S)


def _bury() -> None:
    """Wait for the children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return


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
