"""A batch prediction of a million rows, beside a plain loop and beside MLflow.

    python benchmarks/batch.py [--rounds 5] [--rows 1000000] [--output FILE.json]

The same file of rows and the same model, taken in turn: a Homeport job, output in the
bucket; a loop that anybody would write (`plain_loop.py`) in as many processes as the
job has replicas; MLflow's batch prediction. Compared is the time from the loaded model
to the last line; the time with loading is told beside it.
"""

import argparse
import contextlib
import dataclasses
import datetime as dt
import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import environment
import models
import processes
import report
from environment import Environment
from models import Archive
from peers import POLL_S, PROJECT, Homeport
from report import Gate, Spread

ROUNDS = 5
ROWS = 1_000_000
PROCESSES = 2
AT_LEAST = 0.6
GROWTH_MIB = 200.0
JOB_S = 600.0
RESULTS = pathlib.Path(__file__).with_name("results")
HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """One prediction of all rows.

    Attributes:
        predicting_s: From the loaded model to the last line.
        total_s: From nothing, or from a job's creation.
    """

    predicting_s: float
    total_s: float


Turns = dict[str, list[Turn]]


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """What every peer is given.

    Attributes:
        archive: The model.
        rows: The file of instances.
        count: How many there are in it.
        scratch: Where outputs go.
    """

    archive: Archive
    rows: pathlib.Path
    count: int
    scratch: pathlib.Path


class Jobs:
    """Homeport, with the rows in its bucket.

    Attributes:
        grown_mib: By how much the server's memory grew, at the most, since it was idle.
    """

    def __init__(self, server: Homeport, work: Work) -> None:
        self._server = server
        server.start([work.archive], 1)
        self._model = server.model(work.archive)
        self._idle_mib = _peak_mib(server.pid)
        self._put(work.rows)

    @property
    def grown_mib(self) -> float:
        return _peak_mib(self._server.pid) - self._idle_mib

    def predict(self, work: Work) -> Turn:
        """Create a job and see it end."""
        began = time.monotonic()
        job = self._server.call(
            "POST",
            f"/v1/{PROJECT}/batchPredictionJobs",
            {
                "displayName": "bench",
                "model": self._model,
                "inputConfig": {
                    "instancesFormat": "jsonl",
                    "gcsSource": {"uris": ["gs://bench/rows.jsonl"]},
                },
                "outputConfig": {
                    "predictionsFormat": "jsonl",
                    "gcsDestination": {"outputUriPrefix": "gs://bench/out"},
                },
                "dedicatedResources": {"startingReplicaCount": PROCESSES},
            },
        )
        while "endTime" not in job:
            if time.monotonic() - began > JOB_S:
                raise RuntimeError(f"{job['name']} took over {JOB_S:.0f} s")
            time.sleep(POLL_S)
            job = self._server.call("GET", f"/v1/{job['name']}")
        took_s = time.monotonic() - began
        if int(job.get("completionStats", {}).get("successfulCount", 0)) != work.count:
            raise RuntimeError(f"{job['name']} ended as {job}")
        ran = _moment(job["endTime"]) - _moment(job["startTime"])
        return Turn(ran.total_seconds(), took_s)

    def _put(self, rows: pathlib.Path) -> None:
        self._server.store("rows.jsonl", rows.read_bytes())


def main() -> None:
    """Measure, report, end everything."""
    options = _options()
    processes.end_on_terminate()
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hpb-"))
        )
        made = environment.prepare_batch(options.cache)
        setting = report.setting(made)
        archiver = environment.prepare(options.cache)
        archive = models.build("mlp", 1, scratch / "models", archiver)
        work = Work(
            archive, _written(archive, options.rows, scratch), options.rows, scratch
        )
        server = Homeport(scratch / "homeport")
        stack.callback(server.end)
        jobs = Jobs(server, work)
        turns = _take_turns(
            options.rounds,
            {
                "homeport": lambda: jobs.predict(work),
                "plain loop": lambda: _loop(work),
                "mlflow": _mlflow(made, work),
            },
        )
        grown_mib = jobs.grown_mib
    _report(options, setting, turns, grown_mib)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS / "batch.json")
    parser.add_argument(
        "--cache",
        type=pathlib.Path,
        default=environment.default_cache(),
        help="directory for the peers' environments, made once",
    )
    return parser.parse_args()


