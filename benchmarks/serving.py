"""Replicas under change: splits, deployments, deaths, and many models at once.

    python benchmarks/serving.py [--quick] [--output benchmarks/results/serving.json]

Deploying beside TorchServe's register and scale is second_version.py's. Nothing here
asserts a number: gates are printed.
"""

import argparse
import asyncio
import collections
import contextlib
import dataclasses
import itertools
import json
import math
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence

import environment
import models
import processes
import report
import steady
from processes import Json
from report import Gate

from homeport.archive import mar
from homeport.environments.build import Environments
from homeport.serving import usage
from homeport.serving.local import LocalRuntime
from homeport.serving.runtime import Launch

PARENT = "projects/bench/locations/us-central1"
RESULTS = pathlib.Path(__file__).with_name("results")
SPLIT_REQUESTS = 10_000
PIECES_S = 10.0
# Percent of the traffic that a new version gets, one after the other, each for a while.
STEPS = (10, 50, 100)
STEP_S = 1.0
# Of a version at once, in each round: one is over in a few hundred requests.
CHANGES = 5
KIB = 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: Of what is timed.
        phase_s: Of steady load before a change, and of load under deaths.
        kill_every_s: Between two deaths.
        models: Deployed at once.
        idle_s: Over which their CPU use is counted.
    """

    rounds: int
    phase_s: float
    kill_every_s: float
    models: int
    idle_s: float


FULL = Plan(rounds=5, phase_s=30.0, kill_every_s=5.0, models=200, idle_s=30.0)
QUICK = Plan(rounds=2, phase_s=4.0, kill_every_s=2.0, models=20, idle_s=5.0)


class Homeport:
    """One server of our own.

    Args:
        home: Directory of its own.
    """

    def __init__(self, home: pathlib.Path) -> None:
        home.mkdir()
        [port] = processes.free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.server = processes.start(
            [
                str(pathlib.Path(sys.executable).parent / "homeport"), "serve",
                "--port", str(port), "--data-dir", str(home / "data"),
                "--check-policy", "none", "--no-access-log",
            ],
            home,
        )  # fmt: skip
        self.server.wait_until_ready(f"{self.url}/readyz")
        self.call("/storage/v1/b?project=bench", {"name": "bench"})

    def call(self, path: str, message: Json) -> Json:
        body = json.dumps(message).encode()
        operation = processes.request(
            "POST", self.url + path, body, content_type="application/json"
        )
        while "metadata" in operation and not operation.get("done"):
            waited = f"{self.url}/v1/{operation['name']}:wait"
            operation = processes.request("POST", waited)
        if "error" in operation:
            raise RuntimeError(operation["error"]["message"])
        answer: Json = operation.get("response", operation)
        return answer

    def register(self, archive: models.Archive, parent_model: str = "") -> str:
        name = f"{archive.model}-{archive.version}"
        processes.request(
            "POST",
            f"{self.url}/upload/storage/v1/b/bench/o"
            f"?uploadType=media&name={name}/model.mar",
            archive.mar.read_bytes(),
            content_type="application/octet-stream",
        )
        model = {"displayName": archive.model, "artifactUri": f"gs://bench/{name}"}
        made = self.call(
            f"/v1/{PARENT}/models:upload", {"model": model, "parentModel": parent_model}
        )
        return f"{made['model'].partition('@')[0]}@{made['modelVersionId']}"

    def endpoint(self) -> str:
        return str(self.call(f"/v1/{PARENT}/endpoints", {"displayName": "e"})["name"])

    def deploy(
        self, endpoint: str, version: str, split: dict[str, int], replicas: int = 1
    ) -> str:
        deployed = {
            "model": version,
            "dedicatedResources": {"machineSpec": {}, "minReplicaCount": replicas},
        }
        made = self.call(
            f"/v1/{endpoint}:deployModel",
            {"deployedModel": deployed, "trafficSplit": split},
        )
        return str(made["deployedModel"]["id"])

    def shift(self, endpoint: str, split: dict[str, int]) -> None:
        processes.request(
            "PATCH",
            f"{self.url}/v1/{endpoint}?updateMask=trafficSplit",
            json.dumps({"trafficSplit": split}).encode(),
            content_type="application/json",
        )

    def undeploy(self, endpoint: str, deployed_id: str) -> None:
        self.call(f"/v1/{endpoint}:undeployModel", {"deployedModelId": deployed_id})

    def predict_url(self, endpoint: str) -> str:
        return f"{self.url}/v1/{endpoint}:predict"

    def predict(self, endpoint: str, body: bytes) -> Json:
        return processes.request(
            "POST", self.predict_url(endpoint), body, content_type="application/json"
        )

    def workers(self) -> list[int]:
        """Return the forked replicas and whatever else runs below the server."""
        return list(processes.descendants(self.server.popen.pid))


def main() -> None:
    """Measure, report, end everything."""
    options = _options()
    plan = QUICK if options.quick else FULL
    processes.end_on_terminate()
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hpb-"))
        )
        made = environment.prepare(options.cache)
        setting = report.setting(made)
        archives = [
            models.build("mlp", number, scratch / "models", made) for number in (1, 2)
        ]
        homeport = Homeport(scratch / "homeport")
        stack.callback(homeport.server.end)
        found: Json = {
            "split": _split(homeport, archives),
            "change": _change(homeport, archives, plan),
            "deaths": _deaths(homeport, archives, plan),
            "replica_s": asyncio.run(_replicas(scratch, archives[0], plan)),
            "deploy_s": _deployments(homeport, archives[0], plan),
            "many": _many(homeport, archives[0], plan),
        }
    _report(options.output, setting, plan, found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small numbers")
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS / "serving.json")
    parser.add_argument(
        "--cache",
        type=pathlib.Path,
        default=environment.default_cache(),
        help="directory for the peers' environment, made once",
    )
    return parser.parse_args()


def _split(homeport: Homeport, archives: Sequence[models.Archive]) -> Json:
    """Return how many of 10,000 requests each side of an 80/20 split got."""
    endpoint, first = homeport.endpoint(), homeport.register(archives[0])
    old = homeport.deploy(endpoint, first, {"0": 100})
    new = homeport.deploy(
        endpoint,
        homeport.register(archives[1], first.partition("@")[0]),
        {old: 80, "0": 20},
    )
    counts = collections.Counter(
        homeport.predict(endpoint, archives[0].bodies[0])["deployedModelId"]
        for _ in range(SPLIT_REQUESTS)
    )
    return {"old": counts[old], "new": counts[new]}


def _change(homeport: Homeport, archives: Sequence[models.Archive], plan: Plan) -> Json:
    """Return what a steady load notices of a new version that replaces the old one.

    Once in steps, as one replaces what is in use, and then several times at once, each
    call as soon as the last was answered.
    """
    endpoint, first = homeport.endpoint(), homeport.register(archives[0])
    second = homeport.register(archives[1], first.partition("@")[0])
    versions = itertools.cycle([second, first])
    serving = homeport.deploy(endpoint, first, {"0": 100})
    url, body = homeport.predict_url(endpoint), archives[0].bodies[0]
    half = _capacity(url, body, plan) / 2
    rounds: list[Json] = []
    for _ in range(plan.rounds):
        with steady.Load(url, body, half) as load:
            began = time.monotonic()
            time.sleep(plan.phase_s / 3)
            changing = time.monotonic()
            serving = _shift_in_steps(homeport, endpoint, next(versions), serving)
            before, in_steps = (began, changing), (changing, time.monotonic())
            at_once = []
            for _ in range(CHANGES):
                time.sleep(plan.phase_s / 12)
                changing = time.monotonic()
                new = homeport.deploy(endpoint, next(versions), {"0": 100, serving: 0})
                homeport.undeploy(endpoint, serving)
                serving = new
                at_once.append((changing, time.monotonic()))
            time.sleep(plan.phase_s / 12)
        rounds.append(
            {
                "failed": steady.failed(load.between(0.0, math.inf)),
                "before": _noticed(load, [before]),
                "in_steps": _noticed(load, [in_steps]),
                "at_once": _noticed(load, at_once),
            }
        )
    return {"requests_s": half, "rounds": rounds}


def _shift_in_steps(
    homeport: Homeport, endpoint: str, version: str, serving: str
) -> str:
    """Replace what serves by a version that gets more and more; return its id."""
    new = homeport.deploy(endpoint, version, {"0": 0, serving: 100})
    for percent in STEPS:
        homeport.shift(endpoint, {new: percent, serving: 100 - percent})
        time.sleep(STEP_S)
    homeport.undeploy(endpoint, serving)
    return new


def _noticed(load: steady.Load, spans: Sequence[tuple[float, float]]) -> Json:
    answers = [one for span in spans for one in load.between(*span)]
    return {
        "took_s": statistics.median(ended - begun for begun, ended in spans),
        "requests": len(answers),
        "median_ms": steady.median_ms(answers),
        "p99_ms": steady.p99_ms(answers),
    }


def _capacity(url: str, body: bytes, plan: Plan) -> float:
    with steady.Load(url, body) as load:
        began = time.monotonic()
        time.sleep(plan.phase_s / 2)
        ended = time.monotonic()
    return len(load.between(began, ended)) / (ended - began)


def _deaths(homeport: Homeport, archives: Sequence[models.Archive], plan: Plan) -> Json:
    """Return what fails while one of two replicas is killed again and again."""
    endpoint, version = homeport.endpoint(), homeport.register(archives[0])
    before = set(homeport.workers())
    homeport.deploy(endpoint, version, {"0": 100}, replicas=2)
    url, body = homeport.predict_url(endpoint), archives[0].bodies[0]
    half = _capacity(url, body, plan) / 2
    kills = 0
    with steady.Load(url, body, half) as load:
        ends = time.monotonic() + 2 * plan.phase_s
        while time.monotonic() < ends:
            time.sleep(plan.kill_every_s)
            victims = sorted(set(homeport.workers()) - before)
            if victims:
                os.kill(victims[kills % len(victims)], signal.SIGKILL)
                kills += 1
    answers = load.between(0.0, time.monotonic())
    return {
        "kills": kills,
        "requests": len(answers),
        "failed": steady.failed(answers),
        "failed_retriable": steady.failed([one for one in answers if one.retriable]),
        "median_ms": steady.median_ms(answers),
        "p99_ms": steady.p99_ms(answers),
    }


async def _replicas(
    scratch: pathlib.Path, archive: models.Archive, plan: Plan
) -> dict[str, list[float]]:
    """Return the seconds from wanting a further replica to its first prediction."""
    model_dir, private = scratch / "laid-out", scratch / "private"
    private.mkdir()
    mar.extract(archive.mar, model_dir)
    engine = LocalRuntime(private, Environments(scratch / "environments"))
    # What OMP_NUM_THREADS says is read before a fork could change it.
    kinds = {"forked": {}, "spawned": {"OMP_NUM_THREADS": "1"}}
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for kind, variables in kinds.items():
        launch = Launch(model_dir, variables, 60.0)
        for number in range(plan.rounds + 1):
            began = time.monotonic()
            replica = await engine.start(
                launch, on_log=lambda _: None, on_room=lambda: None
            )
            answer: asyncio.Future = asyncio.get_running_loop().create_future()  # type: ignore[type-arg]
            reply = await replica.predict(archive.bodies[0], answer)
            if number:  # the first one warms the environment
                taken[kind].append(time.monotonic() - began)
            if reply.code:
                raise RuntimeError(reply.payload)
            await replica.stop(10.0)
    await engine.close()
    return taken


def _deployments(
    homeport: Homeport, archive: models.Archive, plan: Plan
) -> list[float]:
    """Return the seconds from asking for a deployment to its being ready."""
    version, taken = homeport.register(archive), []
    for _ in range(plan.rounds):
        endpoint = homeport.endpoint()
        began = time.monotonic()
        homeport.deploy(endpoint, version, {"0": 100})
        taken.append(time.monotonic() - began)
    return taken


def _many(homeport: Homeport, archive: models.Archive, plan: Plan) -> Json:
    """Return the memory and the idle CPU use of many deployed models together."""
    version = homeport.register(archive)
    for _ in range(plan.models):
        endpoint = homeport.endpoint()
        homeport.deploy(endpoint, version, {"0": 100})
        homeport.predict(endpoint, archive.bodies[0])
    # What was registered is divided into pieces behind the requests, once.
    time.sleep(PIECES_S)
    processes.settle()
    workers = homeport.workers()
    # Not by this process, whose looks at /proc would be most of it.
    server = homeport.server.popen.pid
    before_s = usage.cpu_s(server)
    time.sleep(plan.idle_s)
    return {
        "models": plan.models,
        "pss_mib": sum(map(_pss_mib, workers)) / plan.models,
        "idle_percent": 100 * (usage.cpu_s(server) - before_s) / plan.idle_s,
    }


def _pss_mib(pid: int) -> float:
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    (line,) = [one for one in text.splitlines() if one.startswith("Pss:")]
    return int(line.split()[1]) / KIB


def _gates(plan: Plan, found: Json) -> list[Gate]:
    change, deaths, many = found["change"], found["deaths"], found["many"]
    off = abs(found["split"]["new"] - SPLIT_REQUESTS / 5) / SPLIT_REQUESTS * 1000
    forked = statistics.median(found["replica_s"]["forked"])
    deploy = statistics.median(found["deploy_s"])
    rounds = change["rounds"]
    in_steps, at_once = (_slower(rounds, how) for how in ("in_steps", "at_once"))
    upper = [
        ("80/20: requests of a thousand off", off, 1.0),
        (
            "change under load: failed requests",
            sum(one["failed"] for one in rounds),
            0.0,
        ),
        ("change in steps: median latency over before", in_steps, 1.5),
        ("change at once: median latency over before", at_once, 1.5),
        # No more can be inside one replica than are asked at once.
        (
            "deaths: failed requests for each",
            deaths["failed"] / deaths["kills"],
            float(steady.THREADS),
        ),
        ("deaths: failed with Idempotency-Key", deaths["failed_retriable"], 0.0),
        ("a further replica's first prediction, s", forked, 0.3),
        ("deployment on a warm environment, s", deploy, 2.0),
        (f"{plan.models} models: PSS of each, MiB", many["pss_mib"], 30.0),
        (f"{plan.models} models: idle, % of a core", many["idle_percent"], 1.0),
    ]
    return [
        Gate(promise, value, limit, at_most=True) for promise, value, limit in upper
    ]


def _slower(rounds: Sequence[Json], how: str) -> float:
    """Return how many times as long the median request took as before the change."""
    slower: Sequence[float] = [
        one[how]["median_ms"] / one["before"]["median_ms"] for one in rounds
    ]
    return statistics.median(slower)


def _report(output: pathlib.Path, setting: Json, plan: Plan, found: Json) -> None:
    gates = _gates(plan, found)
    lines = [
        "# Replicas under change",
        "",
        *report.setting_lines(setting),
        "",
        *(f"- {name}: `{json.dumps(value)}`" for name, value in found.items()),
        "",
        *report.gate_table(gates),
    ]
    results = {
        "setting": setting,
        "plan": dataclasses.asdict(plan),
        "found": found,
        "gates": report.gate_json(gates),
    }
    report.write(output, results, lines)


if __name__ == "__main__":
    main()
