"""What a process computes is counted, and what its children do."""

import os
import subprocess
import sys

import pytest

from homeport.serving.usage import CpuMeter, cpu_s, memory_bytes

COMPUTES = "import time\nwhile time.process_time() < 0.3: pass\n"
# Waits for one child that computes, then has another one that has computed and stays.
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {COMPUTES!r}], check=True)
stays = {COMPUTES!r} + "import sys; print('done', flush=True); sys.stdin.read()"
subprocess.run([sys.executable, "-c", stays], check=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_children_count_those_that_ended_and_those_that_run() -> None:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()

        seconds = cpu_s(parent.pid)

        parent.kill()
    assert seconds >= 0.5


def test_a_meter_counts_from_look_to_look() -> None:
    meter = CpuMeter()

    first = meter.since_last([os.getpid()])
    sum(range(10_000_000))
    second = meter.since_last([os.getpid()])

    assert first == 0.0
    assert second > 0.0


def test_of_a_process_that_is_no_more_nothing_is_known() -> None:
    assert cpu_s(0) == 0.0


TAKES = """
import subprocess, sys
taken = b"x" * (40 << 20)
print("taken", flush=True)
sys.stdin.read()
"""
HAS_A_CHILD_THAT_TAKES = f"""
import subprocess, sys
taken = b"x" * (40 << 20)
subprocess.run([sys.executable, "-c", {TAKES!r}])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_memory_is_that_of_a_process_and_of_its_children() -> None:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HAS_A_CHILD_THAT_TAKES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()

        taken_bytes = memory_bytes(parent.pid)

        parent.kill()
    assert 80 << 20 <= taken_bytes < 160 << 20
    assert memory_bytes(parent.pid) == 0
