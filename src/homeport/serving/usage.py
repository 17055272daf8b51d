"""What processes have used of this machine, as the system counts it."""

import os
import pathlib
from collections.abc import Iterable
from typing import Final

# In /proc/PID/stat, counted from the state, the first field behind the name.
_UTIME: Final = 11
_STIME: Final = 12


class CpuMeter:
    """Tells how much some processes have computed from one look to the next."""

    def __init__(self) -> None:
        self._before: dict[int, float] = {}

    def since_last(self, pids: Iterable[int]) -> float:
        """Return the seconds computed since the last look, by those seen then."""
        before, self._before = self._before, {pid: cpu_s(pid) for pid in pids}
        return sum(
            max(0.0, seconds - before[pid])
            for pid, seconds in self._before.items()
            if pid in before
        )


def cpu_s(pid: int) -> float:
    """Return the seconds a process has computed; 0.0 where nobody can tell."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    # The name is in parentheses and may hold anything.
    fields = text.rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / os.sysconf("SC_CLK_TCK")
