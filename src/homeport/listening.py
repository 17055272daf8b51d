"""The sockets of a server, HTTP on them, and how it is told to stop."""

import asyncio
import contextlib
import dataclasses
import math
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from homeport.api.protocol import HttpProtocol
from homeport.errors import FailedPreconditionError

_BACKLOG: Final = 2048
_HANDSHAKE_S: Final = 10.0
_TURNS: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Listeners:
    """Where a server listens.

    Attributes:
        http: For plain HTTP.
        https: For HTTPS, None for none.
    """

    http: socket.socket
    https: socket.socket | None = None

    @property
    def tls_port(self) -> int | None:
        """The port of HTTPS, None where there is none."""
        return None if self.https is None else int(self.https.getsockname()[1])

    def urls(self) -> tuple[str, ...]:
        """Return the URLs of the server, that of plain HTTP first."""
        urls = [_url("http", self.http)]
        if self.https is not None:
            urls.append(_url("https", self.https))
        return tuple(urls)


@contextlib.contextmanager
def listening(host: str, port: int, tls_port: int | None) -> Iterator[Listeners]:
    """Yield bound sockets, closed afterwards.

    Args:
        host: The address.
        port: TCP port for HTTP; 0 takes a free one.
        tls_port: The same for HTTPS, None for none.

    Raises:
        FailedPreconditionError: An address is taken, or not this machine's.
    """
    with contextlib.ExitStack() as stack:
        http = stack.enter_context(_bound(host, port, "--port"))
        https = None
        if tls_port is not None:
            https = stack.enter_context(_bound(host, tls_port, "--tls-port"))
        yield Listeners(http, https)


def tls_context(server: Path) -> ssl.SSLContext:
    """Return what HTTPS is spoken with.

    Args:
        server: A file with the server's key and certificate chain.

    Raises:
        FailedPreconditionError: The two are not there, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(server)
    except ssl.SSLError as error:
        raise FailedPreconditionError(
            "the server's key and certificate do not belong together: make them anew "
            "with homeport tls init"
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


class Stop:
    """What SIGINT and SIGTERM ask for: to end by a deadline, the second time at once.

    Args:
        drain_s: Seconds from the first signal to the deadline.
        signals: Where the handlers are taken off again, when all has ended.
    """

    def __init__(self, drain_s: float, signals: contextlib.ExitStack) -> None:
        self._drain_s = drain_s
        self._signals = signals
        self._end: float | None = None
        self.at_once = asyncio.Event()

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; all of them while nobody has asked."""
        if self._end is None:
            return self._drain_s
        return max(0.0, self._end - time.monotonic())

    def listen(self, server: "HttpServer", in_work: Callable[[], int]) -> None:
        """Stop the server at either signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._told, server, in_work)
            self._signals.callback(loop.remove_signal_handler, number)

    def _told(self, server: "HttpServer", in_work: Callable[[], int]) -> None:
        server.stop()
        if self._end is not None:
            self.at_once.set()
            return
        self._end = time.monotonic() + self._drain_s
        with contextlib.suppress(OSError):
            sys.stderr.write(
                f"stopping: {in_work()} predictions in work, up to "
                f"{self._drain_s:g} s; press Ctrl-C again to end now\n"
            )
            sys.stderr.flush()


class HttpServer(uvicorn.Server):
    """uvicorn on our sockets, saying when it has begun to listen.

    It returns when told to stop.

    Args:
        application: What answers, on both sockets alike.
        listeners: The sockets.
        tls: What HTTPS is spoken with; None where there is no socket for it.
        drain_s: Seconds given to the requests under way when it stops.
        on_ready: Called when it listens.
    """

    def __init__(
        self,
        application: ASGIApp,
        listeners: Listeners,
        tls: ssl.SSLContext | None,
        *,
        drain_s: float,
        on_ready: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=HttpProtocol,
                loop="none",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                # Nobody stands in front who could be trusted about the client's
                # address.
                proxy_headers=False,
                date_header=False,
                timeout_graceful_shutdown=math.ceil(drain_s),
            )
        )
        self._listeners = listeners
        self._tls = tls
        self._on_ready = on_ready
        self._told = asyncio.Event()

    def stop(self) -> None:
        """Begin to stop; called on the event loop, the second time to hurry."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._told.set()

    async def run_until_stopped(self) -> None:
        """Serve until `should_exit`."""
        await self.serve(sockets=[self._listeners.http])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self._listeners.https is not None:
            self.servers.append(await self._https(self._listeners.https))
        self._on_ready()

    async def main_loop(self) -> None:
        """Wait until told to stop; uvicorn's own wakes up ten times a second."""
        # Once: it sets the headers that all answers have.
        await self.on_tick(0)
        await self._told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in no more connections than have come by now, and answer them."""
        # The loop accepts what waits in the listeners' queues.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        await super().shutdown(sockets)

    async def _https(self, listener: socket.socket) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            ),
            sock=listener,
            ssl=self._tls,
            backlog=_BACKLOG,
            ssl_handshake_timeout=_HANDSHAKE_S,
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `Stop`.

        uvicorn's own sends itself the signal again afterwards, and the process would
        end before its replicas have.
        """
        yield


def _bound(host: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        # Python repeats the address behind the words of the system.
        why = str(error.strerror).partition(" (while ")[0]
        raise FailedPreconditionError(
            f"cannot listen on {host} port {port} ({why}): choose another "
            f"{option}, 0 for any free one"
        ) from error


def _url(scheme: str, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"
