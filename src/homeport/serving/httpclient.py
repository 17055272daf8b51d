"""A small HTTP/1.1 client to one port of this machine, on the event loop.

Made for predictions: connections are kept, an answer is bounded, and a request that
nobody waits for any more ends its connection, which the program can see. What is sent
comes from our own rooms: paths and headers are checked before.
"""

import asyncio
import dataclasses
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

import httptools

_HOST: Final = "127.0.0.1"
# Servers end idle connections after 2 s (gunicorn) or more: ours are gone before.
_IDLE_S: Final = 1.5
# Linux alone has it.
_QUICK_ACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
_JOIN_BELOW_BYTES: Final = 64 * 1024


class HttpFailedError(Exception):
    """There was no whole answer.

    Args:
        sentence: What happened, as in "it refused the connection".
        ended: It ended the connection, or did not open it: it may have ended itself.
        unheard: So early on a connection that had been used before that the request
            may not have come to it.
    """

    def __init__(
        self, sentence: str, *, ended: bool = False, unheard: bool = False
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.ended = ended
        self.unheard = unheard


@dataclasses.dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer, or of a stream its beginning.

    Attributes:
        status: HTTP's.
        headers: Names in lower case.
        body: Whole, or what was not handed over before.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request.

    Attributes:
        method: GET or POST.
        target: The path, and the query if there is one.
        headers: Names in lower case, without those of the connection.
        body: None for none.
        on_piece: Called with each part of a 2xx body as it comes; the answer has none
            of them.
    """

    method: str
    target: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: bytes | None = None
    on_piece: Callable[[HttpAnswer], None] | None = None

    def head(self, port: int) -> bytes:
        """Return what goes before the body."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"host: localhost:{port}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body is not None:
            lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join((*lines, "", "")).encode("latin-1", "replace")


class HttpClient:
    """Keeps connections to one port.

    Args:
        port: On loopback.
        most_bytes: Of the body of an answer.
    """

    def __init__(self, port: int, most_bytes: int) -> None:
        self._port = port
        self._most_bytes = most_bytes
        self._idle: list[_Connection] = []

    async def ask(self, request: HttpRequest) -> HttpAnswer:
        """Return the answer to a request; cancelling it ends its connection.

        Raises:
            HttpFailedError: There is none, it is no HTTP, or it is too long.
        """
        kept = self._kept()
        if kept is not None:
            try:
                return await self._exchange(kept, request)
            except HttpFailedError as error:
                if not error.unheard:
                    raise
        return await self._exchange(await self._connect(), request)

    def close(self) -> None:
        """End the connections that are kept; requests in work go on."""
        for connection in self._idle:
            connection.end()
        self._idle.clear()

    async def _exchange(
        self, connection: "_Connection", request: HttpRequest
    ) -> HttpAnswer:
        try:
            answer = await connection.exchange(
                request.head(self._port), request.body or b"", request.on_piece
            )
        except BaseException:
            connection.end()
            raise
        if connection.is_reusable:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.end()
        return answer

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(self._most_bytes), _HOST, self._port
            )
        except OSError as error:
            raise HttpFailedError("it refused the connection", ended=True) from error
        return connection

    def _kept(self) -> "_Connection | None":
        """Return the connection that was used last, without those that are too old."""
        oldest = time.monotonic() - _IDLE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable and connection.idle_since > oldest:
                return connection
            connection.end()
        return None


class _Connection(asyncio.Protocol):
    """One connection, with one exchange at a time."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._on_piece: Callable[[HttpAnswer], None] | None = None
        self._used = False
        self._heard = False
        self._reset()
        self.idle_since = 0.0

    @property
    def is_reusable(self) -> bool:
        """Whether another exchange can follow."""
        transport = self._transport
        return (
            self._keeps
            and self._answer is None
            and transport is not None
            and not transport.is_closing()
        )

    def end(self) -> None:
        """Close the connection, whatever it does."""
        if self._transport is not None:
            self._transport.abort()

    async def exchange(
        self, head: bytes, body: bytes, on_piece: Callable[[HttpAnswer], None] | None
    ) -> HttpAnswer:
        """Return the answer to what is sent.

        Raises:
            HttpFailedError: There is none, it is no HTTP, or it is too long.
        """
        if self._transport is None or self._answer is not None:
            raise RuntimeError("the connection is not free")
        self._reset()
        self._heard, self._on_piece = False, on_piece
        self._answer = asyncio.get_running_loop().create_future()
        self._acknowledge_at_once()
        if len(body) < _JOIN_BELOW_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        try:
            return await self._answer
        finally:
            self._answer = None
            self._used = True

    def _reset(self) -> None:
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._length = 0
        self._keeps = False
        self._begun = False

    # asyncio's own calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # a socket's is one

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._heard = True
        self._acknowledge_at_once()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("what it answered is no HTTP/1.1")
        except httptools.HttpParserUpgrade:
            self._fail("it answered with another protocol than HTTP/1.1")

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange in hand."""
        del exc
        self._transport = None
        if self._answer is None or self._answer.done():
            return
        if self._begun and not self._announces_length():
            # HTTP/1.0: the end of the connection is the end of the body.
            self._finish(keeps=False)
        elif self._heard:
            self._fail(
                "it ended the connection in the middle of its answer", ended=True
            )
        else:
            self._answer.set_exception(
                HttpFailedError(
                    "it ended the connection without an answer",
                    ended=True,
                    unheard=self._used,
                )
            )

    # httptools' own calls.

    def on_message_begin(self) -> None:
        """Begin anew; an answer that nobody asked for ends the connection."""
        self._headers = {}
        if self._answer is None or self._answer.done():
            self._keeps = False
            self.end()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; of several of one name the last."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Tell an interim answer from the answer."""
        self._begun = self._parser.get_status_code() >= 200  # noqa: PLR2004  # HTTP

    def on_body(self, body: bytes) -> None:
        """Keep a part, or hand it over."""
        if self._on_piece is not None and self._parser.get_status_code() < 300:  # noqa: PLR2004  # HTTP
            self._on_piece(self._made(body))
            return
        self._length += len(body)
        if self._length > self._most_bytes:
            self._parts.clear()
            self._fail(f"its answer is over the limit of {self._most_bytes} bytes")
            return
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Give the answer."""
        if self._begun:
            self._finish(keeps=self._parser.should_keep_alive())

    def _acknowledge_at_once(self) -> None:
        """Have the next packet acknowledged without waiting for company.

        Many servers write head and body apart and hold the second until the first is
        acknowledged, which Linux otherwise puts off by 40 ms; it forgets this soon.
        """
        if self._transport is not None and _QUICK_ACK is not None:
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def _announces_length(self) -> bool:
        names = self._headers.keys()
        return "content-length" in names or "transfer-encoding" in names

    def _made(self, body: bytes) -> HttpAnswer:
        return HttpAnswer(self._parser.get_status_code(), self._headers, body)

    def _finish(self, *, keeps: bool) -> None:
        if self._answer is not None and not self._answer.done():
            self._keeps = keeps
            self._answer.set_result(self._made(b"".join(self._parts)))

    def _fail(self, sentence: str, *, ended: bool = False) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(HttpFailedError(sentence, ended=ended))
        self.end()
