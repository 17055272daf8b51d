"""The object store beside `cp` and nginx: a large file to a version, and back.

    python benchmarks/store.py [--rounds 5] [--size-mb 1000] [--output FILE]

Each round has a file of its own bytes. It is copied and hashed by `cp` and `sha256sum`,
uploaded through google-cloud-storage and registered, uploaded and registered again, and
read by google-cloud-storage and obstore from nginx and from Homeport in turn. Then two
versions of an archive are registered that differ in their last layer.
"""

import argparse
import contextlib
import os
import pathlib
import random
import statistics
import subprocess
import tempfile
import time
import zipfile

import environment
import processes
import report
import torch
from report import Gate, Spread
from stores import Homeport, Nginx

ROUNDS = 5
SIZE_MB = 1000
LAYERS = 36
LAYER_VALUES = 1_250_000  # float32: 5 MB
MANIFEST = '{"runtime": "python", "model": {"modelName": "m", "handler": "h.py"}}'
CLIENT = pathlib.Path(__file__).with_name("store_client.py")
RESULTS = pathlib.Path(__file__).with_name("results")
MB = 1_000_000

COPY = "cp + sha256sum"
UPLOAD, UPLOAD_AGAIN = "upload", "upload the same bytes again"
REGISTER, REGISTER_AGAIN = "register", "register the same object again"
CLIENTS = ("google", "obstore")

# Seconds of each round, by what was done.
Times = dict[str, list[float]]


def main() -> None:
    """Measure, report, end everything."""
    options = _options()
    processes.end_on_terminate()
    made = environment.prepare_storage(options.cache)
    setting = report.setting(made)
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hps-"))
        )
        homeport, nginx = Homeport(scratch / "homeport"), Nginx(scratch / "nginx")
        for server in (homeport, nginx):
            stack.callback(server.end)
        homeport.start()
        homeport.create_bucket()
        bench = Bench(made, homeport, nginx, scratch)
        for number in range(options.rounds):
            bench.run(number, options.size_mb * MB)
            print(f"round {number + 1} of {options.rounds}", flush=True)
        grown_bytes = bench.grown_bytes()
        shared = _shared_percent(bench, scratch)
    _report(options, setting, bench, grown_bytes, shared)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--size-mb", type=int, default=SIZE_MB)
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS / "store.json")
    parser.add_argument(
        "--cache",
        type=pathlib.Path,
        default=environment.default_cache(),
        help="directory for the clients' environment, made once",
    )
    return parser.parse_args()


class Bench:
    """Servers that are up, and what was measured of them.

    Attributes:
        homeport: The object store.
        times: Seconds of each round, by what was done.
        new_blobs: How many blobs the same bytes made when they came again.
    """

    def __init__(
        self,
        made: environment.Environment,
        homeport: Homeport,
        nginx: Nginx,
        scratch: pathlib.Path,
    ) -> None:
        self.homeport = homeport
        self.times: Times = {}
        self.new_blobs = 0
        self._made = made
        self._nginx = nginx
        self._scratch = scratch
        self._peak_bytes = 0

    def run(self, number: int, size_bytes: int) -> None:
        """Measure one round."""
        file = self._scratch / "large.bin"
        _fill(file, size_bytes, seed=number)
        name = f"large-{number}"
        if not number:
            # Warm: what a first request imports is no growth with the size.
            small = self._scratch / "small.bin"
            _fill(small, MB, seed=-1)
            self.transfer("upload", self.homeport.url, "small", small)
            self._peak_bytes = self.homeport.peak_bytes()
        turns = [lambda: self._copy(file), lambda: self._take_in(file, name)]
        for turn in turns[:: 1 if number % 2 else -1]:
            _settle()
            turn()
        self._nginx.serve(file, self.homeport.hashes(name))
        servers = [("nginx", self._nginx.url), ("homeport", self.homeport.url)]
        for client in CLIENTS:
            for server, url in servers[:: 1 if number % 2 else -1]:
                _settle()
                taken_s = self.transfer(f"download-{client}", url, name, file)
                self._note(f"{client} from {server}", taken_s)
        self.homeport.delete(name)
        file.unlink()

    def grown_bytes(self) -> int:
        """Return how much more memory the server had at most than at the start."""
        return self.homeport.peak_bytes() - self._peak_bytes

    def transfer(self, way: str, url: str, name: str, file: pathlib.Path) -> float:
        """Return the seconds of one transfer by a client in a process of its own."""
        command = [self._made.executable("python"), str(CLIENT), way, url, name]
        ended = subprocess.run(
            [*command, str(file)], check=True, capture_output=True, text=True
        )
        return float(ended.stdout)

    def _copy(self, file: pathlib.Path) -> None:
        copy = self._scratch / "copy.bin"
        begin = time.perf_counter()
        subprocess.run(["cp", str(file), str(copy)], check=True)
        subprocess.run(["sha256sum", str(copy)], check=True, capture_output=True)
        self._note(COPY, time.perf_counter() - begin)
        copy.unlink()

    def _take_in(self, file: pathlib.Path, name: str) -> None:
        url = self.homeport.url
        self._note(UPLOAD, self.transfer("upload", url, name, file))
        self._register(REGISTER, name)
        before = self.homeport.blobs()
        _settle()
        self._note(UPLOAD_AGAIN, self.transfer("upload", url, name, file))
        self._register(REGISTER_AGAIN, name)
        self.new_blobs += len(self.homeport.blobs() - before)

    def _register(self, what: str, name: str) -> None:
        begin = time.perf_counter()
        self.homeport.register(name)
        self._note(what, time.perf_counter() - begin)

    def _note(self, what: str, taken_s: float) -> None:
        self.times.setdefault(what, []).append(taken_s)


