"""What one request at a time may work on, within one server."""

import contextlib
import threading
from collections.abc import Iterator

from homeport.errors import UnavailableError


class Claims:
    """Upload sessions that a request is writing to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claimed: set[str] = set()

    @contextlib.contextmanager
    def hold(self, session_id: str) -> Iterator[None]:
        """Keep a session from others.

        Raises:
            UnavailableError: Another request has it.
        """
        with self._lock:
            if session_id in self._claimed:
                raise UnavailableError(
                    "another request is writing to this upload: ask for its status "
                    "in a moment and go on from there"
                )
            self._claimed.add(session_id)
        try:
            yield
        finally:
            with self._lock:
                self._claimed.discard(session_id)
