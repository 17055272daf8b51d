"""Whatever happens to a process, what was promised is still there afterwards."""

import collections
import contextlib
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from liveness import children_of, parent_of
from servers import PARENT, Server, running, wait_until

pytestmark = pytest.mark.service
ANSWERS_ITS_PID = """
import os


class Handler:
    def initialize(self, context):
        self.model_dir = context.system_properties["model_dir"]

    def handle(self, data, context):
        return [os.getpid() for _ in data]
"""
TELLS_ITS_VERSION = (
    "def handle(data, context):\n    return data and [{0}] * len(data)\n"
)
# Loading takes as long as a test wants: until the file named by the variable is there.
WAITS = """
import os
import time


class Handler:
    def initialize(self, context):
        while not os.path.exists(os.environ["GATE"]):
            time.sleep(0.01)

    def handle(self, data, context):
        return data
"""
HOLDS_BYTES = """
import os


class Handler:
    def initialize(self, context):
        model_dir = context.system_properties["model_dir"]
        with open(os.path.join(model_dir, "weights.bin"), "rb") as file:
            self.weights = file.read()

    def handle(self, data, context):
        return [len(self.weights) for _ in data]
"""


def workers_of(server: Server) -> set[int]:
    """Return the worker processes of the server: spawned by it, or by its zygotes."""
    assert server.process is not None
    zygotes, spawned = zygotes_and_spawned(server.process.pid)
    return spawned | {pid for zygote in zygotes for pid in children_of(zygote)}


def zygotes_and_spawned(server: int) -> tuple[set[int], set[int]]:
    """Return the worker processes that a server has started itself."""
    started = {
        pid for pid in children_of(server) if b"homeport.worker" in command_of(pid)
    }
    zygotes = {pid for pid in started if b"--zygote" in command_of(pid)}
    return zygotes, started - zygotes


def command_of(pid: int) -> bytes:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def peak_memory_bytes(pid: int) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel tells no peak memory")


# The server ends


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_everything_is_there_after_the_server_ended(
    server: Server, archived: Callable[..., pathlib.Path], signal_number: int
) -> None:
    archives = [
        archived(TELLS_ITS_VERSION.format(number), f"v{number}") for number in (1, 2)
    ]
    endpoint, operation = server.deploy(
        archives[0],
        displayName="survivor",
        labels={"team": "a"},
        versionAliases=["golden"],
    )
    first = operation["response"]["deployedModel"]["id"]
    model = operation["response"]["deployedModel"]["model"]
    server.register(archives[1], model, versionAliases=["canary"])
    second = server.wait(
        server.begin_deploy(endpoint, f"{model}@canary", {"0": 20, first: 80})
    )["response"]["deployedModel"]["id"]
    seen = everything(server, endpoint, model)
    workers = workers_of(server)
    assert len(workers) == 2
    assert server.process is not None
    workers |= children_of(server.process.pid)
    folders = private_folders(server)

    server.stop(signal_number)
    wait_until(lambda: all(parent_of(pid) is None for pid in workers), 10.0)
    server.start()
    server.wait_ready()

    assert everything(server, endpoint, model) == seen
    assert not any(folder.exists() for folder in folders)
    assert f'"{second}": 20' in seen[0]
    asked = collections.Counter(server.ask(endpoint, 0)[0] for _ in range(50))
    assert asked == {1: 40, 2: 10}
    # It goes on where it was.
    third = server.register(archives[0], model)["response"]
    assert third["modelVersionId"] == "3"


def everything(server: Server, endpoint: str, model: str) -> list[str]:
    """Return what the server says of all it has, with no word of its address."""
    paths = (
        f"/v1/{endpoint}",
        f"/v1/{PARENT}/endpoints",
        f"/v1/{PARENT}/models",
        f"/v1/{model}:listVersions",
        f"/v1/{model}@golden",
        f"/v1/{model}@canary",
        "/storage/v1/b?project=p",
        "/storage/v1/b/models/o",
    )
    said = [server.call("GET", path) for path in paths]
    assert [status for status, _ in said] == [200] * len(paths)
    return [json.dumps(document).replace(server.url, "") for _, document in said]


