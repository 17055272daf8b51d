"""What ends a process with its server, when the server is not its parent.

The server keeps the writing end of a pipe; the process has the reading end. When the
server is gone, however it went, the kernel closes its end and kills the process and its
group: also while a handler computes and no Python runs.
"""

import fcntl
import os
import select
import signal
from typing import Final

# Not in the standard library's fcntl: <bits/fcntl-linux.h>, the same on every Linux.
_F_SETSIG: Final = 10


def hold(fd: int) -> None:
    """Tie this process's group to the pipe `fd`; it leads the group.

    Raises:
        OSError: The system refuses.
    """
    fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(fd, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(fd, 0)
    if poll.poll(0):
        # It was gone before: no signal comes any more.
        os._exit(0)