def _fill(file: pathlib.Path, size_bytes: int, seed: int) -> None:
    chosen = random.Random(seed)
    with file.open("wb") as filled:
        for begin in range(0, size_bytes, 1 << 24):
            filled.write(chosen.randbytes(min(1 << 24, size_bytes - begin)))


def _settle() -> None:
    """Let nobody wait for what another turn wrote."""
    os.sync()
    processes.settle()


def _shared_percent(bench: Bench, scratch: pathlib.Path) -> float:
    """Return how much of a second version was there when it was registered.

    Counted is what the blobs take when only the versions need them.
    """
    generator = torch.Generator().manual_seed(5)
    weights = {
        f"layer{number}": torch.rand(LAYER_VALUES, generator=generator)
        for number in range(LAYERS)
    }
    taken_bytes = []
    for version in ("first", "second"):
        archive = _archive(weights, scratch, version)
        bench.transfer("upload", bench.homeport.url, version, archive)
        bench.homeport.register(version)
        bench.homeport.wait_divided(archive)
        bench.homeport.delete(version)
        bench.homeport.restart()
        taken_bytes.append(bench.homeport.stored_bytes())
        weights[f"layer{LAYERS - 1}"] = torch.rand(LAYER_VALUES, generator=generator)
    first_bytes, both_bytes = taken_bytes
    return 100 * (1 - (both_bytes - first_bytes) / archive.stat().st_size)


def _archive(
    weights: dict[str, torch.Tensor], scratch: pathlib.Path, version: str
) -> pathlib.Path:
    saved = scratch / "weights.pt"
    torch.save(weights, saved)
    archive = scratch / f"{version}.mar"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        file.writestr("MAR-INF/MANIFEST.json", MANIFEST)
        file.writestr("h.py", "def handle(data, context): ...\n")
        file.write(saved, "weights.pt")
    return archive


def _ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def _gates(bench: Bench, grown_bytes: int, shared: float) -> list[Gate]:
    times = bench.times
    whole = [sum(pair) for pair in zip(times[UPLOAD], times[REGISTER], strict=True)]
    again_s = statistics.median(times[REGISTER_AGAIN])
    gates = [
        Gate(
            f"upload and register, at most 2.5x {COPY}",
            _ratio(whole, times[COPY]),
            2.5,
            at_most=True,
        ),
        Gate("server memory growth, under 100 MB", grown_bytes / MB, 100, at_most=True),
        Gate("new blobs of the same bytes, none", bench.new_blobs, 0, at_most=True),
        Gate(
            f"{REGISTER_AGAIN}, under 1 s or a third of the first",
            again_s,
            max(1.0, statistics.median(times[REGISTER]) / 3),
            at_most=True,
        ),
        Gate("version 2, its last layer changed, % there, at least 95", shared, 95),
    ]
    for client in CLIENTS:
        speed = _ratio(times[f"{client} from nginx"], times[f"{client} from homeport"])
        promise = f"MB/s by {client}, at least 0.7x nginx"
        gates.append(Gate(promise, speed, 0.7))
    return gates


def _report(
    options: argparse.Namespace,
    setting: processes.Json,
    bench: Bench,
    grown_bytes: int,
    shared: float,
) -> None:
    gates = _gates(bench, grown_bytes, shared)
    results = {
        "setting": setting,
        "size_mb": options.size_mb,
        "seconds": bench.times,
        "gates": report.gate_json(gates),
    }
    lines = [
        "# The object store, beside cp and nginx",
        "",
        *report.setting_lines(setting),
        "",
        f"One file of {options.size_mb} MB. Medians of {options.rounds} rounds in "
        "turn, smallest and largest in brackets; a ratio is of two turns of one round.",
        "",
        "| what | s | MB/s |",
        "|---|---|---|",
    ]
    for what, taken in bench.times.items():
        speed = Spread.of(options.size_mb / taken_s for taken_s in taken)
        moved = "" if what.startswith("register") else speed.text(".0f")
        lines.append(f"| {what} | {Spread.of(taken).text('.2f')} | {moved} |")
    report.write(options.output, results, [*lines, "", *report.gate_table(gates)])


if __name__ == "__main__":
    main()
