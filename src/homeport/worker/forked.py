"""A process that another forked for this one: known by its pidfd, tied by a pipe."""

import asyncio
import contextlib
import os
import signal
from typing import Final, final

# How it ended is told by who forked it, who may be gone.
_STATUS_TIMEOUT_S: Final = 1.0


@final
class ForkedProcess:
    """One running process, which ends with this one.

    Args:
        pid: Its id, and its group's.
        pidfd: Refers to it, whatever becomes of the id; owned from here on.
        tether_fd: Kept open as long as it runs; owned from here on.
    """

    def __init__(self, pid: int, pidfd: int, tether_fd: int) -> None:
        self._pid = pid
        self._pidfd = pidfd
        self._tether_fd = tether_fd
        self._has_ended = False
        self._orphaned = False
        self._loop = asyncio.get_running_loop()
        self._status: asyncio.Future[int | None] = self._loop.create_future()
        self._loop.add_reader(pidfd, self._on_exit)

    @property
    def pid(self) -> int:
        """Its id."""
        return self._pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs, or where nobody can tell."""
        return self._status.result() if self._status.done() else None

    async def wait(self) -> int | None:
        """Wait until it has ended; None if nobody can tell how."""
        return await asyncio.shield(self._status)

    def tell(self, status: int) -> None:
        """Say how it ended, as the one who forked it knows."""
        if not self._status.done():
            self._status.set_result(status)

    def discard(self) -> None:
        """End it at once, where nobody is to have it after all."""
        if not self._has_ended:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def orphan(self) -> None:
        """Say that nobody will tell how it ended: who forked it is gone."""
        self._orphaned = True
        if self._has_ended:
            self._give_up()

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        status = _reaped(self._pidfd)
        if status is not None:
            self.tell(status)
        os.close(self._pidfd)
        os.close(self._tether_fd)
        self._has_ended = True
        if self._orphaned:
            self._give_up()
        else:
            self._loop.call_later(_STATUS_TIMEOUT_S, self._give_up)

    def _give_up(self) -> None:
        if not self._status.done():
            self._status.set_result(None)


def _reaped(pidfd: int) -> int | None:
    """Return how an ended process ended, which then is gone; None if it is not ours.

    It is when its zygote died before it and this server is the first process of its
    container: nobody else would reap it.
    """
    try:
        ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if ended is None:
        return None
    killed = ended.si_code in {os.CLD_KILLED, os.CLD_DUMPED}
    return -ended.si_status if killed else ended.si_status
