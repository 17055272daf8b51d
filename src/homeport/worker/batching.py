"""When a batch of requests closes: a pure decision, so it is tested without a clock.

A batch is what one call of the handler gets. It is counted in requests, as TorchServe
counts `batchSize`, whatever number of instances each request holds.
"""

import dataclasses
import math
import reprlib
from collections.abc import Mapping

from homeport.errors import InvalidArgumentError


@dataclasses.dataclass(frozen=True, slots=True)
class BatchPolicy:
    """The two limits that close a batch.

    Attributes:
        max_size: Requests in one batch, at least 1; 1 means no batching.
        max_delay_s: Seconds the oldest request may wait for company, at least 0.
    """

    max_size: int = 1
    max_delay_s: float = 0.0


def from_model_config(config: Mapping[str, object]) -> BatchPolicy:
    """Return the policy that a model-config.yaml asks for.

    `maxBatchDelay` is in milliseconds. Where the author gave none, nothing waits:
    TorchServe's default of 100 ms only makes a lone request 100 ms slower.

    Raises:
        InvalidArgumentError: A value is not a number, or is too small.
    """
    size = config.get("batchSize", 1)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InvalidArgumentError(
            f"batchSize is {reprlib.repr(size):.40} in the model's config file: "
            "give a whole number of requests, at least 1"
        )
    delay_ms = config.get("maxBatchDelay", 0)
    if (
        isinstance(delay_ms, bool)
        or not isinstance(delay_ms, int | float)
        or not 0 <= delay_ms < math.inf
    ):
        raise InvalidArgumentError(
            f"maxBatchDelay is {reprlib.repr(delay_ms):.40} in the model's config "
            "file: give milliseconds, at least 0"
        )
    return BatchPolicy(size, delay_ms / 1000 if size > 1 else 0.0)


def seconds_to_wait(policy: BatchPolicy, gathered: int, oldest_age_s: float) -> float:
    """Return how long to wait for one more request; 0.0 means run now.

    Args:
        policy: The limits of the model.
        gathered: Requests in hand, at least 1.
        oldest_age_s: Seconds since the first of them arrived.
    """
    if gathered >= policy.max_size:
        return 0.0
    return max(0.0, policy.max_delay_s - oldest_age_s)