def test_sigterm_answers_what_was_accepted_and_leaves_nothing_behind(
    server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    begun = server.shared / "begun"
    endpoint, _ = server.deploy(
        archived(
            "import pathlib, time\n\ndef handle(data, context):\n"
            "    if data:\n        pathlib.Path(data[0]).touch()\n"
            "        time.sleep(0.5)\n        return data\n"
        )
    )
    replies: list[tuple[int, Any]] = []
    asking = threading.Thread(
        target=lambda: replies.append(
            server.predict(endpoint, {"instances": [str(begun)]})
        )
    )
    asking.start()
    wait_until(begun.exists)
    workers = workers_of(server)
    folders = private_folders(server)
    assert folders

    code = server.stop(signal.SIGTERM)
    asking.join(timeout=30)

    assert [status for status, _ in replies] == [200]
    assert code == 0
    assert [parent_of(pid) for pid in workers] == [None]
    assert not any(folder.exists() for folder in folders)


NOTES_WHAT_IT_TOOK = """
import os

FILE = os.open(os.environ["TAKEN"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def handle(data, context):
    for row in data or []:
        os.write(FILE, f"{row}\\n".encode())
    return data
"""


def test_sigterm_under_steady_load_drops_nothing_that_was_accepted(
    server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    taken = server.shared / "taken"
    variables = [{"name": "TAKEN", "value": str(taken)}]
    endpoint, _ = server.deploy(
        archived(NOTES_WHAT_IT_TOOK), 2, containerSpec={"env": variables}
    )
    answered: list[tuple[int, int]] = []
    clients = [
        threading.Thread(
            target=ask_on_one_connection, args=(server, endpoint, number, answered)
        )
        for number in range(0, 4_000_000, 1_000_000)
    ]
    for client in clients:
        client.start()
    wait_until(lambda: len(answered) > 200)

    code = server.stop(signal.SIGTERM)
    for client in clients:
        client.join(timeout=30)

    assert code == 0
    assert {status for _, status in answered} == {200}
    assert {number for number, _ in answered} == set(
        map(int, taken.read_text().splitlines())
    )


def ask_on_one_connection(
    server: Server, endpoint: str, number: int, answered: list[tuple[int, int]]
) -> None:
    """Ask one request after the other until the server takes no more."""
    address = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=60)
    headers = {"content-type": "application/json"}
    with contextlib.closing(connection), contextlib.suppress(OSError):
        while True:
            body = json.dumps({"instances": [number]})
            connection.request("POST", f"/v1/{endpoint}:predict", body, headers)
            response = connection.getresponse()
            response.read()
            answered.append((number, response.status))
            number += 1


SLEEPS = """
import pathlib
import time


def handle(data, context):
    if data:
        pathlib.Path(data[0]).touch()
        time.sleep(300)
        return data
"""


@pytest.mark.parametrize(
    ("drain_s", "signals"),
    [
        pytest.param(4.0, 1, id="its time is up"),
        pytest.param(200.0, 2, id="told twice"),
    ],
)
def test_the_server_ends_in_its_time_or_when_told_twice(
    start_server: Callable[..., Server],
    archived: Callable[..., pathlib.Path],
    drain_s: float,
    signals: int,
) -> None:
    server = start_server(f"--drain={drain_s}")
    begun = server.shared / "begun"
    endpoint, _ = server.deploy(archived(SLEEPS))
    document = {"instances": [str(begun)]}

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            server.predict(endpoint, document)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(begun.exists)
    workers = workers_of(server)
    assert server.process is not None

    began = time.monotonic()
    for _ in range(signals):
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping: 1 predictions in work" in server.log())
    code = server.process.wait(timeout=60)
    took_s = time.monotonic() - began
    asking.join(timeout=30)

    assert code == 0
    assert took_s < 60.0  # the handler takes 300 s, the longer drain 200 s
    assert [parent_of(pid) for pid in workers] == [None]


def private_folders(server: Server) -> list[pathlib.Path]:
    """Return the temporary directories that workers and zygotes have."""
    return list((server.data_dir / "scratch").glob("homeport-replica-*"))


def test_what_was_under_way_is_carried_on_or_ends(
    server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    gate = server.shared / "gate"
    variables = [{"name": "GATE", "value": str(gate)}]
    archive = archived(WAITS)
    registered = server.register(archive, containerSpec={"env": variables})
    endpoint = server.create_endpoint()
    deployment = server.begin_deploy(
        endpoint, registered["response"]["model"], {"0": 100}
    )
    wait_until(lambda: len(workers_of(server)) == 1)
    uri = server.upload_archive(archive, "again")
    uploads = {f"m{index}": begin_upload(server, f"m{index}", uri) for index in "123"}

    server.stop(signal.SIGKILL)
    server.start()
    meanwhile = server.call("GET", f"/v1/{deployment['name']}")
    gate.touch()
    ended = server.wait(deployment)

    assert meanwhile[0] == 200
    assert "done" not in meanwhile[1]
    deployed_id = ended["response"]["deployedModel"]["id"]
    endpoint_now = server.call("GET", f"/v1/{endpoint}")[1]
    assert endpoint_now["trafficSplit"] == {deployed_id: 100}
    assert server.ask(endpoint, "hello") == ["hello"]
    for model_id, operation in uploads.items():
        check_upload_ended(server, model_id, operation)


def begin_upload(server: Server, model_id: str, uri: str) -> dict[str, Any]:
    model = {"displayName": model_id, "artifactUri": uri}
    status, operation = server.call(
        "POST", f"/v1/{PARENT}/models:upload", {"modelId": model_id, "model": model}
    )
    assert status == 200, operation
    return dict(operation)


def check_upload_ended(
    server: Server, model_id: str, operation: dict[str, Any]
) -> None:
    """Assert that the model is there, or that the operation says to try again."""
    ended = server.wait(operation)
    status, _ = server.call("GET", f"/v1/{PARENT}/models/{model_id}")
    if "response" in ended:
        assert status == 200
    else:
        assert "send the request again" in ended["error"]["message"]
        assert status == 404


def test_a_second_server_on_the_same_data_directory_is_refused(
    shared_server: Server,
) -> None:
    second = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "homeport", "serve", "--port", "0",
         "--data-dir", str(shared_server.data_dir)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip

    assert second.returncode == 1
    assert second.stdout == ""
    (line,) = second.stderr.splitlines()
    assert "another homeport server uses this data directory" in line
    assert "--data-dir" in line
    assert shared_server.call("GET", "/healthz")[0] == 200


# A replica ends


def test_while_one_replica_is_replaced_the_other_answers(
    shared_server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    before = workers_of(shared_server)
    endpoint, _ = shared_server.deploy(archived(ANSWERS_ITS_PID), replicas=2)
    victim, other = workers_of(shared_server) - before

    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: shared_server.call("GET", "/readyz")[0] == 503)
    while_one_is_missing = {shared_server.ask(endpoint, 0)[0] for _ in range(5)}
    shared_server.wait_ready()

    assert while_one_is_missing == {other}
    now = workers_of(shared_server) - before
    assert other in now
    assert victim not in now
    assert len(now) == 2
    assert "homeport_replica_restarts{" in str(shared_server.call("GET", "/metrics")[1])


def test_two_deployments_of_one_archive_at_once_both_serve(
    shared_server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    registered = shared_server.register(archived(ANSWERS_ITS_PID))["response"]["model"]
    endpoints = [shared_server.create_endpoint() for _ in range(4)]

    operations = [
        shared_server.begin_deploy(endpoint, registered, {"0": 100})
        for endpoint in endpoints
    ]
    ended = [shared_server.wait(operation) for operation in operations]

    assert [one.get("error") for one in ended] == [None] * 4
    assert len({shared_server.ask(endpoint, 0)[0] for endpoint in endpoints}) == 4


# The disk is full


PRINTS_AND_ANSWERS_ITS_PID = """
import os


def handle(data, context):
    print("x" * 200)
    return data and [os.getpid()] * len(data)
"""


def test_on_a_full_disk_replicas_answer_and_are_replaced_and_verbs_wait_for_room(
    small_disk: pathlib.Path, archived: Callable[..., pathlib.Path]
) -> None:
    with running(Server(small_disk / "data", ("--keep-free-bytes=0",))) as server:
        endpoint, deployment = server.deploy(archived(PRINTS_AND_ANSWERS_ITS_PID))
        deployed = deployment["response"]["deployedModel"]
        (pid,) = server.ask(endpoint, 0)
        ballast = fill(small_disk)

        answers = [server.ask(endpoint, 0) for _ in range(100)]
        refused = first_refusal(server)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: server.predict(endpoint, {"instances": [0]})[0] == 200)

        assert answers == [[pid]] * 100
        assert refused[0] == 503
        assert "see that its disk has room" in refused[1]["error"]["message"]
        ballast.unlink()
        split = {"0": 100, deployed["id"]: 0}
        again = server.wait(server.begin_deploy(endpoint, deployed["model"], split))
        seen = server.call("GET", f"/v1/{endpoint}")[1]["deployedModels"]
        assert {one["id"] for one in seen} == {
            deployed["id"],
            again["response"]["deployedModel"]["id"],
        }


def first_refusal(server: Server) -> tuple[int, Any]:
    """Return what a verb is answered that does not fit into the database's files."""
    made = [server.call("GET", "/healthz")]

    def is_refused() -> bool:
        wish = {"displayName": "x" * 100}
        made.append(server.call("POST", f"/v1/{PARENT}/endpoints", wish))
        return made[-1][0] != 200

    wait_until(is_refused)
    return made[-1]


def fill(disk: pathlib.Path) -> pathlib.Path:
    """Return a file that takes what is left of a disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


# Memory


def test_the_server_does_not_grow_with_its_model(
    shared_server: Server, archived: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    weights = tmp_path / "weights.bin"
    with weights.open("wb") as file:
        file.truncate(100 << 20)
    large = archived(HOLDS_BYTES, "large", extra_files=(str(weights),))
    shared_server.deploy(archived(ANSWERS_ITS_PID, "small"))
    assert shared_server.process is not None
    before = peak_memory_bytes(shared_server.process.pid)

    endpoint, operation = shared_server.deploy(large)

    assert "response" in operation, operation
    assert shared_server.ask(endpoint, 0) == [100 << 20]
    grown = peak_memory_bytes(shared_server.process.pid) - before
    assert grown < 30 << 20, f"the server grew by {grown >> 20} MiB"
