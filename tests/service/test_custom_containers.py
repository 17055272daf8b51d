"""Versions with an image of their own: well, unwell, lost and left behind.

Run as commands on the host and, marked, as containers of a real engine.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import random
import secrets
import signal
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

import engines
import images
from servers import PARENT, Server, running, wait_until

pytestmark = [pytest.mark.service, pytest.mark.timeout(240)]
ROUTES = {"predictRoute": "/predict", "healthRoute": "/health"}
QUICK_PROBE = {
    "httpGet": {"path": "/health"},
    "periodSeconds": 1,
    "timeoutSeconds": 2,
    "failureThreshold": 2,
}


@dataclasses.dataclass
class Custom:
    """A server, and how the program of the tests is registered at it."""

    server: Server
    spec: dict[str, Any]
    noun: str

    def register(self, start: str = "", **spec: Any) -> str:
        """Register the program, beside one file; return the version's model."""
        self.server.call("POST", "/storage/v1/b?project=p", {"name": "models"})
        self.server.upload("own/words.txt", b"from the artifact")
        environment = [{"name": "START", "value": start}]
        container = {**self.spec, **ROUTES, "env": environment, **spec}
        operation = self.server.register_at(
            "gs://models/own", containerSpec=container, displayName="own"
        )
        assert "response" in operation, operation
        return str(operation["response"]["model"])

    def deploy(
        self, start: str = "", replicas: int = 1, **spec: Any
    ) -> tuple[str, dict[str, Any]]:
        """Return an endpoint, and the ended operation of a deployment to it."""
        model = self.register(start, **spec)
        endpoint = self.server.create_endpoint()
        operation = self.server.begin_deploy(endpoint, model, {"0": 100}, replicas)
        return endpoint, self.server.wait(operation)

    def serve(self, replicas: int = 1, **spec: Any) -> str:
        endpoint, operation = self.deploy("", replicas, **spec)
        assert "response" in operation, operation
        return endpoint


@contextlib.contextmanager
def host(folder: pathlib.Path, *options: str) -> Iterator[Custom]:
    server = Server(
        folder / "data",
        ("--no-access-log", "--container-engine", "none", "--allow-host-commands",
         *options),
    )  # fmt: skip
    command = [sys.executable, str(images.PROGRAM)]
    with running(server):
        yield Custom(
            server, {"imageUri": "example.com/own:1", "command": command}, "program"
        )


@contextlib.contextmanager
def container(name: str, folder: pathlib.Path, *options: str) -> Iterator[Custom]:
    server = Server(
        folder / "data", ("--no-access-log", "--container-engine", name, *options)
    )
    spec = {"imageUri": engines.IMAGE, "command": list(engines.COMMAND)}
    with running(server):
        yield Custom(server, spec, "container")


ENGINES = [
    pytest.param(name, marks=pytest.mark.containers) for name in ("docker", "podman")
]


@contextlib.contextmanager
def lent(request: pytest.FixtureRequest) -> Iterator[engines.Engine]:
    """Yield the engine of a parameter, with what its command is told."""
    engine: engines.Engine = request.getfixturevalue(request.param)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in engine.environment.items():
            monkeypatch.setenv(name, value)
        yield engine


@pytest.fixture(params=ENGINES)
def real(request: pytest.FixtureRequest) -> Iterator[engines.Engine]:
    """A container engine, docker and podman in turn."""
    with lent(request) as engine:
        yield engine


@pytest.fixture(scope="module", params=["host", *ENGINES])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "host":
        yield host
        return
    with lent(request) as found:
        yield functools.partial(container, found.name)


@pytest.fixture(scope="module")
def custom(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Custom]:
    """A server that the tests of one engine share, each with its own endpoint."""
    with engine(tmp_path_factory.mktemp("custom")) as made:
        yield made


def failure(operation: dict[str, Any]) -> str:
    assert "error" in operation, operation
    return str(operation["error"]["message"])


