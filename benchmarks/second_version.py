"""A second version on a warm server, to its first good prediction.

    python benchmarks/second_version.py [--rounds 5] [--output FILE.json]

The archive already lies where the server reads archives: in Homeport's bucket, in
TorchServe's model store. Timed are registering it, loading it into one worker and
predicting once with it, while the first version stays loaded. The prediction is
compared with the second version's own answer, so an answer of the first one does
not count.
"""

import argparse
import contextlib
import dataclasses
import pathlib
import statistics
import tempfile
import time
from collections.abc import Sequence

import environment
import load
import models
import peers
import processes
import report
from report import Gate, Spread

ROUNDS = 5
WORKERS = 1
LIMIT = 1.25
FIRST_PREDICTION_S = 30.0
RESULTS = pathlib.Path(__file__).with_name("results")


@dataclasses.dataclass(frozen=True, slots=True)
class Deployment:
    """How long one version took.

    Attributes:
        deploy_s: From the request to register it until its worker is ready.
        total_s: Until its first good prediction was read.
    """

    deploy_s: float
    total_s: float


Deployments = dict[str, dict[str, list[Deployment]]]


def main() -> None:
    """Measure, report, end everything."""
    options = _options()
    processes.end_on_terminate()
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hpb-"))
        )
        made = environment.prepare(options.cache)
        setting = report.setting(made)
        versions = {
            model: [
                models.build(model, number, scratch / "models", made)
                for number in range(1, options.rounds + 2)
            ]
            for model in models.KINDS
        }
        running = peers.choose_versioned(options.peers, scratch, made)
        for peer in running:
            stack.callback(peer.end)
            print(f"starting {peer.name}", flush=True)
            peer.start([archives[0] for archives in versions.values()], WORKERS)
        for peer in running:
            for archives in versions.values():
                # Warm: the first version has predicted, alone and under load.
                load.check(peer.url(archives[0].model), archives[0])
        deployments = {
            model: _measure(running, archives[1:])
            for model, archives in versions.items()
        }
    _report(options.output, setting, options.rounds, deployments)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--output", type=pathlib.Path, default=RESULTS / "second_version.json"
    )
    parser.add_argument(
        "--peers",
        type=lambda text: text.split(","),
        default=list(peers.VERSIONED),
        help=f"comma-separated, of {', '.join(peers.VERSIONED)}",
    )
    parser.add_argument(
        "--cache",
        type=pathlib.Path,
        default=environment.default_cache(),
        help="directory for the peers' environment, made once",
    )
    return parser.parse_args()


def _measure(
    running: Sequence[peers.VersionedPeer], archives: Sequence[models.Archive]
) -> dict[str, list[Deployment]]:
    """Deploy each version on every peer in turn, and take it away again."""
    taken: dict[str, list[Deployment]] = {peer.name: [] for peer in running}
    for turn, archive in enumerate(archives):
        first = turn % len(running)
        for peer in [*running[first:], *running[:first]]:
            peer.put(archive)
            processes.settle()
            deployment = _deploy(peer, archive)
            taken[peer.name].append(deployment)
            print(
                f"{archive.model} {peer.name:11} deployed in "
                f"{deployment.deploy_s:.2f} s, first prediction after "
                f"{deployment.total_s:.2f} s",
                flush=True,
            )
            peer.retire(archive)
    return taken


def _deploy(peer: peers.VersionedPeer, archive: models.Archive) -> Deployment:
    start = time.monotonic()
    url = peer.deploy(archive, WORKERS)
    deployed = time.monotonic()
    while not _predicts(url, archive):
        if time.monotonic() - deployed > FIRST_PREDICTION_S:
            raise RuntimeError(f"{url} still does not answer as version 2 would")
    return Deployment(deployed - start, time.monotonic() - start)


def _predicts(url: str, archive: models.Archive) -> bool:
    """Return whether an answer is this version's and not another's."""
    prediction: list[float] = load.predict(url, archive.bodies[0])["predictions"][0]
    return load.distance(prediction, archive.answers[0]) <= models.TOLERANCE


def _report(
    output: pathlib.Path,
    setting: processes.Json,
    rounds: int,
    deployments: Deployments,
) -> None:
    gates = [_gate(model, taken) for model, taken in deployments.items()]
    results = {
        "setting": setting,
        "deployments": {
            model: {
                name: [dataclasses.asdict(each) for each in times]
                for name, times in taken.items()
            }
            for model, taken in deployments.items()
        },
        "gates": report.gate_json(gates),
    }
    lines = [
        "# A second version on a warm server",
        "",
        *report.setting_lines(setting),
        "",
        f"From the request to register to the first good prediction, {WORKERS} "
        f"worker. Medians of {rounds} repetitions in turn, smallest and largest in "
        f"brackets.",
        "",
        *_table(deployments),
        "",
        *report.gate_table(gates),
    ]
    report.write(output, results, lines)


def _table(deployments: Deployments) -> list[str]:
    lines = [
        "| model | server | deployed s | first prediction s |",
        "|---|---|---|---|",
    ]
    for model, taken in deployments.items():
        for name, times in taken.items():
            deploy = Spread.of(each.deploy_s for each in times).text(".2f")
            total = Spread.of(each.total_s for each in times).text(".2f")
            lines.append(f"| {model} | {name} | {deploy} | {total} |")
    return lines


def _gate(model: str, taken: dict[str, list[Deployment]]) -> Gate:
    measured = None
    if set(peers.VERSIONED) <= set(taken):
        pairs = zip(*(taken[name] for name in peers.VERSIONED), strict=True)
        measured = statistics.median(
            own.total_s / rival.total_s for own, rival in pairs
        )
    return Gate(
        promise=f"{model}: at most {LIMIT}x torchserve",
        measured=measured,
        limit=LIMIT,
        at_most=True,
    )


if __name__ == "__main__":
    main()
