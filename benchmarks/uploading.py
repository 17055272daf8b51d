"""A large file into Homeport's store: by the Python client and by google-cloud-storage.

    python benchmarks/uploading.py [--rounds 5] [--megabytes 1000] [--output FILE.json]

Both send the same file to the same server, in turns, each in a process of its own that
times the call alone; its first bytes are others each turn, so that no bytes are there
already. Our client tells its progress after each MiB, notes its session, and has the
server compare a checksum; google-cloud-storage computes one as well. The file is in the
page cache; what a turn wrote is on the disk before the next one begins.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile

import environment
import processes
import report
from report import Gate, Spread

ROUNDS = 5
MEGABYTES = 1000
MB = 1_000_000
LIMIT = 1.3
OURS, GOOGLES = "homeport", "google-cloud-storage"
BLOCK_BYTES = 1 << 20
CLIENT = pathlib.Path(__file__).with_name("store_client.py")
RESULTS = pathlib.Path(__file__).with_name("results")

UPLOAD = """
import pathlib, sys, time
from homeport.client import staging
from homeport.client.session import connect
told = []
with connect(sys.argv[1], "bench") as connection:
    begin = time.perf_counter()
    staging.stage(connection, pathlib.Path(sys.argv[2]), lambda *now: told.append(now))
    print(time.perf_counter() - begin)
assert told[-1][0] == told[-1][1] > 0
"""

# Seconds of each round, by client.
Times = dict[str, list[float]]


def main() -> None:
    """Measure, report, end everything."""
    options = _options()
    processes.end_on_terminate()
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hpb-"))
        )
        made = environment.prepare_storage(options.cache)
        setting = report.setting(made)
        times: Times = {OURS: [], GOOGLES: []}
        file = scratch / "file.bin"
        _write(file, options.megabytes * MB)
        names = list(times)
        for number in range(options.rounds + 1):
            first = number % len(names)
            for name in [*names[first:], *names[:first]]:
                _vary(file)
                seconds = _timed(name, scratch, file, made)
                print(f"{name:22} {seconds:.2f} s", flush=True)
                # The first round warms.
                if number:
                    times[name].append(seconds)
    _report(options, setting, times)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--megabytes", type=int, default=MEGABYTES)
    parser.add_argument(
        "--output", type=pathlib.Path, default=RESULTS / "uploading.json"
    )
    parser.add_argument(
        "--cache",
        type=pathlib.Path,
        default=environment.default_cache(),
        help="directory for the clients' environment, made once",
    )
    return parser.parse_args()


def _write(file: pathlib.Path, size_bytes: int) -> None:
    block = os.urandom(BLOCK_BYTES)
    with file.open("wb") as stream:
        while stream.tell() < size_bytes:
            stream.write(block[: size_bytes - stream.tell()])


def _vary(file: pathlib.Path) -> None:
    with file.open("r+b") as stream:
        stream.write(os.urandom(16))
    file.read_bytes()
    os.sync()


def _timed(
    name: str,
    scratch: pathlib.Path,
    file: pathlib.Path,
    made: environment.Environment,
) -> float:
    """Upload the file to a server with an empty store; return the seconds it took."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        home = pathlib.Path(folder)
        [port] = processes.free_ports(1)
        url = f"http://127.0.0.1:{port}"
        server = processes.start(
            [
                str(pathlib.Path(sys.executable).with_name("homeport")), "serve",
                "--port", str(port), "--data-dir", str(home / "data"),
            ],
            home,
        )  # fmt: skip
        try:
            server.wait_until_ready(f"{url}/readyz")
            bucket = b'{"name": "bench"}'
            path = f"{url}/storage/v1/b?project=bench"
            processes.request("POST", path, bucket, content_type="application/json")
            google = [made.executable("python"), str(CLIENT), "upload", url, "file"]
            ours = [sys.executable, "-c", UPLOAD, url]
            done = subprocess.run(
                [*(ours if name == OURS else google), str(file)],
                env={**os.environ, "XDG_CACHE_HOME": str(home / "cache")},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        finally:
            server.end()
    return float(done.stdout)


def _report(options: argparse.Namespace, setting: processes.Json, times: Times) -> None:
    ratios = [
        ours / googles
        for ours, googles in zip(times[OURS], times[GOOGLES], strict=True)
    ]
    ratio = Spread.of(ratios)
    promise = f"{options.megabytes} MB: at most {LIMIT} times {GOOGLES}'s time"
    gates = [Gate(promise, ratio.median, LIMIT, at_most=True)]
    results = {
        "setting": setting,
        "gates": report.gate_json(gates),
        "seconds": times,
        "ratio": dataclasses.asdict(ratio),
    }
    lines = [
        "# Uploading",
        "",
        *report.setting_lines(setting),
        "",
        *report.gate_table(gates),
        "",
        f"Medians of {options.rounds} rounds, with the smallest and the largest.",
        "",
        "| client | seconds | MB/s |",
        "|---|---|---|",
        *(_row(name, taken, options.megabytes) for name, taken in times.items()),
        f"| ratio | {ratio.text('.2f')} | |",
    ]
    report.write(options.output, results, lines)


def _row(name: str, taken: list[float], megabytes: int) -> str:
    seconds = Spread.of(taken)
    return f"| {name} | {seconds.text('.2f')} | {megabytes / seconds.median:.0f} |"


if __name__ == "__main__":
    main()
