"""A command that ends with the thread that waits for it, however that ends.

Run as a script, it asks the system for that and becomes the command.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def command(python: str, wanted: Sequence[str]) -> list[str]:
    """Return the command that is `wanted` on this process's tether.

    Args:
        python: An interpreter; nothing that is installed for it is imported.
        wanted: A program's path, and its arguments.
    """
    return [python, "-I", "-S", __file__, str(os.getpid()), *wanted]


def _become(parent: int, wanted: Sequence[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            return  # it has ended meanwhile
    os.execv(wanted[0], list(wanted))  # noqa: S606  # it is what this is for


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
