"""What processes have used of this machine, as the system counts it."""

import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Final

# In /proc/PID/stat, counted from the state, the first field behind the name: user and
# system, its own and that of children which have ended.
_TIMES: Final = slice(11, 15)


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
    """Return the seconds that a process and all that come of it have computed.

    A serving program may leave the work to children: gunicorn does. 0.0 where nobody
    can tell.
    """
    return sum(map(_own_s, _tree(pid)))


def memory_bytes(pid: int) -> int:
    """Return the memory that a process and all that come of it take.

    Not counted is what is a file's or shared; 0 where nobody can tell.
    """
    return sum(map(_own_bytes, _tree(pid)))


def _own_bytes(pid: int) -> int:
    try:
        text = pathlib.Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
    except OSError:
        return 0
    _, resident, shared, *_ = map(int, text.split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def _own_s(pid: int) -> float:
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    # The name is in parentheses and may hold anything.
    fields = text.rpartition(")")[2].split()
    return sum(map(int, fields[_TIMES])) / os.sysconf("SC_CLK_TCK")


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and its descendants, as far as the kernel tells of them."""
    left = [pid]
    while left:
        one = left.pop()
        yield one
        for thread in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            try:
                left += map(int, thread.read_text(encoding="ascii").split())
            except OSError:
                continue  # it has ended meanwhile
