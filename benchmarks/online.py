"""Online prediction: Homeport beside TorchServe and FastAPI, on the same work.

    python benchmarks/online.py [--quick] [--output benchmarks/results/online.json]

All servers are up at once and take turns within each cell, so that a noisy
neighbour of the machine troubles them alike; the ratios are of windows that
stand next to each other. Nothing here asserts a speed: gates are printed.
"""

import argparse
import contextlib
import dataclasses
import pathlib
import statistics
import tempfile
from collections.abc import Sequence

import environment
import load
import models
import peers
import processes
import report
from report import Gate, Spread

WORKERS = 2
FULL = load.Plan(rounds=5, warmup_s=1, window_s=4)
QUICK = load.Plan(rounds=2, warmup_s=1, window_s=1)
RESULTS = pathlib.Path(__file__).with_name("results")
CELLS = "mlp:1,mlp:8,mlp:64,cnn:1,cnn:8,cnn:64"
HOMEPORT = ("homeport", "homeport-batched")
TORCHSERVE = ("torchserve", "torchserve-batched")
FASTAPI = ("fastapi", "fastapi-async")


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One kind of work: a model and how many clients ask at once."""

    model: str
    connections: int

    @classmethod
    def parse(cls, text: str) -> "Cell":
        """Return the cell of "mlp:64"."""
        model, _, connections = text.partition(":")
        if model not in models.KINDS or not connections.isdigit():
            raise argparse.ArgumentTypeError(f"no cell {text!r}; write mlp:64")
        return cls(model, int(connections))

    def __str__(self) -> str:
        return f"{self.model} c={self.connections}"


Windows = dict[Cell, dict[str, list[load.Window]]]


def main() -> None:
    """Measure, report, end everything."""
    options = _options()
    load.require_wrk()
    processes.end_on_terminate()
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hpb-"))
        )
        made = environment.prepare(options.cache)
        setting = report.setting(made)
        archives = {
            name: models.build(name, 1, scratch / "models", made)
            for name in models.KINDS
        }
        running = peers.choose(options.peers, scratch, made)
        for peer in running:
            stack.callback(peer.end)
            print(f"starting {peer.name}", flush=True)
            peer.start(list(archives.values()), WORKERS)
        _check_all(running, archives)
        plan = QUICK if options.quick else FULL
        windows = _measure_all(running, archives, options.cells, plan)
        # The answers are still right after the load.
        _check_all(running, archives)
    _report(options.output, setting, plan, windows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two rounds of 1 s")
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS / "online.json")
    parser.add_argument(
        "--peers",
        type=lambda text: text.split(","),
        default=list(peers.NAMES),
        help=f"comma-separated, of {', '.join(peers.NAMES)}",
    )
    parser.add_argument(
        "--cells",
        type=lambda text: [Cell.parse(each) for each in text.split(",")],
        default=[Cell.parse(each) for each in CELLS.split(",")],
        help=f"comma-separated model:connections; by default {CELLS}",
    )
    parser.add_argument(
        "--cache",
        type=pathlib.Path,
        default=environment.default_cache(),
        help="directory for the peers' environment, made once",
    )
    return parser.parse_args()


def _check_all(
    running: Sequence[peers.Peer], archives: dict[str, models.Archive]
) -> None:
    for peer in running:
        for archive in archives.values():
            load.check(peer.url(archive.model), archive)
    print(f"all predictions agree within {models.TOLERANCE}", flush=True)


def _measure_all(
    running: Sequence[peers.Peer],
    archives: dict[str, models.Archive],
    cells: Sequence[Cell],
    plan: load.Plan,
) -> Windows:
    windows: Windows = {}
    for cell in cells:
        archive = archives[cell.model]
        body = archive.torchscript.with_suffix(".json")
        body.write_bytes(archive.bodies[0])
        taken: dict[str, list[load.Window]] = {peer.name: [] for peer in running}
        for turn in range(plan.rounds):
            first = turn % len(running)
            for peer in [*running[first:], *running[:first]]:
                window = load.measure(
                    peer.url(cell.model), body, cell.connections, plan
                )
                taken[peer.name].append(window)
                _print_window(cell, peer.name, window)
        windows[cell] = taken
    return windows


def _print_window(cell: Cell, name: str, window: load.Window) -> None:
    print(
        f"{cell!s:9} {name:19} {window.requests_s:9.1f} req/s  "
        f"p50 {window.p50_ms:8.2f} ms  p99 {window.p99_ms:8.2f} ms  "
        f"errors {window.errors}  foreign {window.foreign_cores:.2f} cores",
        flush=True,
    )


def _report(
    output: pathlib.Path, setting: processes.Json, plan: load.Plan, windows: Windows
) -> None:
    gates = _gates(windows)
    results = {
        "setting": setting,
        "plan": dataclasses.asdict(plan) | {"workers": WORKERS},
        "windows": {
            str(cell): {
                name: [dataclasses.asdict(each) for each in rounds]
                for name, rounds in taken.items()
            }
            for cell, taken in windows.items()
        },
        "ratios": {
            str(cell): {
                name: ratios
                for name in taken
                if (ratios := _ratios(taken, [name])) is not None
            }
            for cell, taken in windows.items()
        },
        "gates": report.gate_json(gates),
    }
    lines = [
        "# Online prediction",
        "",
        *report.setting_lines(setting),
        "",
        *_plan_lines(plan, windows),
        "",
        *_speed_table(windows),
        "",
        *_ratio_table(windows),
        "",
        *report.gate_table(gates),
    ]
    report.write(output, results, lines)


def _plan_lines(plan: load.Plan, windows: Windows) -> list[str]:
    foreign = [
        window.foreign_cores
        for taken in windows.values()
        for rounds in taken.values()
        for window in rounds
    ]
    return [
        f"{WORKERS} workers each, one instance in a request, keep-alive; c is the "
        f"number of connections. Medians of {plan.rounds} rounds of {plan.window_s} s "
        f"after {plan.warmup_s} s of warm-up, smallest and largest in brackets. "
        f"Other programs kept {Spread.of(foreign).text('.1f')} cores busy.",
    ]


def _speed_table(windows: Windows) -> list[str]:
    lines = [
        "| cell | server | req/s | p50 ms | p99 ms | errors |",
        "|---|" + "---|" * 5,
    ]
    for cell, taken in windows.items():
        for name, rounds in taken.items():
            speed = Spread.of(each.requests_s for each in rounds).text(".0f")
            p50 = Spread.of(each.p50_ms for each in rounds).text(".2f")
            p99 = Spread.of(each.p99_ms for each in rounds).text(".1f")
            errors = sum(each.errors for each in rounds)
            shown = f"**{errors}**" if errors else "0"
            lines.append(f"| {cell} | {name} | {speed} | {p50} | {p99} | {shown} |")
    return lines


def _ratio_table(windows: Windows) -> list[str]:
    """Return Homeport's requests/s over each peer's, round by round."""
    measured = list(next(iter(windows.values())))
    others = [name for name in measured if name not in HOMEPORT]
    lines = [
        f"| homeport / | {' | '.join(others)} |",
        "|---|" + "---|" * len(others),
    ]
    for own in (name for name in HOMEPORT if name in measured):
        for cell, taken in windows.items():
            columns = [_ratios(taken, [name], own) for name in others]
            shown = [
                "-" if ratios is None else Spread.of(ratios).text(".2f")
                for ratios in columns
            ]
            lines.append(f"| {own}, {cell} | {' | '.join(shown)} |")
    return lines


def _ratios(
    taken: dict[str, list[load.Window]], names: Sequence[str], own: str = "homeport"
) -> list[float] | None:
    """Return one of ours over the best of the named peers in each round.

    None when one of them was not measured.
    """
    if own not in taken or not set(names) <= set(taken):
        return None
    pairs = zip(
        taken[own],
        zip(*(taken[name] for name in names), strict=True),
        strict=True,
    )
    return [
        ours.requests_s / max(1e-9, *(each.requests_s for each in rivals))
        for ours, rivals in pairs
    ]


def _gates(windows: Windows) -> list[Gate]:
    mlp = [Cell("mlp", 64)]
    cnn = [Cell("cnn", 1), Cell("cnn", 8)]
    return [
        *_gates_for(windows, mlp, TORCHSERVE[:1], 4.0),
        *_gates_for(windows, mlp, TORCHSERVE, 2.0),
        # The same batchSize on both sides.
        *_gates_for(windows, mlp, TORCHSERVE, 2.0, own=HOMEPORT[1]),
        *_gates_for(windows, cnn, TORCHSERVE, 1.5),
        *_gates_for(windows, list(windows), FASTAPI[:1], 0.9),
        *_gates_for(windows, list(windows), FASTAPI[1:], 0.9),
    ]


def _gates_for(
    windows: Windows,
    cells: Sequence[Cell],
    names: Sequence[str],
    limit: float,
    *,
    own: str = "homeport",
) -> list[Gate]:
    gates = []
    for cell in cells:
        taken = windows.get(cell, {})
        ratios = _ratios(taken, names, own)
        gates.append(
            Gate(
                promise=f"{own}, {cell}: at least {limit}x {' or '.join(names)}",
                measured=None if ratios is None else statistics.median(ratios),
                limit=limit,
                failed=any(each.errors for each in taken.get(own, [])),
            )
        )
    return gates


if __name__ == "__main__":
    main()
