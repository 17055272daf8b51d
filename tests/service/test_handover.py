"""A model is replaced, and a server dies, and no request of another server fails."""

import collections
import contextlib
import dataclasses
import pathlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import s3_servers
from databases import Databases
from server_pairs import pair
from servers import Server, wait_until

# Two servers and four starts of replicas take their time on a machine under load.
pytestmark = [pytest.mark.service, pytest.mark.timeout(600)]

# What follows starts a while after what it follows.
SLOW_START = "import time\n\ntime.sleep(3)\n"
HANDLER = "def handle(data, context):\n    return [{word!r}] * len(data or ())\n"

Answer = tuple[int, Any]


@dataclasses.dataclass
class Client:
    """Asks one endpoint of one server, one request after the other.

    Attributes:
        words: How many answers had which prediction.
        failures: The answers that had none.
    """

    server: Server
    endpoint: str
    words: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    failures: list[Answer] = dataclasses.field(default_factory=list)
    last: str = ""

    def ask(self) -> None:
        status, answer = self.server.predict(self.endpoint, {"instances": [1]})
        if status == 200:
            (self.last,) = answer["predictions"]
            self.words[self.last] += 1
        else:
            self.failures.append((status, answer))

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Ask until the end of the block, which fails if a request did."""
        ends = threading.Event()

        def ask() -> None:
            while not ends.is_set():
                try:
                    self.ask()
                except OSError as error:
                    self.failures.append((0, error))
                ends.wait(0.005)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            ends.set()
            thread.join()
        assert not self.failures, (self.failures[:3], self.words)


@pytest.mark.long
def test_a_version_is_replaced_under_traffic_and_the_server_that_did_it_dies(
    databases: Databases, tmp_path: pathlib.Path, archived: Callable[..., pathlib.Path]
) -> None:
    archives = {
        word: archived(start + HANDLER.format(word=word), word)
        for word, start in (("one", ""), ("two", SLOW_START), ("three", SLOW_START))
    }
    with s3_servers.running() as s3:
        s3_servers.create_bucket(s3, "blobs")
        with pair(s3, databases, tmp_path) as (first, second):
            endpoint, deployed = first.deploy(archives["one"])
            clients = [Client(one, endpoint) for one in (first, second)]
            assert "response" in deployed, deployed
            old = deployed["response"]["deployedModel"]["id"]
            wait_until(lambda: second.predict(endpoint, {"instances": [1]})[0] == 200)

            with clients[1].asking():
                with clients[0].asking():
                    new = _replace(first, endpoint, old, archives["two"])
                    for client in clients:
                        _comes_to(client, "two")
                _die_while_deploying(first, second, endpoint, new, archives["three"])
                _comes_to(clients[1], "three")

            assert set(clients[1].words) == {"one", "two", "three"}


def _replace(server: Server, endpoint: str, old: str, archive: pathlib.Path) -> str:
    """Deploy, give it the traffic and undeploy what had it; return the new id."""
    model = server.register(archive)["response"]["model"]
    split = {"0": 0, old: 100}
    deployed = server.wait(server.begin_deploy(endpoint, model, split))
    new = str(deployed["response"]["deployedModel"]["id"])
    changed = server.call(
        "PATCH",
        f"/v1/{endpoint}?updateMask=trafficSplit",
        {"trafficSplit": {old: 0, new: 100}},
    )
    assert changed[0] == 200, changed
    status, undeployed = server.call(
        "POST", f"/v1/{endpoint}:undeployModel", {"deployedModelId": old}
    )
    assert status == 200, undeployed
    assert "response" in server.wait(undeployed)
    return new


def _comes_to(client: Client, word: str) -> None:
    """Wait until a client has had this word, and then no other for a while."""
    wait_until(lambda: client.last == word, 200)
    before = client.words.copy()
    wait_until(lambda: client.words[word] >= before[word] + 50, 200)
    assert client.words - before == {word: client.words[word] - before[word]}


def _die_while_deploying(
    first: Server, second: Server, endpoint: str, old: str, archive: pathlib.Path
) -> None:
    """Kill a server that deploys; return when the other has done it in its place."""
    model = first.register(archive)["response"]["model"]
    operation = first.begin_deploy(endpoint, model, {"0": 100, old: 0})
    first.stop(signal.SIGKILL)

    assert not second.call("GET", f"/v1/{operation['name']}")[1].get("done")
    ended = second.wait(operation)
    assert "response" in ended, ended
