"""A prediction goes from the socket to a replica and back, or says why it cannot."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from starlette.types import Message

from fake_replicas import FakeReplica, until
from homeport.api.predictions import Predictions
from homeport.api.turns import Turns
from homeport.errors import Code
from homeport.resources.names import EndpointName
from homeport.serving.pool import Limits, Pool
from homeport.serving.router import Route, Router, Share
from homeport.telemetry import Metrics
from homeport.worker.replica import Reply
from rooms import PARENT, Rooms
from wishes import open_endpoints, open_wishes

NAME = EndpointName(PARENT, "e")
PATH = f"/v1/{NAME}:predict"
TAIL = b',"deployedModelId":"7"}'


class Client:
    """One HTTP request as an ASGI server hands it over."""

    def __init__(self, *parts: bytes, path: str = PATH) -> None:
        self.messages = [
            {"type": "http.request", "body": part, "more_body": more}
            for part, more in zip(
                parts, [True] * (len(parts) - 1) + [False], strict=True
            )
        ]
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [],
        }
        self.gone = asyncio.Event()
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if self.messages:
            return self.messages.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def document(self) -> Any:
        return orjson.loads(self.sent[1]["body"])


class Surface:
    """Predictions on one endpoint with one replica."""

    def __init__(self, rooms: Rooms) -> None:
        self.router = Router()
        self.metrics = Metrics()
        self.replica: FakeReplica
        endpoints = open_endpoints(rooms, lambda _: None)
        self.predictions = Predictions(Turns(self.router, endpoints))

        async def start(on_room: Callable[[], None]) -> FakeReplica:
            self.replica = FakeReplica(on_room)
            return self.replica

        self.pool = Pool("7", start, Limits(queue_length=1, deadline_s=30.0))

    async def call(self, client: Client) -> tuple[int, int]:
        endpoint = self.predictions.match(client.scope)
        assert endpoint
        return await self.predictions(
            endpoint, client.scope, client.receive, client.send
        )

    def begin(self, client: Client) -> asyncio.Task[tuple[int, int]]:
        return asyncio.create_task(self.call(client))


@contextlib.asynccontextmanager
async def serving(rooms: Rooms) -> AsyncIterator[Surface]:
    surface = Surface(rooms)
    surface.pool.start()
    await surface.pool.ready()
    meter = surface.metrics.meter("e", "7")
    share = Share("7", 100, surface.pool, TAIL, (), meter, {"TOKEN": "hunter2"})
    surface.router.put(NAME, Route([share]))
    try:
        yield surface
    finally:
        await surface.pool.close(0.0)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20.0):
            await scenario()

    asyncio.run(bounded())


@pytest.mark.parametrize(
    ("method", "path", "endpoint"),
    [
        pytest.param("POST", PATH, str(NAME), id="v1"),
        pytest.param("POST", f"/v1beta1/{NAME}:predict", str(NAME), id="v1beta1"),
        pytest.param("GET", PATH, "", id="another method"),
        pytest.param("POST", f"/v2/{NAME}:predict", "", id="another version"),
        pytest.param("POST", f"/v1/{NAME}:rawPredict", "", id="another verb"),
        pytest.param("POST", f"/v1/{NAME}/x:predict", "", id="a longer path"),
        pytest.param("POST", f"/x/v1/{NAME}:predict", "", id="a prefix"),
    ],
)
def test_a_prediction_is_told_by_its_path(
    method: str, path: str, endpoint: str
) -> None:
    scope = {"type": "http", "method": method, "path": path}

    assert Predictions.match(scope) == endpoint
    assert Predictions.match({**scope, "type": "websocket"}) == ""


def test_bytes_go_through_as_they_came(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms) as surface:
            client = Client(b'{"insta', b'nces": ', b"[ 1]}")
            request = surface.begin(client)
            await until(lambda: surface.replica.outstanding == 1)
            surface.replica.answer(1, Reply(0, b"[ 0.5]"))
            answered = await request

            assert surface.replica.bodies == [b'{"instances": [ 1]}']
            assert client.status == 200
            body = b'{"predictions":[ 0.5],"deployedModelId":"7"}'
            assert client.sent[1]["body"] == body
            assert client.headers[b"content-length"] == b"%d" % len(body)
            assert client.headers[b"content-type"].startswith(b"application/json")
            assert answered == (200, len(body))
            counted = (
                b'homeport_prediction_requests_total{deployed_model="7",'
                b'endpoint="e",status="200"} 1.0'
            )
            assert counted in surface.metrics.text()

    run(scenario)


@pytest.mark.parametrize(
    ("code", "http"),
    [
        pytest.param(Code.INVALID_ARGUMENT, 400, id="a wrong instance"),
        pytest.param(Code.INTERNAL, 500, id="a handler that raised"),
        pytest.param(99, 500, id="a code that there is not"),
    ],
)
def test_a_failure_is_told_without_secrets(rooms: Rooms, code: int, http: int) -> None:
    async def scenario() -> None:
        async with serving(rooms) as surface:
            client = Client(b"{}")
            request = surface.begin(client)
            await until(lambda: surface.replica.outstanding == 1)
            surface.replica.answer(1, Reply(code, b"KeyError: hunter2 \xff"))
            await request

            assert client.status == http
            assert client.document["error"]["code"] == http
            assert client.document["error"]["message"] == "KeyError: [TOKEN] \ufffd"

    run(scenario)


def test_a_replica_that_dies_is_unavailable_and_may_be_asked_again(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with serving(rooms) as surface:
            client = Client(b"{}")
            request = surface.begin(client)
            await until(lambda: surface.replica.outstanding == 1)
            surface.replica.die()
            await request

            assert client.status == 503
            assert client.document["error"]["status"] == "UNAVAILABLE"
            assert client.headers[b"retry-after"] == b"1"

    run(scenario)


def test_a_full_queue_is_429(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms) as surface:
            waiting = [surface.begin(Client(b"{}")) for _ in range(3)]
            await until(lambda: surface.pool.queued == 1)

            client = Client(b"{}")
            await surface.call(client)

            assert client.status == 429
            assert client.document["error"]["status"] == "RESOURCE_EXHAUSTED"
            assert client.headers[b"retry-after"] == b"1"
            surface.replica.answer(2)
            surface.replica.answer()
            await asyncio.gather(*waiting)

    run(scenario)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param([(b"idempotency-key", b"k1")], 200, id="it may be done twice"),
        pytest.param([], 503, id="nobody knows"),
    ],
)
def test_a_request_whose_replica_dies_goes_elsewhere_if_it_may(
    rooms: Rooms, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    async def scenario() -> None:
        async with serving(rooms) as surface:
            client = Client(b"{}")
            client.scope["headers"] = headers
            request = surface.begin(client)
            first = surface.replica
            await until(lambda: first.outstanding == 1)

            first.die()
            await until(lambda: surface.replica is not first)
            await until(lambda: request.done() or surface.replica.outstanding == 1)
            if not request.done():
                surface.replica.answer()
            await request

            assert client.status == status

    run(scenario)


def test_a_client_that_goes_while_it_waits_frees_its_place(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms) as surface:
            working = [surface.begin(Client(b"work")) for _ in range(2)]
            await until(lambda: surface.replica.outstanding == 2)
            leaving = Client(b"left")
            request = surface.begin(leaving)
            await until(lambda: surface.pool.queued == 1)

            leaving.gone.set()
            assert await request == (0, 0)
            staying = Client(b"stays")
            answered = surface.begin(staying)
            await asyncio.sleep(0)
            surface.replica.answer(2)
            surface.replica.answer()
            await asyncio.gather(answered, *working)

            assert leaving.sent == []
            assert staying.status == 200
            assert surface.replica.bodies == [b"work", b"work", b"stays"]

    run(scenario)


def test_a_request_that_is_cancelled_frees_its_place(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms) as surface:
            working = [surface.begin(Client(b"work")) for _ in range(2)]
            await until(lambda: surface.replica.outstanding == 2)
            cancelled = surface.begin(Client(b"left"))
            await until(lambda: surface.pool.queued == 1)

            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
            surface.replica.answer(2)
            await asyncio.gather(*working)

            assert cancelled.cancelled()
            assert surface.replica.bodies == [b"work", b"work"]

    run(scenario)


def test_a_client_that_goes_in_the_middle_of_its_body_is_not_answered(
    rooms: Rooms,
) -> None:
    async def scenario() -> None:
        async with serving(rooms) as surface:
            client = Client(b"half", b"")
            client.messages.pop()
            client.gone.set()

            assert await surface.call(client) == (0, 0)

            assert client.sent == []
            assert surface.replica.bodies == []

    run(scenario)


def test_the_time_a_client_takes_to_send_is_not_counted(rooms: Rooms) -> None:
    async def scenario() -> None:
        async with serving(rooms) as surface:
            client = Client(b"{", b"}")
            send_part = client.receive

            async def send_slowly() -> Message:
                await asyncio.sleep(0.02)
                return await send_part()

            began = time.perf_counter()
            request = asyncio.create_task(
                surface.predictions(str(NAME), client.scope, send_slowly, client.send)
            )
            await until(lambda: surface.replica.outstanding == 1)
            surface.replica.answer()
            await request
            elapsed_s = time.perf_counter() - began

            text = surface.metrics.text().decode()
            counted = re.search(r"duration_seconds_sum\{.*\} (.+)\n", text)
            assert counted is not None
            assert float(counted[1]) < elapsed_s - 0.03

    run(scenario)


def _refused(rooms: Rooms, client: Callable[[], Client]) -> Client:
    """Return the client of a request that no replica gets."""
    clients: list[Client] = []

    async def scenario() -> None:
        surface = Surface(rooms)
        clients.append(client())
        answered = await surface.call(clients[0])
        assert answered == (clients[0].status, len(clients[0].sent[1]["body"]))

    run(scenario)
    return clients[0]


def test_an_unknown_endpoint_is_404(rooms: Rooms) -> None:
    client = _refused(rooms, lambda: Client(b"{}"))

    assert client.status == 404
    assert client.document["error"]["status"] == "NOT_FOUND"
    assert str(NAME) in client.document["error"]["message"]


def test_a_name_that_is_none_is_400(rooms: Rooms) -> None:
    path = "/v1/projects/p/locations/l/endpoints/a b:predict"

    client = _refused(rooms, lambda: Client(b"{}", path=path))

    assert client.status == 400
    assert client.document["error"]["status"] == "INVALID_ARGUMENT"


def test_an_endpoint_without_traffic_is_400_in_the_services_words(
    rooms: Rooms,
) -> None:
    wishes = open_wishes(rooms)
    wishes.serve(wishes.create(), "7")

    client = _refused(rooms, lambda: Client(b"{}"))

    assert client.status == 400
    assert client.document["error"]["status"] == "FAILED_PRECONDITION"
    message = client.document["error"]["message"]
    assert message.startswith(f"Endpoint {NAME} doesn't have traffic_split.")
    assert "`homeport traffic`" in message
    assert "`homeport deploy --traffic 100`" in message


def test_an_endpoint_whose_models_are_starting_is_503(rooms: Rooms) -> None:
    wishes = open_wishes(rooms)
    wishes.serve(wishes.create(), "7", d7=100)

    client = _refused(rooms, lambda: Client(b"{}"))

    assert client.status == 503
    assert "starting" in client.document["error"]["message"]
    assert client.headers[b"retry-after"] == b"1"
