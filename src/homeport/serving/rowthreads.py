"""The reconciler's threads: where it looks at rows and writes what came of them."""

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable
from typing import Final, TypeVar, TypeVarTuple, final

from homeport.metadata.database import DatabaseUnavailableError

_log: Final = logging.getLogger(__name__)
_THREADS: Final = 2

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


@final
class RowThreads:
    """A few threads that nobody else uses.

    The verbs that wait for the reconciler may hold every thread of the event loop's.

    Args:
        retry_s: Seconds until what the database did not take is tried again.
    """

    def __init__(self, retry_s: float) -> None:
        self._retry_s = retry_s
        self._threads = concurrent.futures.ThreadPoolExecutor(
            _THREADS, thread_name_prefix="reconciler"
        )

    async def ask(
        self, work: Callable[[*_Arguments], _Result], *args: *_Arguments
    ) -> _Result:
        """Return what work returns that looks at rows or writes them, once."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, *args)

    async def record(
        self, work: Callable[[*_Arguments], _Result], *args: *_Arguments
    ) -> _Result:
        """Write what came of a wish, as often as it takes: it is not told twice."""
        while True:
            try:
                return await self.ask(work, *args)
            except DatabaseUnavailableError as error:
                _log.warning("not recorded yet: %s", error)
                await asyncio.sleep(self._retry_s)

    def stop(self) -> None:
        """Take no more work; what is under way ends by itself."""
        self._threads.shutdown(wait=False)
