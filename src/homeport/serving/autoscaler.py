"""How many replicas a deployed model should have: a decision without a clock.

Whoever has the replicas brings samples of their load, each with its time, and is told a
count. A load that asks for more has to last before anything is added, and one that asks
for fewer has to last longer before anything is taken away.
"""

import dataclasses
import math
from typing import Final

# What a replica may be busy and still be counted as enough.
_COMFORTABLE: Final = 0.8
_PERCENT: Final = 100.0
_MINUTE_S: Final = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Scaling:
    """The bounds and targets of a deployed model's replicas.

    Attributes:
        low: Replicas always there, at least 1.
        high: The most there may be, at least `low`.
        cpu_percent: Of one core, what each replica should use on average; None to let
            that decide nothing.
        requests_per_minute: What each replica should answer; None as above.
        stands_s: How long a load that asks for more has to last.
        idle_s: How long a load that asks for fewer has to last.
        half_life_s: In this time averages forget half of what they knew.
    """

    low: int = 1
    high: int = 1
    cpu_percent: float | None = None
    requests_per_minute: float | None = None
    stands_s: float = 2.0
    idle_s: float = 300.0
    half_life_s: float = 5.0

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to decide."""
        return self.low == self.high


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """A look at the replicas.

    Attributes:
        now: Monotonic seconds.
        ready: Replicas that answer.
        busy: Those of them that have work.
        queued: Requests that wait for room.
        cpu_s: Seconds that the replicas have computed since the last sample.
        requests: All that were accepted since the first sample.
    """

    now: float
    ready: int
    busy: int
    queued: int
    cpu_s: float = 0.0
    requests: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """What the replicas have together, averaged over some seconds.

    Attributes:
        busy: How many have work at a time.
        cores: Cores in use.
        requests_per_minute: Accepted.
    """

    busy: float = 0.0
    cores: float = 0.0
    requests_per_minute: float = 0.0


def needed(scaling: Scaling, load: Load) -> int:
    """Return how many replicas a load needs, never outside the bounds."""
    counts = [load.busy / _COMFORTABLE]
    if scaling.cpu_percent is not None:
        counts.append(load.cores * _PERCENT / scaling.cpu_percent)
    if scaling.requests_per_minute is not None:
        counts.append(load.requests_per_minute / scaling.requests_per_minute)
    return _bounded(scaling, math.ceil(max(counts)))


class Autoscaler:
    """Follows the load of one deployed model.

    Args:
        scaling: Bounds and targets.
        wanted: How many replicas there are to begin with.

    Attributes:
        wanted: How many there should be.
    """

    def __init__(self, scaling: Scaling, wanted: int | None = None) -> None:
        self._scaling = scaling
        self.wanted = _bounded(scaling, scaling.low if wanted is None else wanted)
        self._load = Load()
        self._last: Sample | None = None
        # When the load began to ask for more, or for fewer, and the most it asked for
        # since.
        self._more_since: float | None = None
        self._fewer_since: float | None = None
        self._peak = 0

    @property
    def at_rest(self) -> bool:
        """Whether nothing happens while there is no load."""
        return self.wanted == self._scaling.low

    def observe(self, sample: Sample) -> int:
        """Return how many replicas there should be, from all samples so far."""
        self._average(sample)
        count = needed(self._scaling, self._load)
        if sample.queued:
            # A queue says that these are too few, not how many are enough.
            count = max(count, _bounded(self._scaling, self.wanted + 1))
        if count > self.wanted:
            self._fewer_since = None
            self._grow(sample, count)
        elif count < self.wanted:
            self._more_since = None
            self._shrink(sample, count)
        else:
            self._more_since = self._fewer_since = None
        return self.wanted

    def _grow(self, sample: Sample, count: int) -> None:
        # Those that were added last have not helped yet.
        if sample.ready < self.wanted or self._more_since is None:
            self._more_since = sample.now
            return
        if sample.now - self._more_since >= self._scaling.stands_s:
            self.wanted = count
            self._more_since = None

    def _shrink(self, sample: Sample, count: int) -> None:
        if self._fewer_since is None:
            self._fewer_since, self._peak = sample.now, count
        self._peak = max(self._peak, count)
        if sample.now - self._fewer_since >= self._scaling.idle_s:
            self.wanted = self._peak
            self._fewer_since = None

    def _average(self, sample: Sample) -> None:
        last, self._last = self._last, sample
        if last is None or sample.now <= last.now:
            return
        past_s = sample.now - last.now
        weight = 1.0 - 0.5 ** (past_s / self._scaling.half_life_s)
        cores = sample.cpu_s / past_s
        rate = (sample.requests - last.requests) * _MINUTE_S / past_s
        load = self._load
        self._load = Load(
            load.busy + weight * (min(sample.busy, sample.ready) - load.busy),
            load.cores + weight * (cores - load.cores),
            load.requests_per_minute + weight * (rate - load.requests_per_minute),
        )


def _bounded(scaling: Scaling, count: int) -> int:
    return max(scaling.low, min(count, scaling.high))
