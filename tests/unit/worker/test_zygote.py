"""What is forked leaves alone what was to be done at the exit of what forked it."""

import subprocess
import sys

SCRIPT = """
import os, weakref
from homeport.worker import child, zygote

class Thing:
    pass

theirs = Thing()
weakref.finalize(theirs, print, "inherited", flush=True)
if os.fork() == 0:
    zygote._forget_inherited()
    own = Thing()
    weakref.finalize(own, print, "own", flush=True)
    child.leave(0)
os.wait()
print("forked", flush=True)
"""


def test_an_exit_takes_apart_its_own_and_nothing_inherited() -> None:
    ran = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["own", "forked", "inherited"]
