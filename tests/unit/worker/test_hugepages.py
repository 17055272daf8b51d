"""A process's own memory is moved into huge pages, and holds what it held."""

import mmap
import pathlib
import subprocess
import sys

import pytest

SETTING = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
COLLAPSE = 25
HUGE_BYTES = 2 * 1024 * 1024
SCRIPT = """
import mmap, pathlib, re
from homeport.worker import hugepages

def huge_kib():
    rollup = pathlib.Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"AnonHugePages: +([0-9]+) kB", rollup)[1])

held = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for page in range(0, len(held), 4096):
    held[page : page + 8] = page.to_bytes(8, "big")
before = huge_kib()
hugepages.collapse()
same = all(
    held[page : page + 8] == page.to_bytes(8, "big")
    for page in range(0, len(held), 4096)
)
print(same, huge_kib() - before)
"""
# Of 64 MiB: its ends need not lie where a huge page begins.
LEAST_KIB = 60 * 1024


def gives_huge_pages() -> bool:
    if not SETTING.exists() or "[never]" in SETTING.read_text():
        return False
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with mmap.mmap(-1, 4 * HUGE_BYTES, flags=flags) as probe:
        probe.write(bytes(len(probe)))
        try:
            probe.madvise(COLLAPSE)
        except OSError:
            return False
    return True


@pytest.mark.skipif(
    not gives_huge_pages(), reason="this system moves nothing into huge pages"
)
def test_what_a_process_holds_is_moved_into_huge_pages() -> None:
    ran = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    same, gained_kib = ran.stdout.split()
    assert same == "True"
    assert int(gained_kib) >= LEAST_KIB
