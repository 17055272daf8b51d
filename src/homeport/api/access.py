"""The access log: one line for each request, written a few times a second."""

import asyncio
import datetime as dt
import time
from typing import Final, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FLUSH_S: Final = 0.25


def asked(scope: Scope) -> str:
    """Return the verb and the path of a request, for people.

    The path is ASGI's: a URL made of it has no tabs or line feeds.
    """
    path = scope["path"]
    if not path.isprintable():
        # Control characters of a hostile path stay out of the terminal.
        path = repr(path)
    return f"{scope['method']} {path}"


class AccessLog:
    """Writes `time method path status bytes duration` for each request.

    Lines are gathered and written together, so that logging costs a prediction a few
    microseconds.

    Args:
        stream: Where lines go; None writes nothing.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lines: list[str] = []

    def note(self, scope: Scope, http: int, size_bytes: int, began: float) -> None:
        """Note one request.

        Args:
            scope: The request's.
            http: The status answered, 0 if the client went before.
            size_bytes: Length of the answer's body.
            began: `time.perf_counter` when the request came.
        """
        if self._stream is None:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_S, self.flush)
        milliseconds = (time.perf_counter() - began) * 1e3
        self._lines.append(
            f"{asked(scope)} {http} {size_bytes}B {milliseconds:.1f}ms\n"
        )

    def flush(self) -> None:
        """Write what has gathered; it is lost where the stream does not take it."""
        # Taken first: lines that cannot be written must not gather for ever.
        lines, self._lines = self._lines, []
        if lines and self._stream is not None:
            stamp = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
            self._stream.write("".join(f"{stamp} {line}" for line in lines))
            self._stream.flush()


class Logged:
    """An ASGI application whose requests are noted.

    Args:
        app: What answers.
        log: Where they are noted.
    """

    def __init__(self, app: ASGIApp, log: AccessLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and note it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        http, size_bytes = 0, 0

        async def noting(message: Message) -> None:
            nonlocal http, size_bytes
            if message["type"] == "http.response.start":
                http = message["status"]
            else:
                size_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._log.note(scope, http, size_bytes, began)
