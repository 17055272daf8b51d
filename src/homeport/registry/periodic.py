"""Work that a server does by itself, again and again, behind what people wait for."""

import logging
import os
import threading
from collections.abc import Callable
from typing import Final, final

_log: Final = logging.getLogger(__name__)
_NICENESS: Final = 10


@final
class Periodic:
    """A thread that does one thing at once and then every so often.

    Args:
        name: Of the thread.
        period_s: From the end of one time to the begin of the next.
        work: What is done; what it raises is logged.
    """

    def __init__(self, name: str, period_s: float, work: Callable[[], object]) -> None:
        self._name = name
        self._period_s = period_s
        self._work = work
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for the work in progress."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        # On Linux this is of the thread alone: what people wait for goes first.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while not self._stopped.is_set():
            try:
                self._work()
            except Exception:  # noqa: BLE001  # the edge of a thread, which goes on
                _log.exception("%s failed", self._name)
            self._stopped.wait(self._period_s)
