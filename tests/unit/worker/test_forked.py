"""A process that another forked is known by its pidfd, whoever reaps it."""

import asyncio
import os
import subprocess
import sys

import pytest

from homeport.worker.forked import ForkedProcess

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]
DEADLINE_S = 60.0


def test_what_nobody_else_reaps_is_reaped_and_told() -> None:
    child = subprocess.Popen(SLEEPS)  # noqa: S603  # our own command
    reading, writing = os.pipe()

    async def scenario() -> int | None:
        forked = ForkedProcess(child.pid, os.pidfd_open(child.pid), writing)
        forked.orphan()
        child.kill()
        return await asyncio.wait_for(forked.wait(), DEADLINE_S)

    assert asyncio.run(scenario()) == -9
    with pytest.raises(ChildProcessError):
        os.waitpid(child.pid, os.WNOHANG)
    child.wait()
    os.close(reading)
