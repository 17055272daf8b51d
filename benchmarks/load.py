"""Load on one URL with wrk, and the proof beforehand that its answers are right."""

import concurrent.futures
import dataclasses
import json
import pathlib
import shutil
import subprocess
import time
from collections.abc import Sequence

import processes
from models import TOLERANCE, Archive

SCRIPT = pathlib.Path(__file__).with_name("predict.lua")
# wrk gives up on a response after this; it is counted as an error.
TIMEOUT_S = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """What one timed window of load found.

    Attributes:
        requests_s: Good responses in a second.
        p50_ms: Median latency of all responses.
        p99_ms: 99th percentile of them.
        errors: Responses of 400 and above, broken connections and time-outs.
        foreign_cores: Processor cores that others than this benchmark kept busy.
    """

    requests_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    foreign_cores: float


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often each cell is measured.

    Attributes:
        rounds: Windows for each peer in each cell.
        warmup_s: Load before each window, not counted.
        window_s: Length of each window.
    """

    rounds: int
    warmup_s: int
    window_s: int


def require_wrk() -> None:
    """Refuse to begin without the load generator.

    Raises:
        SystemExit: wrk is not on the path.
    """
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: install it (Debian: apt-get install wrk)")


def check(url: str, archive: Archive) -> None:
    """Predict every instance alone and then all at once, and compare the answers.

    Raises:
        ValueError: A prediction differs by more than the tolerance.
        RuntimeError: The server refused one.
    """
    indices = range(len(archive.bodies))
    for index in indices:
        _check_one(url, archive, index)
    # Batches of different requests: each must get its own answer back.
    with concurrent.futures.ThreadPoolExecutor(len(archive.bodies)) as threads:
        list(threads.map(lambda index: _check_one(url, archive, index), [*indices] * 4))


def _check_one(url: str, archive: Archive, index: int) -> None:
    prediction = predict(url, archive.bodies[index])["predictions"][0]
    difference = distance(prediction, archive.answers[index])
    if difference > TOLERANCE:
        raise ValueError(
            f"{url} answers instance {index} of {archive.model} with {prediction}, "
            f"{difference:.1e} from the model's own answer; the limit is {TOLERANCE}"
        )


def predict(url: str, body: bytes) -> processes.Json:
    """Return the parsed answer to one request."""
    return processes.request("POST", url, body, content_type="application/json")


def distance(prediction: Sequence[float], answer: Sequence[float]) -> float:
    """Return the largest difference of two outputs; infinite if lengths differ."""
    if len(prediction) != len(answer):
        return float("inf")
    return max(abs(one - other) for one, other in zip(prediction, answer, strict=True))


def measure(url: str, body: pathlib.Path, connections: int, plan: Plan) -> Window:
    """Return one window of load on `url` after its warm-up.

    Requests that wrk leaves behind are worked off before the next load begins:
    they would fill the server's queue, or take the cores from another peer.

    Args:
        url: Where to POST.
        body: File with the request's bytes.
        connections: Kept-alive connections, each with one request under way.
        plan: The lengths.
    """
    _wrk(url, body, connections, plan.warmup_s)
    processes.settle()
    before, busy, own = time.monotonic(), processes.busy_s(), processes.own_s()
    counted = _wrk(url, body, connections, plan.window_s)
    elapsed_s = time.monotonic() - before
    foreign_s = (processes.busy_s() - busy) - (processes.own_s() - own)
    processes.settle()
    good = counted["requests"] - counted["refused"]
    return Window(
        requests_s=good / counted["seconds"],
        p50_ms=counted["p50_ms"],
        p99_ms=counted["p99_ms"],
        errors=counted["refused"] + counted["broken"] + counted["late"],
        foreign_cores=max(0.0, foreign_s / elapsed_s),
    )


def _wrk(
    url: str, body: pathlib.Path, connections: int, seconds: int
) -> processes.Json:
    run = subprocess.run(
        [
            "wrk",
            # One thread sends more than any peer answers and leaves cores to it.
            *("--threads", "1"),
            *("--connections", str(connections)),
            *("--duration", f"{seconds}s"),
            *("--timeout", f"{TIMEOUT_S}s"),
            *("--script", str(SCRIPT)),
            url,
            "--",
            str(body),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 3 * TIMEOUT_S,
    )
    counted: processes.Json = json.loads(run.stdout.strip().splitlines()[-1])
    return counted
