"""A zygote imports what there is; what it forks leaves its exit to it."""

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


WITHOUT_PILLOW = """
import sys
sys.modules["PIL"] = None
from homeport.worker import zygote

zygote._preload(["torch"])
print("torch" in sys.modules, "homeport.worker.visionhandler" in sys.modules)
"""


def test_a_zygote_does_without_what_its_environment_lacks() -> None:
    ran = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-c", WITHOUT_PILLOW],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["True", "False"]
