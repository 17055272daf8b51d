"""What a check measures: bytes, memory, latency."""

import contextlib
import pathlib
import re
import statistics
import time
from typing import Final

from homeport.checking import failures
from homeport.checking.asking import Asked
from homeport.checking.report import Measures

_MOST_PREDICTIONS: Final = 10
_ENOUGH_S: Final = 0.5
_PEAK_RE: Final = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_memory_bytes(pid: int) -> int | None:
    """Return the largest resident set that a process had, None where it is not told.

    Of the process image alone: what the forking parent had does not count.
    """
    with contextlib.suppress(OSError):
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        if match := _PEAK_RE.search(status):
            return int(match[1]) * 1024
    return None


async def latency_s(asked: Asked, body: bytes) -> float:
    """Return the median seconds of up to ten predictions, or those of half a second.

    Raises:
        TimeoutError: A call took too long.
        UnavailableError: The worker ended.
        FaultError: The sample, which was answered before, fails.
    """
    taken: list[float] = []
    while len(taken) < _MOST_PREDICTIONS and sum(taken) < _ENOUGH_S:
        began = time.perf_counter()
        reply = await asked.predict(body)
        if reply.code:
            raise failures.failed_again(reply.payload.decode("utf-8", "replace"))
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def summary(measures: Measures) -> str:
    """Return the numbers of a worker in one line, for people."""
    parts = []
    if measures.environment_bytes is not None:
        parts.append(f"{_in_mb(measures.environment_bytes)} environment")
    if measures.latency_s is not None:
        parts.append(f"{measures.latency_s * 1000:.1f} ms a prediction")
    if measures.peak_memory_bytes is not None:
        parts.append(f"{_in_mb(measures.peak_memory_bytes)} of memory")
    return ", ".join(parts)


def _in_mb(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
