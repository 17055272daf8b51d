"""The HTTP/1.1 protocol of the server: uvicorn's, with writes gathered.

uvicorn writes the head of a response and its body in two system calls. For a small
prediction those calls are most of what the server does; here they become one.

The protocol stays HTTP/1.1: a client that offers an upgrade, as Java's does to h2c, is
answered as if it had not.

When the server stops, what clients have sent by then is answered, and each answer says
that the connection closes: a client that sends one request after the other loses none.
"""

import asyncio
from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

_FLUSH_BYTES: Final = 1 << 16
_LAST_REQUEST_S: Final = 0.1


class GatheringTransport(asyncio.Transport):
    """Passes everything on to a transport; writes of one loop step go out together.

    More than 64 KiB go out at once, so that the transport's own flow control still
    holds a fast writer back.

    Args:
        transport: The connection.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._gathered_bytes = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write at the end of this loop step, or now if much has gathered."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(bytes(data))
        self._gathered_bytes += len(data)
        if self._gathered_bytes > _FLUSH_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what has gathered and close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what has gathered is lost."""
        self._parts.clear()
        self._gathered_bytes = 0
        self._transport.abort()

    def write_eof(self) -> None:
        """Write what has gathered and end the writing half."""
        self._flush()
        self._transport.write_eof()

    def can_write_eof(self) -> bool:
        """Tell whether the writing half can be ended alone."""
        return self._transport.can_write_eof()

    def is_closing(self) -> bool:
        """Tell whether the connection is closed or closing."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return what the connection knows of itself."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Stop reading."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()

    def is_reading(self) -> bool:
        """Tell whether reading goes on."""
        return self._transport.is_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the connection's protocol."""
        return self._transport.get_protocol()

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Set when writing is paused."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._gathered_bytes + self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        parts = self._parts
        if not parts:
            return
        gathered = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._gathered_bytes = 0
        if not self._transport.is_closing():
            self._transport.write(gathered)


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol on a transport that gathers writes; it takes no upgrade."""

    _ends = False

    def connection_made(  # type: ignore[override]  # uvicorn narrows asyncio's own
        self, transport: asyncio.Transport
    ) -> None:
        """Begin a connection."""
        super().connection_made(GatheringTransport(transport))

    def data_received(self, data: bytes) -> None:
        """Read on in the requests of the connection."""
        self._unset_keepalive_if_required()
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the request is to be read again as a plain one."""
        if not self._offers_upgrade():
            super().on_headers_complete()
            self._say_last()

    def shutdown(self) -> None:
        """Answer what has been sent, or is any moment now, and close."""
        self._ends = True
        self._say_last()
        if self._is_idle:
            self.loop.call_later(_LAST_REQUEST_S, self._close_if_idle)

    @property
    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._is_idle and not self.transport.is_closing():
            self.transport.close()

    def _say_last(self) -> None:
        """Have the request that was read last be the connection's last."""
        cycle: RequestResponseCycle | None = self.cycle
        if self._ends and cycle is not None:
            cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """End the body of a request, unless the request is to be read again."""
        if not self._offers_upgrade():
            super().on_message_complete()

    def _feed(self, data: bytes) -> bytes:
        """Parse bytes; return those that a new parser has to read.

        A parser takes what follows a request to upgrade for another protocol's. RFC
        9110, section 7.8: a server may ignore the field. So it is taken away, and the
        request read anew.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._offers_upgrade():
                # CONNECT: it was answered, and what follows is for nobody here.
                return b""
            head = self._head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            return head + data[upgrade.args[0] :]
        return b""

    def _offers_upgrade(self) -> bool:
        return bool(self.parser.should_upgrade()) and any(
            name == b"upgrade" for name, _ in self.headers
        )

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [
            b"%b: %b" % (name, value)
            for name, value in self.headers
            if name != b"upgrade"
        ]
        return b"\r\n".join([*lines, b"", b""])
