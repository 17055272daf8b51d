"""The golden run: a new replica answers its archive's sample before any client."""

import asyncio
import json
from typing import Any, Final

from homeport.archive.golden import Golden
from homeport.checking import comparison
from homeport.errors import DeadlineExceededError, FailedPreconditionError
from homeport.serving.runtime import Replica
from homeport.worker.replica import Reply

_REMEDY: Final = "correct its handler or its sample, and pack the archive again"


async def prove(replica: Replica, sample: Golden, limit_s: float) -> None:
    """Return when the replica has answered the sample as it should; else end it.

    Args:
        replica: It has its model loaded, and nobody else asks it yet.
        sample: With or without the predictions that are expected.
        limit_s: Seconds for the answer.

    Raises:
        FailedPreconditionError: The sample was refused, or answered otherwise.
        DeadlineExceededError: It was not answered in time.
        UnavailableError: The replica ended meanwhile.
    """
    try:
        await _agree(replica, sample, limit_s)
    except BaseException:
        await replica.stop(0.0)
        raise


async def _agree(replica: Replica, sample: Golden, limit_s: float) -> None:
    reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    try:
        async with asyncio.timeout(limit_s):
            answer = await replica.predict(sample.body, reply)
    except TimeoutError as error:
        raise DeadlineExceededError(
            f"the archive's sample was not answered within {limit_s:g} s: make the "
            "handler faster, or allow requests more time"
        ) from error
    if answer.code:
        said = answer.payload.decode("utf-8", "replace")
        raise FailedPreconditionError(
            f"the archive's sample was not answered ({said}): {_REMEDY}"
        )
    difference = comparison.differs(sample, _predictions(answer))
    if difference is not None:
        raise FailedPreconditionError(
            f"the archive's sample was answered otherwise than it says ({difference}): "
            f"{_REMEDY}, or see with 'homeport check' what is different here"
        )


def _predictions(answer: Reply) -> list[Any]:
    try:
        found = json.loads(answer.payload)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise FailedPreconditionError(
            "the answer to the archive's sample is no JSON array: let the handler "
            "leave the worker's socket alone"
        )
    return found
