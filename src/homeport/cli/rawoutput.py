"""Bytes from a server on standard output, as they come."""

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def standard_output() -> Iterator[Callable[[bytes], None]]:
    """Yield what writes bytes at once; on a terminal their last line is ended."""
    last = b"\n"

    def write(piece: bytes) -> None:
        nonlocal last
        if piece:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            last = piece[-1:]

    try:
        yield write
    finally:
        if last != b"\n" and sys.stdout.isatty():
            sys.stdout.buffer.write(b"\n")
            sys.stdout.buffer.flush()
