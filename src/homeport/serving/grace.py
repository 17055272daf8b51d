"""The grace that work is given to end by itself when the server stops."""

import asyncio
from typing import Any


async def first_of(
    grace_s: float, work: set[asyncio.Task[None]], at_once: asyncio.Event
) -> None:
    """Return when the work has ended, the grace has or the event is set.

    What has not ended by then is cancelled.
    """
    hurried = asyncio.create_task(at_once.wait(), name="hurry")
    done = asyncio.gather(*work, return_exceptions=True)
    either: set[asyncio.Future[Any]] = {hurried, done}
    await asyncio.wait(either, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
    for one in (hurried, *work):
        one.cancel()
    await asyncio.gather(hurried, *work, return_exceptions=True)
