"""Those of this server who wait for operations to end."""

import asyncio
import collections
import contextlib
import threading
from collections.abc import Iterator
from typing import final

from homeport.resources.names import OperationName, Parent

_Key = tuple[Parent, str]


@final
class Waiting:
    """Wakes tasks of event loops from the threads that end operations."""

    def __init__(self) -> None:
        # While it is held no task of another loop stops waiting.
        self._lock = threading.Lock()
        self._events: dict[_Key, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]]
        self._events = collections.defaultdict(set)

    @contextlib.contextmanager
    def for_end(self, name: OperationName) -> Iterator[asyncio.Event]:
        """Yield what is set when this server has ended the operation."""
        one = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._events[_key(name)].add(one)
        try:
            yield one[1]
        finally:
            with self._lock:
                self._events[_key(name)].remove(one)
                if not self._events[_key(name)]:
                    del self._events[_key(name)]

    def wake(self, name: OperationName) -> None:
        """Wake those who wait for an operation; its end is committed."""
        with self._lock:
            for loop, event in self._events.get(_key(name), ()):
                # One that was closed under its tasks has nobody left to wake, and the
                # end that is committed must not look as if it had failed.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(event.set)


def _key(name: OperationName) -> _Key:
    """Return what an operation has under every path."""
    return name.parent, name.operation
