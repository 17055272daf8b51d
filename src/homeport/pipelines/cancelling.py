"""The end that somebody wants before a step is done: what it made goes first.

SIGTERM and Ctrl-C ask for it, where they reach this process: KFP starts it below a
shell, which hands no SIGTERM on.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Cancellation:
    """Raises SystemExit once when a signal comes, but not where it would be lost."""

    def __init__(self) -> None:
        self._held = False
        self._wanted = 0
        self._is_closed = False

    def ask(self, number: int) -> None:
        """End the step: at once, or when nothing is held any more.

        What is asked later is passed over, as the step is tidying up by then.

        Raises:
            SystemExit: With the code of a process that the signal ended.
        """
        self._wanted = self._wanted or number
        if not self._held and not self._is_closed:
            self._is_closed = True
            raise SystemExit(128 + self._wanted)

    def close(self) -> None:
        """Break nothing off from now on: what is done stays, or is being undone."""
        self._is_closed = True

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Put the end off, where something is made whose name is not known yet.

        Raises:
            SystemExit: At the end, if it was asked for meanwhile.
        """
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._wanted:
            self.ask(self._wanted)


@contextlib.contextmanager
def by_signals() -> Iterator[Cancellation]:
    """Yield what SIGTERM and SIGINT ask to end, on the main thread."""
    cancellation = Cancellation()

    def end(number: int, _: FrameType | None) -> None:
        cancellation.ask(number)

    if threading.current_thread() is not threading.main_thread():
        yield cancellation  # signals are the main thread's
        return
    before = {one: signal.signal(one, end) for one in _SIGNALS}
    try:
        yield cancellation
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
