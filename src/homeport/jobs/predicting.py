"""A batch of rows to predictions, whatever happens to it: bad rows fail alone."""

import asyncio
import logging
import time
from typing import Any, Final, Protocol

import orjson

from homeport.errors import Code, HomeportError, UnavailableError
from homeport.jobs import outputs
from homeport.jobs.outputs import Answered
from homeport.jobs.rows import Failed, Rows
from homeport.jobs.tuning import BatchSize
from homeport.resources.operation import Failure
from homeport.worker.replica import Reply

_log: Final = logging.getLogger(__name__)
# A row alone that a replica died of, or with: the second death is the row's own.
_TRIES: Final = 2
_POLL_S: Final = 0.05


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

    async def predict(self, rows: Rows) -> list[Answered | Failed]:
        """Return what came of rows, in their order.

        Raises:
            HomeportError: There is nobody to ask, and there will not be.
        """
        if not rows:
            return []
        alone = len(rows) == 1
        failure = None
        for _ in range(_TRIES if alone else 1):
            answered = await self._ask(rows)
            if isinstance(answered, Answered):
                return [answered]
            failure = answered
            if failure.code is not Code.UNAVAILABLE:
                break
        if alone and failure is not None:
            return [Failed(rows.told[0], failure, rows.keyed)]
        # One of them may be what fails all.
        half = len(rows) // 2
        first = await self.predict(rows.part(0, half))
        return first + await self.predict(rows.part(half, len(rows)))

    async def _ask(self, rows: Rows) -> Answered | Failure:
        """Return the answer to one request, or why there is none."""
        body = b'{"instances":[' + b",".join(rows.instances) + self._tail
        await self._somebody()
        began = time.monotonic()
        try:
            reply = await self._predictor.submit(body)
            if reply.code:
                return self._refusal(rows, Code(reply.code), reply.payload.decode())
            predictions = outputs.split(reply.payload, len(rows))
        except HomeportError as error:
            return self._refusal(rows, error.code, error.message)
        self.size = self.size.answered(len(rows), time.monotonic() - began)
        return Answered(rows, predictions)

    def _refusal(self, rows: Rows, code: Code, message: str) -> Failure:
        if code is Code.RESOURCE_EXHAUSTED:
            self.size = self.size.was_too_much(len(rows))
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
