"""What a command draws for somebody who sits at a terminal."""

import os
import pty
import subprocess
import sys


def drawn_by(*words: str, **variables: str) -> tuple[int, bytes]:
    """Run `homeport` and return its status, and what a terminal saw of its errors.

    Args:
        words: Behind `homeport`.
        variables: Added to the environment.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(  # noqa: S603  # our own interpreter
        [sys.executable, "-m", "homeport", *words],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", **variables},
    )
    os.close(theirs)

    drawn = bytearray()
    try:
        while chunk := os.read(ours, 1 << 16):
            drawn += chunk
    except OSError:  # how Linux ends a terminal that nobody writes to
        pass
    finally:
        os.close(ours)
    return process.wait(30), bytes(drawn)
