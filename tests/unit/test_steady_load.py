"""The load of a benchmark ends with the benchmark, however that ends."""

import pathlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from steady import Load

from answering import answering

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"
PROGRAM = """
import sys, time
import processes, steady

processes.end_on_terminate()
with steady.Load(sys.argv[1], b"{}"):
    if sys.argv[2] == "measuring":
        print("begun", flush=True)
        time.sleep(100)
    if sys.argv[2] == "failing":
        raise SystemExit(3)
    print("begun", flush=True)
"""


@pytest.fixture
def silent_url() -> Iterator[str]:
    """The URL of a server that answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def _begin(url: str, what: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", PROGRAM, url, what],
        cwd=BENCHMARKS,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> int:
    """Return how it ended, once all who have its output have."""
    try:
        process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode


@pytest.mark.parametrize("what", ["measuring", "ending"])
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name
)
def test_the_load_of_a_benchmark_that_is_ended_ends(
    silent_url: str, what: str, number: signal.Signals
) -> None:
    process = _begin(silent_url, what)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"

    process.send_signal(number)

    assert _end(process) != 0


def test_the_load_of_a_benchmark_that_fails_ends_without_its_answers(
    silent_url: str,
) -> None:
    assert _end(_begin(silent_url, "failing")) == 3


# Python 3.12 and later; here the fork needs nothing that a thread may hold.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_the_answers_of_a_load_are_there_when_it_has_ended() -> None:
    asked = threading.Event()

    def answer(method: str, path: str) -> dict[str, Any]:
        asked.set()
        return {"predictions": [method, path]}

    with (
        answering(answer) as url,
        Load(f"{url}/predict", b"{}", requests_s=200.0) as load,
    ):
        assert asked.wait(60.0)

    answers = load.between(0.0, float("inf"))
    assert answers
    assert all(one.good for one in answers)