def test_a_custom_version_is_deployed_asked_and_undeployed(custom: Custom) -> None:
    endpoint = custom.serve()
    server = custom.server

    status, answer = server.predict(endpoint, {"instances": [1, 2.5]})
    (words, route) = server.ask(
        endpoint, {"read": "words.txt"}, {"variable": "AIP_PREDICT_ROUTE"}
    )
    deployed = server.call("GET", f"/v1/{endpoint}")[1]["deployedModels"][0]["id"]
    status_of_undeploy, operation = server.call(
        "POST", f"/v1/{endpoint}:undeployModel", {"deployedModelId": deployed}
    )

    assert status == 200
    assert answer["predictions"] == [2, 5.0]
    assert answer["deployedModelId"] == deployed
    assert words == "from the artifact"
    assert route == "/predict"
    assert status_of_undeploy == 200
    assert "response" in server.wait(operation)


def test_two_replicas_share_the_requests(custom: Custom) -> None:
    endpoint = custom.serve(replicas=2)

    ports = set()

    def both_were_asked() -> bool:
        ports.add(custom.server.ask(endpoint, {"program": True})[0])
        return len(ports) == 2

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        busy = [
            threads.submit(custom.server.ask, endpoint, {"sleep": 0.2}) for _ in "12"
        ]
        wait_until(both_were_asked)

    assert [one.result() for one in busy] == [["slept"], ["slept"]]


@pytest.mark.parametrize(
    ("start", "limit", "cause"),
    [
        # An engine may take its time to tell of it.
        ("leave at once", "120s", "exited with code 3 before it was well"),
        ("unwell", "3s", "was not well within 3 s"),
        ("elsewhere", "3s", "which AIP_HTTP_PORT says"),
    ],
)
def test_a_program_that_does_not_become_well_fails_its_deployment(
    custom: Custom, start: str, limit: str, cause: str
) -> None:
    endpoint, operation = custom.deploy(start, deploymentTimeout=limit)

    told = failure(operation)
    assert cause in told
    # With the last lines of its log.
    assert "starting" in told
    assert "deployedModels" not in custom.server.call("GET", f"/v1/{endpoint}")[1]


@pytest.mark.parametrize(
    ("instance", "status", "cause"),
    [
        ({"answer": {"status": 200, "body": "garbage"}}, 500, "what is no JSON"),
        ({"answer": {"status": 200, "body": "[1]"}}, 500, "a JSON list"),
        ({"answer": {"status": 200, "body": "{}"}}, 500, 'no list of "predictions"'),
        ({"answer": {"status": 500, "body": "Oops"}}, 500, "answered 500"),
        ({"answer": {"status": 422, "body": "bad row"}}, 400, "bad row"),
        ({"answer": {"status": 503, "body": "later"}}, 503, "later"),
        ({"bytes": "SSH-2.0-OpenSSH\r\n\r\n"}, 500, "no HTTP/1.1"),
    ],
    ids=["garbage", "list", "no predictions", "500", "422", "503", "not HTTP"],
)
def test_an_answer_that_is_none_is_told_as_such(
    custom: Custom, answering: str, instance: dict[str, Any], status: int, cause: str
) -> None:
    told = custom.server.predict(answering, {"instances": [instance]})

    assert told[0] == status
    assert cause in told[1]["error"]["message"]
    assert custom.server.ask(answering, 4) == [8]


@pytest.fixture(scope="module")
def answering(custom: Custom) -> str:
    """A program that is deployed once for all of its bad answers."""
    return custom.serve()


def test_a_failure_repeats_no_variable_but_in_the_servers_own_words(
    custom: Custom,
) -> None:
    environment = [
        {"name": "OWN", "value": "predict"},
        {"name": "KEY", "value": "key-1"},
    ]
    endpoint = custom.serve(env=environment)
    said = {"answer": {"status": 422, "body": "predict with key-1"}}

    told = custom.server.predict(endpoint, {"instances": [said]})

    assert told[1]["error"]["message"] == (
        f"the {custom.noun} answered 422 to POST /predict: [OWN] with [KEY]"
    )


def test_what_a_program_says_of_its_predictions_is_passed_on(
    custom: Custom, answering: str
) -> None:
    said = '{"predictions": [1], "metadata": {"tookMs": [3, null]}, "other": 1}'
    asked = {"instances": [{"answer": {"status": 200, "body": said}}]}
    silent = {"instances": [{"answer": {"status": 200, "body": '{"predictions": []}'}}]}
    type_ = {"content-type": "application/json"}

    status, answer = custom.server.predict(answering, asked)
    without = custom.server.predict(answering, silent)[1]
    raw = custom.server.call(
        "POST", f"/v1/{answering}:rawPredict", json.dumps(asked).encode(), type_
    )

    assert status == 200
    assert answer["predictions"] == [1]
    assert answer["metadata"] == {"tookMs": [3, None]}
    assert "other" not in answer
    assert "metadata" not in without
    assert raw == (200, json.loads(said))


