"""Huge pages for memory that forked processes share.

To fork a process, and to end it, the system goes through a table with an entry for each
page: with huge ones, of 2 MiB instead of 4 KiB, each takes half of the time or less.
What a forked process writes to is copied in small pages all the same.
"""

import ctypes
import pathlib
from collections.abc import Iterator
from typing import Final

# For a process that is to use the C library's heap: it asks for huge pages itself, as
# far as the system gives any.
VARIABLES: Final = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
_SETTING: Final = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
_HUGE_BYTES: Final = 2 * 1024 * 1024
# madvise(2), since Linux 6.1.
_COLLAPSE: Final = 25


def collapse() -> None:
    """Move this process's own memory into huge pages, as far as the system has them.

    It is for once, before anything is forked: what is shared already is copied.
    """
    if not _SETTING.exists() or "[never]" in _SETTING.read_text():
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in _own_memory():
        # What it refuses stays as it is.
        madvise(start, end - start, _COLLAPSE)


def _own_memory() -> Iterator[tuple[int, int]]:
    """Yield the bounds of what is no file's and not the stack, in whole huge pages."""
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
        addresses, access, _, _, _, *name = line.split()
        if access != "rw-p" or name not in ([], ["[heap]"]):
            continue
        first, last = (int(address, 16) for address in addresses.split("-"))
        start = -(-first // _HUGE_BYTES) * _HUGE_BYTES
        end = last // _HUGE_BYTES * _HUGE_BYTES
        if start < end:
            yield start, end
