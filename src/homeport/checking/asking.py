"""A loaded worker that is asked one thing after the other, each within a time limit."""

import asyncio
import json
from collections.abc import Sequence

from homeport.worker.examination import Examination
from homeport.worker.protocol import ProtocolError
from homeport.worker.replica import Replica, Reply


class Asked:
    """One worker.

    Args:
        replica: It; nobody else asks it.
        limit_s: Seconds for each answer.
    """

    def __init__(self, replica: Replica, limit_s: float) -> None:
        self._replica = replica
        self._limit_s = limit_s

    async def examine(self, bodies: Sequence[bytes]) -> Examination:
        """Return what one call with all of these requests comes to.

        Raises:
            TimeoutError: It took too long; the worker still has it in work.
            ReplicaEndedError: The worker ended.
            ProtocolError: What came is no answer.
        """
        async with asyncio.timeout(self._limit_s):
            examined = await self._replica.examine(bodies)
        if examined.failed_in is None:
            _check_answers(examined, len(bodies))
        return examined

    async def predict(self, body: bytes) -> Reply:
        """Return the answer to one request, as a client gets it.

        Raises:
            TimeoutError: It took too long; the worker still has it in work.
            UnavailableError: The worker ended.
        """
        async with asyncio.timeout(self._limit_s):
            return await self._replica.predict(body)


def _check_answers(examined: Examination, count: int) -> None:
    # The author's code shares the worker's process, and may speak in its name.
    try:
        answers = [json.loads(text) for text in examined.predictions]
    except (ValueError, RecursionError) as error:
        raise ProtocolError(
            f"the worker's answer is no JSON ({type(error).__name__}): let the handler "
            "leave the worker's socket alone"
        ) from error
    if len(answers) != count or not all(isinstance(one, list) for one in answers):
        raise ProtocolError(
            f"the worker's answer has not a list for each of {count} requests: let the "
            "handler leave the worker's socket alone"
        )