def test_a_program_takes_raw_bodies_streams_them_and_explains_nothing(
    custom: Custom, answering: str
) -> None:
    type_ = {"content-type": "application/x-any"}
    call, path = custom.server.call, f"/v1/{answering}"

    raw = call("POST", f"{path}:rawPredict", b"abc", type_)
    streamed = call("POST", f"{path}:streamRawPredict", b"abc", type_)
    explained = call("POST", f"{path}:explain", {"instances": [1]})

    assert raw == streamed == (202, "cba")
    assert explained[0] == 501
    assert f"a {custom.noun} is asked for predictions alone" in str(explained[1])


def test_a_program_written_for_http_1_0_is_asked(custom: Custom) -> None:
    model = custom.register("old")
    endpoint = custom.server.create_endpoint()
    custom.server.wait(custom.server.begin_deploy(endpoint, model, {"0": 100}))

    assert custom.server.ask(endpoint, 1, 2) == [2, 4]


def test_a_request_that_hangs_fails_by_its_deadline_and_others_do_not(
    engine: Any, tmp_path: pathlib.Path
) -> None:
    with engine(tmp_path, "--request-deadline", "1") as custom:
        endpoint = custom.serve()

        status, told = custom.server.predict(endpoint, {"instances": [{"sleep": 600}]})

        assert status == 504
        assert "no answer within 1 s" in told["error"]["message"]
        assert custom.server.ask(endpoint, 3) == [6]


def test_a_program_that_answers_nothing_any_more_is_replaced(
    engine: Any, tmp_path: pathlib.Path
) -> None:
    with engine(tmp_path, "--request-deadline", "2") as custom:
        endpoint = custom.serve()
        first = custom.server.ask(endpoint, {"program": True})

        hanging = {"instances": [{"sleep": 600}]}
        both = [custom.server.predict(endpoint, hanging)[0] for _ in "12"]

        def is_another() -> bool:
            rows = {"instances": [{"program": True}]}
            status, answer = custom.server.predict(endpoint, rows)
            return bool(status == 200 and answer["predictions"] != first)

        assert both == [504, 504]
        wait_until(is_another)


def test_a_timeout_of_the_endpoint_ends_no_program(custom: Custom) -> None:
    endpoint = custom.serve()
    change = {
        "endpoint": {
            "displayName": "e",
            "clientConnectionConfig": {"inferenceTimeout": "0.5s"},
        }
    }
    first = custom.server.ask(endpoint, {"program": True})
    status, told = custom.server.call("POST", f"/v1/{endpoint}:update", change)
    assert status == 200, told

    slow = {"instances": [{"sleep": 3}]}
    late = [custom.server.predict(endpoint, slow)[0] for _ in "123"]

    assert late == [504, 504, 504]
    assert custom.server.ask(endpoint, {"program": True}) == first


def test_a_program_that_dies_is_started_again(custom: Custom) -> None:
    endpoint = custom.serve()

    status, _ = custom.server.predict(endpoint, {"instances": [{"die": True}]})

    assert status == 503
    custom.server.wait_ready()
    wait_until(lambda: custom.server.predict(endpoint, {"instances": [1]})[0] == 200)


def test_a_health_failure_stops_the_traffic_and_does_not_restart(
    custom: Custom,
) -> None:
    endpoint = custom.serve(healthProbe=QUICK_PROBE)
    program = custom.server.ask(endpoint, {"program": True})

    custom.server.ask(endpoint, {"sicken": 10})

    asked, replies = {"instances": [{"program": True}]}, list[tuple[int, Any]]()

    def answers(status: int) -> bool:
        replies.append(custom.server.predict(endpoint, asked))
        return replies[-1][0] == status

    wait_until(lambda: answers(503))
    wait_until(lambda: answers(200))
    assert replies[-1][1]["predictions"] == program


