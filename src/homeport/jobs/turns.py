"""Turns: how many requests are with the model, and when one is there by itself.

What a replica dies of, or hangs in, takes the requests beside it along. One that was
tried by itself failed for a reason of its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from typing import final


@final
class Turns:
    """Gives turns to the requests of one job; used on one event loop."""

    def __init__(self) -> None:
        self._under_way = 0
        self._solitary = 0
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def together(self, most: Callable[[], int]) -> AsyncGenerator[None]:
        """Have a turn beside others.

        Args:
            most: Returns how many there may be, this one included; 0 is taken as 1.
        """
        await self._until(
            lambda: not self._solitary and self._under_way < max(1, most())
        )
        with self._turn():
            yield

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """Have a turn when all others have ended, and keep new ones from beginning."""
        self._solitary += 1
        try:
            await self._until(lambda: not self._under_way)
            with self._turn():
                yield
        finally:
            self._solitary -= 1
            self._changed.set()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    @contextlib.contextmanager
    def _turn(self) -> Generator[None]:
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._changed.set()
