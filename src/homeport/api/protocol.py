"""The HTTP/1.1 protocol of the server: uvicorn's, with writes gathered.

uvicorn writes the head of a response and its body in two system calls. For a small
prediction those calls are most of what the server does; here they become one.
"""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_FLUSH_BYTES: Final = 1 << 16


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
    """uvicorn's protocol on a transport that gathers writes."""

    def connection_made(  # type: ignore[override]  # uvicorn narrows asyncio's own
        self, transport: asyncio.Transport
    ) -> None:
        """Begin a connection."""
        super().connection_made(GatheringTransport(transport))