def test_a_program_that_is_not_alive_any_more_is_replaced(custom: Custom) -> None:
    endpoint = custom.serve(livenessProbe=QUICK_PROBE)
    program = custom.server.ask(endpoint, {"program": True})

    custom.server.ask(endpoint, {"sicken": 100})

    wait_until(lambda: "failed 2 times in a row" in log_of(custom))
    wait_until(lambda: custom.server.predict(endpoint, {"instances": [1]})[0] == 200)
    assert custom.server.ask(endpoint, {"program": True}) != program


def test_a_job_predicts_with_the_program(custom: Custom) -> None:
    model = custom.register()

    job, written = predicted(custom.server, model, [1, 2.5, {"read": "words.txt"}])

    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    assert job["completionStats"]["successfulCount"] == "3"
    assert [line["prediction"] for line in written] == [2, 5.0, "from the artifact"]


def predicted(
    server: Server, model: str, rows: list[Any], replicas: int = 1
) -> tuple[dict[str, Any], list[Any]]:
    """Return a batch prediction job that has ended, and the lines it wrote."""
    name = f"in-{secrets.token_hex(4)}.jsonl"
    server.upload(name, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    status, job = server.call(
        "POST",
        f"/v1/{PARENT}/batchPredictionJobs",
        {
            "displayName": "nightly",
            "model": model,
            "inputConfig": {
                "instancesFormat": "jsonl",
                "gcsSource": {"uris": [f"gs://models/{name}"]},
            },
            "outputConfig": {
                "predictionsFormat": "jsonl",
                "gcsDestination": {"outputUriPrefix": "gs://models/out"},
            },
            "dedicatedResources": {
                "machineSpec": {"machineType": "n1-standard-4"},
                "startingReplicaCount": replicas,
            },
        },
    )
    assert status == 200, job
    wait_until(lambda: "endTime" in server.call("GET", f"/v1/{job['name']}")[1])
    job = server.call("GET", f"/v1/{job['name']}")[1]
    folder = job["outputInfo"]["gcsOutputDirectory"].removeprefix("gs://models/")
    result = f"{folder}/prediction.results-00000-of-00001"
    path = urllib.parse.quote(result, safe="")
    url = f"{server.url}/storage/v1/b/models/o/{path}?alt=media"
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
        return job, [json.loads(line) for line in answer]


def test_a_program_with_a_port_of_its_own_has_one_replica_whatever_is_asked(
    engine: Any, tmp_path: pathlib.Path
) -> None:
    # Below those that connections are given, and that programs without one are.
    port = str(random.randrange(12_000, 20_000))  # noqa: S311  # no secret
    with engine(tmp_path) as custom:
        model = custom.register(ports=[{"containerPort": port}])

        job, written = predicted(custom.server, model, [1, 2], replicas=2)

        assert job["state"] == "JOB_STATE_SUCCEEDED", job
        assert [line["prediction"] for line in written] == [2, 4]


def test_where_no_engine_answers_the_command_runs_if_that_is_allowed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("docker", "podman"):
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text("#!/bin/sh\necho no daemon >&2; exit 1\n")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with host(tmp_path, "--container-engine", "auto") as custom:
        endpoint = custom.serve()
        _, operation = custom.deploy(command=[])

        assert custom.server.ask(endpoint, 3) == [6]
        assert "docker says: no daemon; podman says: no daemon" in failure(operation)


def log_of(custom: Custom) -> str:
    folder = custom.server.data_dir / "logs"
    return "".join(path.read_text() for path in folder.glob("*.log"))


def test_a_killed_server_leaves_no_container_after_its_restart(
    tmp_path: pathlib.Path, real: engines.Engine
) -> None:
    others = real.call(
        "run", "--detach", "--label", "homeport.install=another", engines.IMAGE,
        "/usr/bin/python3", "-c", "import time; time.sleep(600)",
    ).stdout.decode().strip()  # fmt: skip
    with container(real.name, tmp_path) as custom:
        endpoint = custom.serve()
        first = own_containers(real, custom)
        custom.server.stop(signal.SIGKILL)

        custom.server.start().wait_ready()

        assert custom.server.ask(endpoint, 5) == [10]
        second = own_containers(real, custom)
        assert len(first) == len(second) == 1
        assert first != second
        custom.server.stop()
        assert own_containers(real, custom) == []
    running_still = real.call("ps", "--no-trunc", "--quiet").stdout.decode().split()
    assert others in running_still
    real.call("rm", "--force", others)


def own_containers(real: engines.Engine, custom: Custom) -> list[str]:
    """Return the names of a server's containers: of no other test's."""
    artifacts = str(custom.server.data_dir.resolve() / "artifacts")
    words = ("inspect", "--format", "{{.Name}} {{range .Mounts}}{{.Source}}{{end}}")
    told = [real.call(*words, name, check=False) for name in real.containers()]
    lines = [one.stdout.decode() for one in told]
    return [line.split()[0] for line in lines if artifacts in line]


@pytest.mark.containers
def test_an_engine_that_is_killed_gets_its_containers_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engines.docker() as own:
        monkeypatch.setenv("DOCKER_HOST", own.host)
        with container("docker", tmp_path) as custom:
            endpoint = custom.serve()
            (first,) = own.containers()

            own.kill()
            wait_until(
                lambda: custom.server.predict(endpoint, {"instances": [1]})[0] == 503
            )
            own.start()

            wait_until(
                lambda: custom.server.predict(endpoint, {"instances": [1]})[0] == 200
            )
            wait_until(lambda: len(own.containers()) == 1)
            assert own.containers() != [first]


def test_a_container_is_limited_and_its_artifact_read_only(
    tmp_path: pathlib.Path, real: engines.Engine
) -> None:
    with container(real.name, tmp_path) as custom:
        endpoint = custom.serve(sharedMemorySizeMb="32")

        written, status = custom.server.ask(
            endpoint, {"write": "words.txt"}, {"read": "../../proc/self/status"}
        )
        (name,) = own_containers(real, custom)
        told = json.loads(real.call("inspect", name).stdout)[0]["HostConfig"]

    assert written == "OSError"
    kept = dict(line.split(":\t") for line in status.splitlines())
    assert kept["NoNewPrivs"] == "1"
    # Changing owners, users and groups, files of other accounts, signals, low ports.
    assert int(kept["CapBnd"], 16) == 0b100_1110_1011
    assert told["PidsLimit"] == 4096
    assert told["ShmSize"] == 32 << 20
    assert not told["Privileged"]
    (bound,) = told["PortBindings"].values()
    assert bound[0]["HostIp"] == "127.0.0.1"


def test_a_container_has_the_memory_of_its_machine_type(
    tmp_path: pathlib.Path, real: engines.Engine
) -> None:
    with container(real.name, tmp_path) as custom:
        endpoint, model = custom.server.create_endpoint(), custom.register()
        machine = {"machineSpec": {"machineType": "n1-highcpu-1"}}
        status, operation = custom.server.call(
            "POST",
            f"/v1/{endpoint}:deployModel",
            {
                "deployedModel": {"model": model, "dedicatedResources": machine},
                "trafficSplit": {"0": 100},
            },
        )
        assert status == 200, operation
        custom.server.wait(operation)

        some = custom.server.ask(endpoint, {"fill": 64})
        too_much = {"instances": [{"fill": 1100}]}
        status, told = custom.server.predict(endpoint, too_much)

        assert some == [64 << 20]
        assert status == 503
        said = told["error"]["message"]
        assert "it took more memory than its machine type has" in said
        wait_until(
            lambda: custom.server.predict(endpoint, {"instances": [1]})[0] == 200
        )


def test_a_command_that_is_not_in_the_image_is_told_as_that(
    real: engines.Engine, tmp_path: pathlib.Path
) -> None:
    with container(real.name, tmp_path) as custom:
        _, operation = custom.deploy(command=["/no/such/command"])

    told = failure(operation)
    assert f"the container was never started, {real.name} says: " in told
    assert "/no/such/command" in told
    assert "no such file or directory" in told


def test_an_image_that_is_not_there_is_not_fetched(
    tmp_path: pathlib.Path, real: engines.Engine
) -> None:
    with container(real.name, tmp_path) as custom:
        _, operation = custom.deploy(imageUri="homeport-tests/missing:1")

    assert f"{real.name} has no image homeport-tests/missing:1" in failure(operation)
    assert "--pull-images" in failure(operation)
