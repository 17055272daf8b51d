"""A batch of rows to predictions, whatever happens to it: bad rows fail alone."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

import orjson

from homeport.errors import Code, HomeportError, UnavailableError
from homeport.jobs import outputs
from homeport.jobs.outputs import Answered
from homeport.jobs.rows import Failed, Rows
from homeport.jobs.tuning import AHEAD, BatchSize
from homeport.jobs.turns import Turns
from homeport.resources.operation import Failure
from homeport.worker.replica import Reply

_log: Final = logging.getLogger(__name__)
_POLL_S: Final = 0.05
# Requests that take longer wait for their turn here: a deadline counts from the moment
# the pool has them, however many are before them there.
_LONG_S: Final = 1.0
# Longer answers are taken apart on a thread, so that others are answered meanwhile.
_LONG_BYTES: Final = 128 * 1024
# What a request may owe to those that were with the model beside it.
_SHARED: Final = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
_TOO_MUCH: Final = (Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED)


class Predictor(Protocol):
    """Who is asked; `homeport.serving.pool.Pool` is one."""

    @property
    def ready_replicas(self) -> int:
        """Replicas that answer now."""

    @property
    def failure(self) -> HomeportError | None:
        """Why a replica could not be started."""

    def submit(self, body: bytes) -> asyncio.Future[Reply]:
        """Return the future answer to the body of a :predict request."""


class Predicting:
    """Asks for the predictions of batches.

    Args:
        predictor: Who is asked.
        parameters: Sent with every request, None for none.
        size: How many rows to begin with.
        patience_s: How long no replica may answer before the job gives up.

    Attributes:
        size: How many rows the next batch has.
    """

    def __init__(
        self,
        predictor: Predictor,
        parameters: Any,  # noqa: ANN401  # any JSON value
        size: BatchSize,
        patience_s: float,
    ) -> None:
        self._predictor = predictor
        self._tail = b"]}"
        if parameters is not None:
            self._tail = b'],"parameters":' + orjson.dumps(parameters) + b"}"
        self.size = size
        self._patience_s = patience_s
        self._turns = Turns()
        self._ahead = 1

    async def predict(
        self, rows: Rows, *, alone: bool = False
    ) -> list[Answered | Failed]:
        """Return what came of rows, in their order.

        Args:
            rows: The instances.
            alone: Ask for nothing else meanwhile: a replica has died of one of them,
                or hung, as it seems.

        Raises:
            HomeportError: There is nobody to ask, and there will not be.
        """
        if not rows:
            return []
        answered = await self._ask(rows, alone=alone)
        if isinstance(answered, Failure) and answered.code in _SHARED:
            # The second death of a row is its own; so is the first of many by
            # themselves, and the first call of any that hung there.
            if not alone or (len(rows) == 1 and answered.code is Code.UNAVAILABLE):
                answered = await self._ask(rows, alone=True)
            alone = True
        if isinstance(answered, Answered):
            return [answered]
        if len(rows) == 1:
            return [Failed(rows.told[0], answered, rows.keyed)]
        # One of them may be what fails all.
        half = len(rows) // 2
        first = await self.predict(rows.part(0, half), alone=alone)
        return first + await self.predict(rows.part(half, len(rows)), alone=alone)

    async def _ask(self, rows: Rows, *, alone: bool) -> Answered | Failure:
        """Return the answer to one request, or why there is none."""
        turn = self._turns.alone() if alone else self._turns.together(self._most)
        async with turn:
            await self._somebody()
            began = time.monotonic()
            try:
                reply = await self._predictor.submit(self._body(rows))
                taken_s = time.monotonic() - began
                if reply.code:
                    message = reply.payload.decode("utf-8", "replace")
                    return self._refusal(rows, Code(reply.code), message)
                predictions = await _split(reply.payload, len(rows))
            except HomeportError as error:
                return self._refusal(rows, error.code, error.message)
        self._ahead = 1 if taken_s > _LONG_S else AHEAD
        self.size = self.size.answered(len(rows), taken_s)
        return Answered(rows, predictions)

    def _body(self, rows: Rows) -> bytes:
        return b'{"instances":[' + b",".join(rows.instances) + self._tail

    def _most(self) -> int:
        """Return how many requests may be under way."""
        return self._predictor.ready_replicas * self._ahead

    def _refusal(self, rows: Rows, code: Code, message: str) -> Failure:
        if code in _TOO_MUCH:
            self.size = self.size.was_too_much(len(rows))
        if code in _SHARED:
            self._ahead = 1
        return Failure(code, message)

    async def _somebody(self) -> None:
        """Wait until a replica answers.

        Raises:
            HomeportError: None does, for longer than there is patience.
        """
        give_up = time.monotonic() + self._patience_s
        while not self._predictor.ready_replicas:
            if time.monotonic() > give_up:
                raise self._predictor.failure or UnavailableError(
                    f"no replica answers for {self._patience_s:g} s: see the job's log"
                )
            await asyncio.sleep(_POLL_S)


async def _split(payload: bytes, expected: int) -> Sequence[bytes]:
    if len(payload) > _LONG_BYTES:
        return await asyncio.to_thread(outputs.split, payload, expected)
    return outputs.split(payload, expected)
