"""How many instances go into one request, found while a job runs.

A pure decision: larger while a request is answered quickly, at once smaller when one
was too much for the model.
"""

import dataclasses
from typing import Final

FIRST_SIZE: Final = 64  # ManualBatchTuningParameters.batch_size of aiplatform v1
_LARGEST_SIZE: Final = 1024
# Requests under way for each replica: one in work, and those it finds when that ends.
AHEAD: Final = 4
# A request that is answered in this time is worth its overhead many times over, and
# what is tried again after a failure stays small.
_LONG_ENOUGH_S: Final = 0.05


@dataclasses.dataclass(frozen=True, slots=True)
class BatchSize:
    """The size now, and whether it may change.

    Attributes:
        size: Instances in a request, at least 1.
        limit: It never grows beyond.
    """

    size: int
    limit: int

    @classmethod
    def of(cls, asked: int) -> "BatchSize":
        """Return where a job begins that asked for a size, or with 0 for none."""
        if asked:
            return cls(asked, asked)
        return cls(FIRST_SIZE, _LARGEST_SIZE)

    def answered(self, instances: int, seconds: float) -> "BatchSize":
        """Return the size after a request of so many instances took so long."""
        quick = seconds * 2 < _LONG_ENOUGH_S
        if instances < self.size or not quick:
            return self
        return dataclasses.replace(self, size=min(2 * self.size, self.limit))

    def was_too_much(self, instances: int) -> "BatchSize":
        """Return the size after a request of so many was too large, or slow."""
        size = max(1, min(self.size, instances // 2))
        return BatchSize(size, size)
