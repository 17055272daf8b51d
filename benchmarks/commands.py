"""How long commands take that people wait for, of an installed, byte-compiled wheel.

    python benchmarks/commands.py [--rounds 20] [--output FILE.json]

A wheel of this checkout is installed beside the packages that are there, and compiled.
Its server runs with a model that is deployed. The commands take turns, each in a new
process, as a shell starts them; `python -c pass` tells what of it is Python's own.
"""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import processes
import report
from environment import Environment
from report import Gate, Spread

ROUNDS = 20
RESULTS = pathlib.Path(__file__).with_name("results")
ROOT = pathlib.Path(__file__).parents[1]

HELP_LIMIT_MS = 150
READ_LIMIT_MS = 300
HANDLER = "def handle(data, context):\n    return [1] * len(data or [])\n"
READS = (
    "models list",
    "models list --output json",
    "models list-version words",
    "models describe words",
    "models history words",
    "endpoints list",
    "endpoints describe words",
    "endpoints states words",
    "endpoints history words",
    "operations list",
    "batch list",
    "storage ls gs://homeport-uploads",
    "logs words",
)

Times = dict[str, list[float]]


def main() -> None:
    """Measure and report."""
    options = _options()
    processes.end_on_terminate()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hpb-"))
        )
        python = _installed(folder)
        # Nobody else takes part: the packages are those that are here.
        setting = report.setting(Environment(pathlib.Path(sys.prefix)))
        url = stack.enter_context(_serving(folder, python))
        times = _measure(options.rounds, python, url)
    _report(options, setting, times)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--output", type=pathlib.Path, default=RESULTS / "commands.json"
    )
    return parser.parse_args()


def _installed(folder: pathlib.Path) -> pathlib.Path:
    """Return the Python of an environment that has the wheel, compiled."""
    root = folder / "environment"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(root)], check=True
    )
    packages = next(root.glob("lib/python*/site-packages"))
    install = ["install", "--quiet", "--no-deps", "--compile", "--target"]
    subprocess.run(
        [sys.executable, "-m", "pip", *install, str(packages), str(ROOT)],
        check=True,
        env=_environment(),
    )
    # What it depends on is installed where this runs, and compiled there.
    beside = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "beside.pth").write_text("".join(f"{path}\n" for path in beside))
    return root / "bin" / "python"


def _environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": "", **more}


@contextlib.contextmanager
def _serving(folder: pathlib.Path, python: pathlib.Path) -> Iterator[str]:
    """Yield the URL of a server with a model that is deployed."""
    (port,) = processes.free_ports(1)
    url = f"http://127.0.0.1:{port}"
    start = [str(python), "-m", "homeport"]
    serve = ["serve", "--port", str(port), "--check-policy", "none"]
    server = processes.start([*start, *serve], folder, _environment())
    try:
        server.wait_until_ready(f"{url}/readyz")
        handler = folder / "handler.py"
        handler.write_text(HANDLER)
        pack = ["pack", "--model-name", "words", "--handler", str(handler)]
        _timed([*start, *pack, "--export-path", str(folder)], url)
        _timed([*start, "deploy", str(folder / "words.mar")], url)
        yield url
    finally:
        server.end()


def _measure(rounds: int, python: pathlib.Path, url: str) -> Times:
    """Run each command once a round, beginning with another one each time."""
    start = [str(python), "-m", "homeport"]
    commands = {
        "python -c pass": [str(python), "-c", "pass"],
        "homeport --help": [*start, "--help"],
        **{f"homeport {words}": [*start, *words.split()] for words in READS},
    }
    for command in commands.values():
        _timed(command, url)
    times: Times = {name: [] for name in commands}
    names = list(commands)
    for number in range(rounds):
        first = number % len(names)
        for name in [*names[first:], *names[:first]]:
            times[name].append(1000 * _timed(commands[name], url))
    return times


def _timed(command: list[str], url: str) -> float:
    begun = time.perf_counter()
    subprocess.run(
        command,
        stdout=subprocess.DEVNULL,
        check=True,
        env=_environment(HOMEPORT_URL=url),
    )
    return time.perf_counter() - begun


def _report(options: argparse.Namespace, setting: processes.Json, times: Times) -> None:
    gates = _gates(times)
    results = {
        "setting": setting,
        "milliseconds": times,
        "gates": report.gate_json(gates),
    }
    lines = [
        "# Commands",
        "",
        *report.setting_lines(setting),
        "",
        f"Wall time of a whole process. Medians of {options.rounds} rounds in turn, "
        "smallest and largest in brackets.",
        "",
        "| | ms |",
        "|---|---|",
        *(_line(name, taken) for name, taken in times.items()),
        "",
        *report.gate_table(gates),
    ]
    report.write(options.output, results, lines)


def _line(name: str, taken: list[float]) -> str:
    return f"| `{name}` | {Spread.of(taken).text('.0f')} |"


def _gates(times: Times) -> list[Gate]:
    reads = [f"homeport {words}" for words in READS]
    slowest = max(Spread.of(times[name]).median for name in reads)
    return [
        Gate(
            promise=f"homeport --help: under {HELP_LIMIT_MS} ms",
            measured=Spread.of(times["homeport --help"]).median,
            limit=HELP_LIMIT_MS,
            at_most=True,
        ),
        Gate(
            promise=f"every command that reads: under {READ_LIMIT_MS} ms",
            measured=slowest,
            limit=READ_LIMIT_MS,
            at_most=True,
        ),
    ]


if __name__ == "__main__":
    main()
