"""A program is well after so many looks in a row, and not well after so many others."""

import asyncio
import dataclasses
from collections.abc import Sequence

import pytest

from fake_replicas import until
from homeport.errors import UnavailableError
from homeport.resources.probes import Care, Probe, ProbeKind
from homeport.serving.contract import Contract
from homeport.serving.probing import Prober

CONTRACT = Contract(8080, "/predict", "/health", (), (), {})


class FakeHousing:
    """Answers a probe's command as it is told: "+" for well, "-" for not."""

    noun = "program"
    pid = 1
    has_printed = False

    def __init__(self, answers: str) -> None:
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[str] = loop.create_future()
        self.closed: asyncio.Future[str] = loop.create_future()
        self._answers = list(answers)
        self.looks = 0

    def port(self, own: int) -> int:
        return own

    async def execute(self, command: Sequence[str]) -> int:
        """Return 0 or 1; when all is told, for ever what was told last."""
        del command
        self.looks += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return 0 if answer == "+" else 1

    def kill(self, reason: str) -> None:
        """Do nothing."""

    def terminate(self) -> None:
        """Do nothing."""


def probe(failures: int = 1, successes: int = 1) -> Probe:
    return Probe(
        ProbeKind.EXEC,
        command=("look",),
        period_s=0.001,
        failures=failures,
        successes=successes,
    )


@pytest.mark.parametrize(
    ("answers", "successes", "looks"),
    [("+", 1, 1), ("--+", 1, 3), ("+-++", 2, 4)],
    ids=["at once", "after a while", "twice in a row"],
)
def test_a_program_is_well_after_so_many_looks_in_a_row(
    answers: str, successes: int, looks: int
) -> None:
    async def scenario() -> int:
        housing = FakeHousing(answers)
        care = Care(health=probe(successes=successes))
        await Prober(housing, CONTRACT, care).wait_well(60.0)
        return housing.looks

    assert asyncio.run(scenario()) == looks


def test_a_startup_probe_gives_a_program_up_after_so_many_failures() -> None:
    async def scenario() -> None:
        care = Care(startup=probe(failures=3))
        await Prober(FakeHousing("-"), CONTRACT, care).wait_well(60.0)

    with pytest.raises(UnavailableError, match="the command look failed 3 times"):
        asyncio.run(scenario())


@pytest.mark.parametrize("status", ["503 No", "302 Found", "404 Not Found"])
def test_a_route_that_answers_otherwise_has_to_answer_200(status: str) -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            contract = dataclasses.replace(CONTRACT, port=port)
            await Prober(FakeHousing("+"), contract, Care()).wait_well(1.0)

    with pytest.raises(UnavailableError) as told:
        asyncio.run(scenario())

    assert f"(it answered {status[:3]})" in told.value.message
    assert told.value.message.endswith(
        "; the route has to answer 200: see healthRoute and healthProbe"
    )


def test_a_program_that_refuses_connections_has_to_listen() -> None:
    async def scenario() -> None:
        # Nobody may listen there.
        contract = dataclasses.replace(CONTRACT, port=1)
        await Prober(FakeHousing("+"), contract, Care()).wait_well(1.0)

    with pytest.raises(UnavailableError) as told:
        asyncio.run(scenario())

    assert told.value.message.endswith(
        "(it refused the connection); it has to listen on 0.0.0.0, port 1, which "
        "AIP_HTTP_PORT says"
    )


def test_a_program_takes_traffic_again_after_so_many_looks_in_a_row() -> None:
    async def scenario() -> list[str]:
        # Well, once not, well again, then not well; once well by chance, then for good.
        housing = FakeHousing("+-+--+-+++")
        # What else is looked at is not due before the test has ended.
        late = Probe(ProbeKind.TCP, initial_delay_s=3600.0)
        care = Care(health=probe(failures=2, successes=2), liveness=late)
        heard: list[str] = []
        watching = asyncio.create_task(
            Prober(housing, CONTRACT, care).watch(heard.append)
        )
        await until(lambda: len(heard) == 2)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return heard

    (why, again) = asyncio.run(scenario())

    assert "failed 2 times in a row (it exited with code 1)" in why
    assert again == ""
