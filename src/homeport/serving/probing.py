"""Looks at a serving program: once, until it is well, and for as long as it runs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from homeport.errors import HomeportError
from homeport.resources.probes import Care, Probe, ProbeKind
from homeport.serving.contract import Contract
from homeport.serving.housing import Housing, UnwellError
from homeport.serving.httpclient import HttpClient, HttpFailedError, HttpRequest

_OK: Final = 200
_MOST_BODY_BYTES: Final = 1 << 20
# Vertex AI's own checks, for a container that brings no probes: the health route
# answers 200 within 10 s, and a connection opens, each four times in a row at most not.
_PERIOD_S: Final = 10.0
_FAILURES: Final = 4
# While it starts it is asked much more often, so that it takes traffic when it can.
_STARTING_PERIOD_S: Final = 0.1
_SLOWEST_STARTING_PERIOD_S: Final = 1.0
_EAGERNESS: Final = 1.5


class Prober:
    """Takes the looks that a program's contract and probes ask for.

    Args:
        housing: What the program runs in.
        contract: Its port and routes.
        care: Its probes.
    """

    def __init__(self, housing: Housing, contract: Contract, care: Care) -> None:
        self._housing = housing
        self._contract = contract
        self._startup = care.startup
        # Whether it answered when it was asked last, whatever it was.
        self._is_reached = False
        self._health = care.health or Probe(
            ProbeKind.HTTP,
            path=contract.health_route,
            period_s=_PERIOD_S,
            timeout_s=_PERIOD_S,
            failures=_FAILURES,
        )
        self._liveness = care.liveness or Probe(
            ProbeKind.TCP, period_s=_PERIOD_S, timeout_s=_PERIOD_S, failures=_FAILURES
        )

    async def wait_well(self, timeout_s: float) -> None:
        """Return when the program is well for the first time.

        Raises:
            UnwellError: It is not in time, or its startup probe gave it up.
        """
        last, successes = "", 0
        try:
            async with asyncio.timeout(timeout_s):
                if self._startup is not None:
                    await self._start(self._startup)
                period_s = _STARTING_PERIOD_S
                while True:
                    last = await self.look(self._health)
                    successes = 0 if last else successes + 1
                    if successes >= self._health.successes:
                        return
                    await asyncio.sleep(period_s)
                    period_s = min(_EAGERNESS * period_s, _SLOWEST_STARTING_PERIOD_S)
        except TimeoutError as error:
            said = f" ({last})" if last else ""
            raise UnwellError(
                f"the {self._housing.noun} was not well within {timeout_s:g} s: "
                f"{self._asked(self._health)} did not succeed{said}; {self._remedy()}"
            ) from error

    async def watch(self, on_health: Callable[[str], None]) -> str:
        """Return why the program is to be ended: it is not alive any more.

        Args:
            on_health: Called with why it is not well, and with "" when it is again.
        """
        health = asyncio.create_task(
            self._watch_health(on_health), name=f"health of a {self._housing.noun}"
        )
        try:
            await asyncio.sleep(self._liveness.initial_delay_s)
            return await self._failed(self._liveness)
        finally:
            health.cancel()

    async def _watch_health(self, on_health: Callable[[str], None]) -> None:
        await asyncio.sleep(self._health.initial_delay_s)
        while True:
            on_health(await self._failed(self._health))
            await self._passed(self._health)
            on_health("")

    async def look(self, probe: Probe) -> str:
        """Return why a probe did not pass, "" if it did."""
        looks: dict[ProbeKind, Callable[[Probe], Awaitable[str]]] = {
            ProbeKind.HTTP: self._get,
            ProbeKind.TCP: self._connect,
            ProbeKind.EXEC: self._execute,
        }
        try:
            async with asyncio.timeout(probe.timeout_s):
                return await looks[probe.kind](probe)
        except TimeoutError:
            return f"no answer within {probe.timeout_s:g} s"

    async def _start(self, probe: Probe) -> None:
        why = ""
        await asyncio.sleep(probe.initial_delay_s)
        for _ in range(probe.failures):
            why = await self.look(probe)
            if not why:
                return
            await asyncio.sleep(probe.period_s)
        raise UnwellError(
            f"the {self._housing.noun} did not start: {self._asked(probe)} failed "
            f"{probe.failures} times ({why})"
        )

    async def _failed(self, probe: Probe) -> str:
        """Return why a probe has failed as often in a row as it may."""
        failures, why = 0, ""
        while failures < probe.failures:
            began = time.monotonic()
            why = await self.look(probe)
            failures = failures + 1 if why else 0
            # From begin to begin, as it is configured.
            await asyncio.sleep(max(0.0, began + probe.period_s - time.monotonic()))
        return f"{self._asked(probe)} failed {failures} times in a row ({why})"

    async def _passed(self, probe: Probe) -> None:
        """Return when a probe has passed as often in a row as it has to."""
        successes = 0
        while successes < probe.successes:
            await asyncio.sleep(probe.period_s)
            successes = 0 if await self.look(probe) else successes + 1

    def _remedy(self) -> str:
        if self._is_reached:
            return "the route has to answer 200: see healthRoute and healthProbe"
        port = self._contract.port
        return f"it has to listen on 0.0.0.0, port {port}, which AIP_HTTP_PORT says"

    def _asked(self, probe: Probe) -> str:
        port = probe.port or self._contract.port
        match probe.kind:
            case ProbeKind.HTTP:
                return f"GET {probe.path} on port {port}"
            case ProbeKind.TCP:
                return f"a connection to port {port}"
            case _:
                return f"the command {probe.command[0]:.80}" if probe.command else ""

    async def _get(self, probe: Probe) -> str:
        client = HttpClient(self._port(probe), _MOST_BODY_BYTES)
        request = HttpRequest(
            "GET", probe.path, {**dict(probe.headers), "connection": "close"}
        )
        try:
            answer = await client.ask(request)
        except HttpFailedError as error:
            self._is_reached = False
            return error.sentence
        finally:
            client.close()
        self._is_reached = True
        return "" if answer.status == _OK else f"it answered {answer.status}"

    async def _connect(self, probe: Probe) -> str:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port(probe))
        except OSError:
            return "it refused the connection"
        writer.transport.abort()
        return ""

    async def _execute(self, probe: Probe) -> str:
        try:
            status = await self._housing.execute(probe.command)
        except HomeportError as error:
            return error.message
        return "" if status == 0 else f"it exited with code {status}"

    def _port(self, probe: Probe) -> int:
        return self._housing.port(probe.port or self._contract.port)
