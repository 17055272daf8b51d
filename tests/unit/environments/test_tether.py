"""A command on a tether does not outlive who waits for it."""

import shutil
import subprocess
import sys
import time

import pytest

from homeport.environments import tether
from liveness import is_running

DEADLINE_S = 60.0


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None
    return found


def test_it_gets_its_arguments_and_gives_its_status() -> None:
    command = tether.command(
        sys.executable, [_program("sh"), "-c", 'echo "a b"; exit 7']
    )

    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )

    assert (done.returncode, done.stdout) == (7, "a b\n")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells of a parent")
def test_it_ends_when_its_parent_is_killed() -> None:
    script = (
        "import subprocess, sys\n"
        "from homeport.environments import tether\n"
        "started = subprocess.Popen(tether.command(sys.executable, sys.argv[1:]))\n"
        "print(started.pid, flush=True)\n"
        "started.wait()\n"
    )
    # It says so when it is no longer the interpreter that it began as.
    waits = (_program("sh"), "-c", "echo begun; exec sleep 3600")
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", script, *waits], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        said = sorted((parent.stdout.readline(), parent.stdout.readline()))
        pid = int(said[0])
        assert said[1] == "begun\n"
        assert is_running(pid)

        parent.kill()

    deadline = time.monotonic() + DEADLINE_S
    while is_running(pid):
        assert time.monotonic() < deadline, "it outlived its parent"
        time.sleep(0.01)