def _written(archive: Archive, count: int, scratch: pathlib.Path) -> pathlib.Path:
    """Return the file of instances, the archive's own over and over."""
    path = scratch / "rows.jsonl"
    instances = [json.loads(body)["instances"][0] for body in archive.bodies]
    lines = [json.dumps(row, separators=(",", ":")) + "\n" for row in instances]
    with path.open("w") as file:
        file.writelines(itertools.islice(itertools.cycle(lines), count))
    return path


def _take_turns(rounds: int, peers: dict[str, Callable[[], Turn]]) -> Turns:
    turns: Turns = {name: [] for name in peers}
    for name, predict in peers.items():
        print(f"{name} warms up: {predict().total_s:.2f} s", flush=True)
    for turn in range(rounds):
        names = list(peers)
        first = turn % len(names)
        for name in [*names[first:], *names[:first]]:
            processes.settle()
            turns[name].append(peers[name]())
            print(f"{name:11} {turns[name][-1].predicting_s:.2f} s", flush=True)
    return turns


def _loop(work: Work) -> Turn:
    """Run the loop, its processes side by side; the slowest counts."""
    size = work.rows.stat().st_size
    bounds = [size * part // PROCESSES for part in range(PROCESSES + 1)]
    began = time.monotonic()
    running = [
        subprocess.Popen(
            [
                *(sys.executable, str(HERE / "plain_loop.py")),
                *(str(work.archive.torchscript), str(work.rows)),
                *(str(work.scratch / f"loop-{first}.jsonl"), str(first), str(last)),
            ],
            stdout=subprocess.PIPE,
        )
        for first, last in itertools.pairwise(bounds)
    ]
    said = [process.communicate(timeout=JOB_S)[0] for process in running]
    took_s = time.monotonic() - began
    if any(process.returncode for process in running):
        raise RuntimeError("the plain loop failed")
    outputs = work.scratch.glob("loop-*.jsonl")
    found = sum(path.read_bytes().count(b"\n") for path in outputs)
    if found != work.count:
        raise RuntimeError(f"the plain loop wrote {found} lines")
    return Turn(max(map(float, said)), took_s)


def _mlflow(made: Environment, work: Work) -> Callable[[], Turn]:
    """Return what predicts with MLflow once, and says how long it took."""
    script = [made.executable("python"), str(HERE / "mlflow_batch.py")]
    folder, output = work.scratch / "mlflow", work.scratch / "mlflow.jsonl"
    saving = [*script, "save", str(work.archive.torchscript), str(folder)]
    subprocess.run(saving, check=True, capture_output=True)

    def predict() -> Turn:
        predicting = [*script, "predict", str(folder), str(work.rows), str(output)]
        began = time.monotonic()
        ran = subprocess.run(predicting, check=True, capture_output=True)
        took_s = time.monotonic() - began
        return Turn(float(ran.stdout.splitlines()[-1]), took_s)

    return predict


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _peak_mib(pid: int) -> float:
    """Return the most memory a process ever had."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def _report(
    options: argparse.Namespace,
    setting: processes.Json,
    turns: Turns,
    grown_mib: float,
) -> None:
    medians = {
        name: statistics.median(turn.predicting_s for turn in taken)
        for name, taken in turns.items()
    }
    gates = [
        Gate(
            "rows/s of a job, at least 0.6 of the plain loop's",
            medians["plain loop"] / medians["homeport"],
            AT_LEAST,
        ),
        Gate("memory growth of the server, MiB", grown_mib, GROWTH_MIB, at_most=True),
    ]
    lines = [
        "# Batch prediction, beside a plain loop and MLflow",
        "",
        *report.setting_lines(setting),
        "",
        f"{options.rows} rows of 16 numbers, jsonl to jsonl, {PROCESSES} replicas and "
        f"{PROCESSES} processes of the loop; seconds from the loaded model to the last "
        f"line, and with loading. Medians of {options.rounds} rounds in turn, smallest "
        "and largest in brackets.",
        "",
        "| who | predicting | with loading | rows/s |",
        "|---|---|---|---|",
        *(
            f"| {name} | {Spread.of(turn.predicting_s for turn in taken).text('.2f')} "
            f"| {Spread.of(turn.total_s for turn in taken).text('.2f')} "
            f"| {options.rows / medians[name]:,.0f} |"
            for name, taken in turns.items()
        ),
        "",
        *report.gate_table(gates),
    ]
    results = {
        "setting": setting,
        "seconds": {
            name: [dataclasses.asdict(turn) for turn in taken]
            for name, taken in turns.items()
        },
        "grown_mib": grown_mib,
        "gates": report.gate_json(gates),
    }
    report.write(options.output, results, lines)


main()
