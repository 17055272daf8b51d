"""When a replica hangs, and what is told of a request or a call that took too long."""

from homeport.errors import DeadlineExceededError
from homeport.serving.runtime import Replica
from homeport.worker.replica import LoadReport


def late(deadline_s: float) -> DeadlineExceededError:
    """Return what a request that is past its deadline fails with."""
    return DeadlineExceededError(
        f"no answer within {deadline_s:g} s: the model is slow or stuck, or too many "
        "requests wait for it"
    )


def why(
    replica: Replica, deadline_s: float, now: float
) -> DeadlineExceededError | None:
    """Return what is wrong with a replica that hangs, None if it does not.

    Args:
        replica: It works, or not.
        deadline_s: What one call may take at the most, whatever its model allows.
        now: In `time.monotonic()` seconds.
    """
    since, report = replica.busy_since, replica.report
    if since is None or since >= now - _longest_call_s(report, deadline_s):
        return None
    limit_s = report.response_timeout_s
    if limit_s is None or limit_s >= deadline_s:
        return late(deadline_s)
    return DeadlineExceededError(
        f"the handler did not return within {limit_s:g} s, which is "
        f"{report.response_timeout_source}: make it faster, or raise that limit"
    )


def _longest_call_s(report: LoadReport, deadline_s: float) -> float:
    if report.response_timeout_s is None:
        return deadline_s
    # The handler does not work while its batch waits for company.
    return min(report.response_timeout_s + report.max_batch_delay_s, deadline_s)
