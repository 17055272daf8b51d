"""The end of a check that nobody waits for any more."""

import contextlib
import threading
from collections.abc import Callable, Iterator


class Ending:
    """The wish of one thread that the work of another ends.

    It may come before the work has begun, and when it is long over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_wanted = False
        self._ends: Callable[[], None] | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether `end` was called."""
        return self._is_wanted

    def end(self) -> None:
        """End the work; return when it has ended, at once if nothing is in work."""
        with self._lock:
            self._is_wanted = True
            ends = self._ends
        if ends is not None:
            ends()

    @contextlib.contextmanager
    def by(self, ends: Callable[[], None]) -> Iterator[None]:
        """Have the work inside ended by `ends`, at once if that was wanted before."""
        with self._lock:
            self._ends = ends
            late = self._is_wanted
        if late:
            ends()
        try:
            yield
        finally:
            with self._lock:
                self._ends = None
