"""The access log: one line for each request, written a few times a second."""

import asyncio
import datetime as dt
import time
from typing import Final, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FLUSH_S: Final = 0.25


class AccessLog:
    """An ASGI wrapper that writes `time method path status bytes duration`.

    Lines are gathered and written together, so that logging costs a prediction a few
    microseconds.

    Args:
        app: What answers.
        stream: Where lines go.
    """

    def __init__(self, app: ASGIApp, stream: TextIO) -> None:
        self._app = app
        self._stream = stream
        self._lines: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and note it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        http, size = 0, 0

        async def noting(message: Message) -> None:
            nonlocal http, size
            if message["type"] == "http.response.start":
                http = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            milliseconds = (time.perf_counter() - began) * 1e3
            # repr keeps control characters of a hostile path out of the terminal.
            path = scope["path"] if scope["path"].isprintable() else repr(scope["path"])
            self._note(
                f"{scope['method']} {path} {http} {size}B {milliseconds:.1f}ms\n"
            )

    def flush(self) -> None:
        """Write what has gathered."""
        if self._lines:
            stamp = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
            self._stream.write("".join(f"{stamp} {line}" for line in self._lines))
            self._stream.flush()
            self._lines.clear()

    def _note(self, line: str) -> None:
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_S, self.flush)
        self._lines.append(line)
