"""Packing, inspecting and checking archives, beside their peers in one run.

    python benchmarks/packing.py [--rounds 5] [--megabytes 500] [--output FILE.json]

Packed are random weights in TorchScript with `base_handler` and no requirements: by
Homeport, by `cp` with one `sha256sum` of the copy, and by torch-model-archiver.
Inspected is a sparse archive of 5 GB in 1,000 members. Checked is a small TorchScript
model in an environment that is there already. Everything is read from the page cache;
what an earlier turn wrote is on the disk before the next one begins.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence

import environment
import processes
import report
from report import Gate, Spread

from homeport.archive import reading
from homeport.packing import checkpoints

ROUNDS = 5
MEGABYTES = 500
RESULTS = pathlib.Path(__file__).with_name("results")

COPY_LIMIT = 1.5
PEER_LIMIT = 6.0
MEMORY_LIMIT_MB = 100
INSPECT_LIMIT_MS = 100
CHECK_LIMIT_S = 5.0

INSPECTED_MEMBERS = 1000
INSPECTED_MEMBER_BYTES = 5_000_000
MANIFEST = b'{"model": {"modelName": "large", "handler": "base_handler"}}'

# A process of its own: torch's memory is not to be counted as anybody's below.
WEIGHTS = """
import sys, warnings, torch
warnings.simplefilter("ignore")
model = torch.nn.Linear(1, 1, bias=False)
torch.manual_seed(0)
model.weight = torch.nn.Parameter(torch.randn(int(sys.argv[2]), 250_000))
torch.jit.script(model).save(sys.argv[1])
"""
SMALL = """
import sys, warnings, torch
warnings.simplefilter("ignore")
torch.manual_seed(0)
torch.jit.script(torch.nn.Linear(4, 2)).save(sys.argv[1])
"""
SAMPLE = {"instances": [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]]}


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """One run of one command.

    Attributes:
        seconds: From start to end.
        peak_bytes: The most memory that it had resident; of a shell, its largest
            child's.
    """

    seconds: float
    peak_bytes: int


Turns = dict[str, list[Turn]]


def main() -> None:
    """Measure and report."""
    options = _options()
    processes.end_on_terminate()
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hpb-"))
        )
        made = environment.prepare(options.cache)
        setting = report.setting(made)
        packed = _measure_packing(options, scratch, made)
        inspected = _measure_inspecting(options.rounds, scratch)
        checked = _measure_checking(options.rounds, scratch)
    _report(options, setting, {**packed, **inspected, **checked})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--megabytes", type=int, default=MEGABYTES)
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS / "packing.json")
    parser.add_argument(
        "--cache",
        type=pathlib.Path,
        default=environment.default_cache(),
        help="directory for the peers' environment, made once",
    )
    return parser.parse_args()


def _measure_packing(
    options: argparse.Namespace, scratch: pathlib.Path, made: environment.Environment
) -> Turns:
    model = scratch / "weights.pt"
    subprocess.run(
        [sys.executable, "-c", WEIGHTS, str(model), str(options.megabytes)], check=True
    )
    store = scratch / "store"
    given = ["--model-name", "w", "--version", "1.0", "--serialized-file", str(model)]
    # It removes whatever is called as the model in the system's temporary directory.
    apart = ["env", f"TMPDIR={scratch}", made.executable("torch-model-archiver")]
    archiver = [*apart, *given, "--export-path"]
    copy = f"cp {model} {store}/w.pt && sha256sum {store}/w.pt"
    commands = {
        "cp and sha256sum": ["sh", "-c", copy],
        "homeport pack": [_homeport(), "pack", *given, "--export-path", str(store)],
        "torch-model-archiver": [*archiver, str(store), "--handler", "base_handler"],
    }
    turns = _take_turns(options.rounds, commands, lambda: _emptied(store))
    # Memory does not grow with the model.
    large = scratch / "large.bin"
    with large.open("wb") as file:
        file.truncate(4 * options.megabytes * 1_000_000)
    handler = scratch / "handler.py"
    handler.write_text("def handle(data, context):\n    return data\n")
    given = ["--model-name", "w", "-s", str(large), "--handler", str(handler)]
    command = [_homeport(), "pack", *given, "--export-path", str(store)]
    _emptied(store)
    turns["homeport pack, 4 times the size"] = [_run(command)]
    _emptied(store)
    return turns


def _measure_inspecting(rounds: int, scratch: pathlib.Path) -> Turns:
    archive = scratch / "large.mar"
    _write_sparse(archive)
    commands = {
        "homeport inspect": [_homeport(), "inspect", "--output=json", str(archive)]
    }
    turns = _take_turns(rounds, commands, os.sync)
    read = [_timed(lambda: reading.check(archive)) for _ in range(rounds)]
    looked = [
        _timed(lambda: checkpoints.report(archive, reading.check(archive)))
        for _ in range(rounds)
    ]
    return {
        "reading it": [Turn(seconds, 0) for seconds in read],
        "reading it and its checkpoints": [Turn(seconds, 0) for seconds in looked],
        **turns,
    }


def _measure_checking(rounds: int, scratch: pathlib.Path) -> Turns:
    """Check in a locked environment; the first time, which builds it, is apart."""
    folder = scratch / "check"
    folder.mkdir()
    model, sample = folder / "small.pt", folder / "sample.json"
    requirements = folder / "requirements.txt"
    subprocess.run([sys.executable, "-c", SMALL, str(model)], check=True)
    sample.write_text(json.dumps(SAMPLE))
    torch = report.version("torch").partition("+")[0]
    requirements.write_text(f"torch=={torch}\n")
    given = ["-s", str(model), "-r", str(requirements), "--export-path", str(folder)]
    _run([_homeport(), "pack", *given])
    check = [_homeport(), "check", str(folder / "small.mar"), "--sample", str(sample)]
    check += ["--cache-dir", str(folder / "environments")]
    cold = _run(check)
    warm = _take_turns(rounds, {"homeport check": check}, os.sync)
    return {"homeport check, which builds": [cold], **warm}


def _homeport() -> str:
    return str(pathlib.Path(sys.executable).with_name("homeport"))


def _take_turns(
    rounds: int, commands: dict[str, list[str]], prepare: Callable[[], None]
) -> Turns:
    """Run each command once a round, beginning with another one each time."""
    turns: Turns = {name: [] for name in commands}
    names = list(commands)
    for number in range(rounds):
        first = number % len(names)
        for name in [*names[first:], *names[:first]]:
            prepare()
            turn = _run(commands[name])
            turns[name].append(turn)
            print(f"{name:24} {turn.seconds:.2f} s", flush=True)
    return turns


def _run(command: Sequence[str]) -> Turn:
    begun = time.monotonic()
    popen = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(popen.pid, 0)
    seconds = time.monotonic() - begun
    popen.returncode = os.waitstatus_to_exitcode(status)
    if popen.returncode:
        raise RuntimeError(f"{command[0]} ended with {popen.returncode}")
    return Turn(seconds, usage.ru_maxrss * 1024)


def _timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _emptied(store: pathlib.Path) -> None:
    store.mkdir(exist_ok=True)
    for left in store.iterdir():
        left.unlink()
    os.sync()


def _write_sparse(path: pathlib.Path) -> None:
    """Write an archive of zeros that takes next to no space (APPNOTE 4.3, zip64)."""
    crc32 = zlib.crc32(bytes(INSPECTED_MEMBER_BYTES))
    central = bytearray()
    with path.open("wb") as file:
        offset = 0
        for number in range(INSPECTED_MEMBERS):
            name, size, crc = (
                b"weights/%04d.bin" % number,
                INSPECTED_MEMBER_BYTES,
                crc32,
            )
            if number == 0:
                name, size, crc = (
                    *(b"MAR-INF/MANIFEST.json", len(MANIFEST)),
                    zlib.crc32(MANIFEST),
                )
            fields = (0, 0, 0, 33, crc, size, size, len(name))
            file.seek(offset)
            file.write(struct.pack("<4s5H3L2H", b"PK\x03\x04", 45, *fields, 0) + name)
            if number == 0:
                file.write(MANIFEST)
            wide = struct.pack("<2HQ", 1, 8, offset)
            rest = (len(wide), 0, 0, 0, 0, 0xFFFFFFFF)
            central += struct.pack(
                "<4s6H3L5H2L", b"PK\x01\x02", 3 << 8 | 45, 45, *fields, *rest
            )
            central += name + wide
            offset += 30 + len(name) + size
        file.seek(offset)
        file.write(central)
        count, length, behind = INSPECTED_MEMBERS, len(central), offset + len(central)
        end = (0, 0, count, count, length, offset)
        file.write(struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, *end))
        file.write(struct.pack("<4sLQL", b"PK\x06\x07", 0, behind, 1))
        end = (0, 0, count, count, length, 0xFFFFFFFF)
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", *end, 0))


def _report(options: argparse.Namespace, setting: processes.Json, turns: Turns) -> None:
    gates = _gates(turns)
    results = {
        "setting": setting,
        "megabytes": options.megabytes,
        "turns": {
            name: [dataclasses.asdict(turn) for turn in taken]
            for name, taken in turns.items()
        },
        "gates": report.gate_json(gates),
    }
    lines = [
        "# Packing, inspecting and checking",
        "",
        *report.setting_lines(setting),
        "",
        f"Packed: {options.megabytes} MB of random weights. Inspected: "
        f"{INSPECTED_MEMBERS} members, {INSPECTED_MEMBER_BYTES / 1e6:.0f} MB each. "
        f"Checked: a small model, in an environment from its requirements. Medians of "
        f"{options.rounds} rounds in turn, smallest and largest in brackets.",
        "",
        "| | seconds | peak MB |",
        "|---|---|---|",
        *(_line(name, taken) for name, taken in turns.items()),
        "",
        *report.gate_table(gates),
    ]
    report.write(options.output, results, lines)


def _line(name: str, taken: list[Turn]) -> str:
    seconds = Spread.of(turn.seconds for turn in taken).text(".3f")
    peak = max(turn.peak_bytes for turn in taken) / 1e6
    return f"| {name} | {seconds} | {f'{peak:.0f}' if peak else '-'} |"


def _gates(turns: Turns) -> list[Gate]:
    own = turns["homeport pack"]
    sizes = [*own, *turns["homeport pack, 4 times the size"]]
    reading_ms = 1000 * _median(turns["reading it"])
    return [
        Gate(
            promise=f"pack: at most {COPY_LIMIT}x cp and sha256sum",
            measured=_ratio(own, turns["cp and sha256sum"]),
            limit=COPY_LIMIT,
            at_most=True,
        ),
        Gate(
            promise=f"pack: {PEER_LIMIT:.0f}x faster than torch-model-archiver",
            measured=_ratio(turns["torch-model-archiver"], own),
            limit=PEER_LIMIT,
        ),
        Gate(
            promise=f"pack: peak memory under {MEMORY_LIMIT_MB} MB",
            measured=max(turn.peak_bytes for turn in sizes) / 1e6,
            limit=MEMORY_LIMIT_MB,
            at_most=True,
        ),
        Gate(
            promise=f"inspect: under {INSPECT_LIMIT_MS} ms of reading",
            measured=reading_ms,
            limit=INSPECT_LIMIT_MS,
            at_most=True,
        ),
        Gate(
            promise=f"check, environment there: under {CHECK_LIMIT_S:.0f} s",
            measured=_median(turns["homeport check"]),
            limit=CHECK_LIMIT_S,
            at_most=True,
        ),
    ]


def _median(taken: list[Turn]) -> float:
    return statistics.median(turn.seconds for turn in taken)


def _ratio(these: list[Turn], those: list[Turn]) -> float:
    """Return the median of the rounds' ratios."""
    pairs = zip(these, those, strict=True)
    return statistics.median(one.seconds / other.seconds for one, other in pairs)


if __name__ == "__main__":
    main()
