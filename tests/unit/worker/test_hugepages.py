"""A process's own memory is moved into huge pages, and holds what it held."""

import subprocess
import sys

import pytest

SCRIPT = """
import pathlib, re
from homeport.worker import hugepages

def huge_kib():
    rollup = pathlib.Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"AnonHugePages: +([0-9]+) kB", rollup)[1])

kept = [bytes([number % 251]) * 400 for number in range(100_000)]
before = huge_kib()
hugepages.collapse()
held = all(one == bytes([number % 251]) * 400 for number, one in enumerate(kept))
print(held, huge_kib() - before)
"""
# Of 40 MB: the rest is at the ends of what was asked of the system.
MOST_KIB = 20 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's huge pages")
def test_what_a_process_holds_is_moved_into_huge_pages() -> None:
    ran = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    held, gained_kib = ran.stdout.split()
    assert held == "True"
    if gained_kib == "0":
        pytest.skip("this system gives no huge pages")
    assert int(gained_kib) >= MOST_KIB
