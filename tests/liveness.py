"""Which processes run: one that a test knows by its id, and what comes of it."""

import contextlib
import pathlib
from typing import Final

# As the kernel numbers the states of a socket.
_LISTENS: Final = "0A"


def is_running(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] != "Z"
    return False


def children_of(parent: int) -> set[int]:
    return {
        int(entry.name)
        for entry in pathlib.Path("/proc").iterdir()
        if entry.name.isdigit() and parent_of(int(entry.name)) == parent
    }


def parent_of(pid: int) -> int | None:
    """Return the parent of a process; None if it has ended, reaped or not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        # The name in parentheses may hold spaces.
        after_name = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        state, parent = after_name.split()[:2]
        return None if state in {"Z", "X"} else int(parent)
    return None


def descendants_of(ancestor: int) -> set[int]:
    """Return the children of a process, theirs, and so on."""
    found: set[int] = set()
    level = {ancestor}
    while level:
        level = {child for pid in level for child in children_of(pid)} - found
        found |= level
    return found


def listeners(port: int) -> set[str]:
    """Return the inodes of the sockets that listen on a port over IPv4."""
    rows = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    sockets = [row.split() for row in rows]
    return {
        words[9]
        for words in sockets
        if words[3] == _LISTENS and int(words[1].rpartition(":")[2], 16) == port
    }


def running_below(folder: pathlib.Path) -> set[int]:
    """Return the processes that work in a folder, whoever started them."""
    found = set()
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.add(int(entry.name))
    return found
