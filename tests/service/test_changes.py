"""Who asks all the time notices no change of what answers."""

import pathlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from servers import Server, wait_until

pytestmark = pytest.mark.service
TELLS_ITS_VERSION = (
    "def handle(data, context):\n    return data and [{0}] * len(data)\n"
)
CLIENTS = 3


class Asking:
    """Clients that ask one endpoint until they are told to stop."""

    def __init__(self, server: Server, endpoint: str) -> None:
        self.replies: list[tuple[int, Any]] = []
        self._server, self._endpoint = server, endpoint
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def answers(self) -> list[int]:
        return [
            reply["predictions"][0] for status, reply in self.replies if status == 200
        ]

    def _run(self) -> None:
        while not self._ends.is_set():
            document = {"instances": [0]}
            self.replies.append(self._server.predict(self._endpoint, document))


def test_a_new_version_takes_over_and_the_old_one_goes_without_a_failure(
    shared_server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    server = shared_server
    old, new = (
        archived(TELLS_ITS_VERSION.format(number), f"v{number}") for number in (1, 2)
    )
    endpoint, operation = server.deploy(old)
    first = operation["response"]["deployedModel"]["id"]
    version = server.register(new)["response"]["model"]

    with Asking(server, endpoint) as clients:
        wait_until(lambda: len(clients.answers()) > 20)
        server.wait(server.begin_deploy(endpoint, version, {"0": 100, first: 0}, 2))
        _, undeploy = server.call(
            "POST", f"/v1/{endpoint}:undeployModel", {"deployedModelId": first}
        )
        server.wait(undeploy)
        seen = len(clients.replies)
        wait_until(lambda: len(clients.replies) > seen + 20)

    assert {status for status, _ in clients.replies} == {200}
    assert set(clients.answers()) == {1, 2}
    (deployed,) = server.call("GET", f"/v1/{endpoint}")[1]["deployedModels"]
    assert deployed["status"] == {"availableReplicaCount": 2}
