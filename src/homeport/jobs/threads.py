"""Work on threads that has ended when its caller goes on, cancelled or not."""

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


async def to_its_end(
    work: Callable[[*_Arguments], _Result], *args: *_Arguments
) -> _Result:
    """Return what work on a thread returns; a cancellation is raised after its end.

    For what may not be under way any more when its files are closed or removed next.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.gather(running, return_exceptions=True)
        raise
