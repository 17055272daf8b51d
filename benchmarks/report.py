"""What was measured, where and with what, as JSON and as Markdown tables."""

import dataclasses
import datetime as dt
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence

from environment import Environment
from processes import Json

OWN = ("homeport", "torch", "numpy", "uvloop", "httptools", "orjson", "pysimdjson")


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds with their smallest and largest value."""

    median: float
    smallest: float
    largest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Return the spread of at least one value."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def text(self, form: str) -> str:
        """Return the median and the range, each in the given format."""
        return f"{self.median:{form}} ({self.smallest:{form}}..{self.largest:{form}})"


@dataclasses.dataclass(frozen=True, slots=True)
class Gate:
    """A promise and whether this run kept it.

    Attributes:
        promise: What is wanted, in words.
        measured: The ratio found; None when this run did not measure it.
        limit: The ratio wanted.
        at_most: Whether the limit is an upper one; else a lower one.
        failed: Whether Homeport itself answered with errors.
    """

    promise: str
    measured: float | None
    limit: float
    at_most: bool = False
    failed: bool = False

    @property
    def verdict(self) -> str:
        """Return "met", "not met" or "not measured"."""
        if self.measured is None:
            return "not measured"
        kept = (
            self.measured <= self.limit if self.at_most else self.measured >= self.limit
        )
        return "met" if kept and not self.failed else "not met"

    def line(self) -> str:
        """Return it as a row of a Markdown table."""
        found = "-" if self.measured is None else f"{self.measured:.2f}"
        errors = ", homeport had errors" if self.failed else ""
        return f"| {self.promise} | {found} | {self.verdict}{errors} |"


def gate_table(gates: Sequence[Gate]) -> list[str]:
    """Return the gates as a Markdown table."""
    head = ["| gate | measured | verdict |", "|---|---|---|"]
    return head + [gate.line() for gate in gates]


def gate_json(gates: Sequence[Gate]) -> list[Json]:
    """Return the gates for the JSON report."""
    return [dataclasses.asdict(gate) | {"verdict": gate.verdict} for gate in gates]


def setting(environment: Environment) -> Json:
    """Return commit, machine, versions and command of this run.

    Call it before anything is measured: the checkout may move on meanwhile.
    """
    return {
        "commit": _commit(),
        "command": shlex.join(["python", *sys.argv]),
        "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(
            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1
        ),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in OWN},
        "peer_versions": environment.versions(),
        "java": _first_line(["java", "-version"]),
        "wrk": _first_line(["wrk", "-v"]),
    }


def setting_lines(setting: Json) -> list[str]:
    """Return the setting as Markdown."""
    own = ", ".join(f"{name} {number}" for name, number in setting["versions"].items())
    peers = setting["peer_versions"].items()
    return [
        f"Commit `{setting['commit']}`, {setting['when']}, `{setting['command']}`.",
        "",
        f"{setting['cpu']}, {setting['cores']} cores, {setting['memory_gib']} GiB; "
        f"Python {setting['python']}; {own}. "
        f"Peers: {', '.join(f'{name} {number}' for name, number in peers)}; "
        f"{setting['java']}; {setting['wrk']}.",
    ]


def write(output: pathlib.Path, results: Json, lines: Sequence[str]) -> None:
    """Write `output` and the Markdown of the same name; print the latter."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n")
    text = "\n".join(lines) + "\n"
    output.with_suffix(".md").write_text(text)
    print(text)
    print(f"written to {output} and {output.with_suffix('.md')}")


def _commit() -> str:
    """Return the commit of this checkout, marked when files differ from it."""
    here = pathlib.Path(__file__).parent
    run = ["git", "-C", str(here)]
    commit = subprocess.run(
        [*run, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    # Results of earlier runs are no part of what was measured.
    changed = subprocess.run(
        [*run, "status", "--porcelain", "--", ":/src", ":/benchmarks/*.py"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return (commit or "unknown") + (" with changes" if changed else "")


def _cpu() -> str:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return named[0] if named else platform.machine()


def version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _first_line(command: list[str]) -> str:
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"no {command[0]}"
    return (run.stdout + run.stderr).strip().splitlines()[0]
