"""Whether two requests may share a call: they are predicted apart and together."""

import dataclasses
import json
from typing import Any

from homeport.archive.golden import Golden
from homeport.checking import comparison
from homeport.checking.asking import Asked
from homeport.checking.comparison import Difference, Tolerances
from homeport.checking.report import Batching, BatchingProof
from homeport.worker.examination import Examination, Step


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What came of it.

    Attributes:
        proof: What is known now.
        difference: Where the answers differ, None if they do not.
    """

    proof: BatchingProof
    difference: Difference | None = None


def choose_pair(
    golden: Golden, predictions: list[Any]
) -> tuple[bytes, bytes] | BatchingProof:
    """Return the bodies of two requests that an exchange of answers would show.

    They are two instances of the sample that differ and, if there are any such, have
    different predictions.

    Args:
        golden: The sample.
        predictions: Its answer.
    """
    first, *others = golden.instances
    if not others:
        return _unproven("the sample has one instance, and it takes two")
    distinct = [i for i, one in enumerate(others, 1) if one != first]
    if not distinct:
        return _unproven("the instances of the sample are all the same")
    telling = [
        i for i in distinct if i < len(predictions) and predictions[i] != predictions[0]
    ]
    second = (telling or distinct)[0]
    return _body(golden, 0), _body(golden, second)


async def prove(
    asked: Asked, pair: tuple[bytes, bytes], tolerances: Tolerances
) -> Result:
    """Return whether the two requests have the same answers together as apart.

    Raises:
        TimeoutError: A call took too long.
        UnavailableError: The worker ended.
    """
    apart = [await asked.examine((body,)) for body in pair]
    failed = next((one for one in apart if one.failed_in is not None), None)
    if failed is not None:
        return Result(
            _unproven(f"an instance of the sample fails by itself: {failed.cause}")
        )
    first, second = (json.loads(one.predictions[0]) for one in apart)
    if comparison.first_difference(first, second, tolerances) is None:
        return Result(
            _unproven(
                "the two instances have the same prediction, which hides a mix-up"
            )
        )
    together = await asked.examine(pair)
    if together.failed_in is not None:
        return Result(_of_failed_call(together))
    difference = _difference(apart, together, tolerances)
    if difference is None:
        reason = "two requests in one call are answered as they are apart"
        return Result(BatchingProof(Batching.PROVEN, reason))
    again = await asked.examine(pair[:1])
    if _difference([apart[0]], again, tolerances) is not None:
        return Result(_unproven("the same request is answered otherwise each time"))
    reason = f"in a call with another request {difference}"
    return Result(BatchingProof(Batching.REFUTED, reason), difference)


def _of_failed_call(together: Examination) -> BatchingProof:
    if together.failed_in is Step.REQUEST:
        # The worker itself never puts these into one call.
        return _unproven(together.cause)
    return BatchingProof(
        Batching.REFUTED, f"a call with two requests fails: {together.cause}"
    )


def _difference(
    apart: list[Examination], together: Examination, tolerances: Tolerances
) -> Difference | None:
    expected = [json.loads(one.predictions[0]) for one in apart]
    actual = [json.loads(one) for one in together.predictions]
    for alone, shared in zip(expected, actual, strict=False):
        found = comparison.first_difference(alone, shared, tolerances)
        if found is not None:
            return found
    return None


def _body(golden: Golden, index: int) -> bytes:
    request = {**golden.request, "instances": [golden.instances[index]]}
    return json.dumps(request, allow_nan=False).encode()


def _unproven(reason: str) -> BatchingProof:
    return BatchingProof(Batching.UNPROVEN, reason)
