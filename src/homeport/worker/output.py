"""What a worker prints, read by its parent: cut into lines, within a limit.

A handler may print without end; reading it must never keep the server's event loop
from its requests.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from typing import Final, Self

_LOG: Final = logging.getLogger(__name__)
MAX_LINE_BYTES: Final = 8 * 1024
MAX_LINES_PER_WINDOW: Final = 1000
_MAX_BYTES_PER_WINDOW: Final = 1 << 20
_WINDOW_S: Final = 1.0
_READ_BYTES: Final = 64 * 1024
# While lines are dropped, each pause lets one pipe's worth of them (64 KiB) in.
_PAUSE_S: Final = 0.01


class WorkerLog:
    """Hands over, line by line, what is written into a pipe.

    At most 1000 lines or 1 MiB of them, whichever comes first, are taken in a window;
    what comes beyond is dropped, its lines are counted, and one line says how many.

    The loop's own transports of pipes are not used: one that is cancelled at its start,
    and uvloop's at any end, closes a descriptor that may be another file's by then.

    Args:
        on_lines: Called with the lines that came together, at least one.
        reading: The pipe's end, which is owned from here on; it is made non-blocking.
        window_s: Seconds after which the limit counts anew.

    Attributes:
        closed: Resolves when the last writer has closed the pipe, or it was closed.
        has_printed: Whether a line has come.
    """

    def __init__(
        self,
        on_lines: Callable[[Sequence[str]], None],
        reading: int,
        window_s: float = _WINDOW_S,
    ) -> None:
        self._on_lines = on_lines
        self._reading: int | None = reading
        self._window_s = window_s
        self._loop = asyncio.get_running_loop()
        self._lines = LineCutter()
        self._window: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._lines_left = MAX_LINES_PER_WINDOW
        self._characters_left = _MAX_BYTES_PER_WINDOW
        self._bytes_left = _MAX_BYTES_PER_WINDOW
        self._dropped = 0
        self.has_printed = False
        self.closed: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(reading, False)  # the standard library's signature
        self._loop.add_reader(reading, self._on_readable)

    @classmethod
    def open(cls, on_lines: Callable[[Sequence[str]], None]) -> tuple[Self, int]:
        """Return the log of a new pipe, and the file descriptor to write to.

        Raises:
            OSError: There is none to be had.
        """
        reading, writing = os.pipe()
        return cls(on_lines, reading), writing

    def take(self, data: bytes) -> None:
        """Hand over the lines that `data` completed."""
        if self._window is None:
            self._window = self._loop.call_later(self._window_s, self._end_window)
        most = self._lines_left if self._characters_left > 0 else 0
        lines, dropped = self._lines.feed(data, most)
        self._bytes_left -= len(data)
        self._lines_left -= min(most, data.count(b"\n"))
        self._characters_left -= sum(map(len, lines))
        self._hand_over(lines)
        if dropped or self._bytes_left <= 0:
            self._dropped += dropped
            self._rest()

    def close(self) -> None:
        """Stop reading, whoever still writes, and hand over the line begun."""
        if self._reading is None:
            return
        self._loop.remove_reader(self._reading)
        os.close(self._reading)
        self._reading = None
        if self._pause is not None:
            self._pause.cancel()
        self._hand_over(self._lines.end())
        if self._window is not None:
            self._window.cancel()
            self._end_window()
        self.closed.set_result(None)

    def _on_readable(self) -> None:
        if self._reading is None:
            return
        try:
            data = os.read(self._reading, _READ_BYTES)
        except BlockingIOError:
            return
        if data:
            self.take(data)
        else:
            self.close()

    def _rest(self) -> None:
        """Read nothing for a moment."""
        if self._reading is not None:
            self._loop.remove_reader(self._reading)
            self._pause = self._loop.call_later(_PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        if self._reading is not None:
            self._loop.add_reader(self._reading, self._on_readable)

    def _end_window(self) -> None:
        self._window = None
        self._lines_left = MAX_LINES_PER_WINDOW
        self._characters_left = _MAX_BYTES_PER_WINDOW
        self._bytes_left = _MAX_BYTES_PER_WINDOW
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._hand_over([_told(dropped)])

    def _hand_over(self, lines: list[str]) -> None:
        if not lines:
            return
        self.has_printed = True
        try:
            self._on_lines(lines)
        except Exception:  # noqa: BLE001  # logged; the pipe must still be read
            _LOG.exception("a worker's lines could not be handed over")


def reason_of_end(*, has_printed: bool) -> str:
    """Return where to look for why a process has ended, to stand behind a colon."""
    if has_printed:
        return "its log has the reason"
    return "it printed nothing, let it print how far it comes"


def _told(dropped: int) -> str:
    lines = "1 line is" if dropped == 1 else f"{dropped} lines are"
    return (
        f"[homeport] {lines} missing here: a replica's log takes "
        f"{MAX_LINES_PER_WINDOW} lines or 1 MiB a second"
    )


class LineCutter:
    """Cuts bytes into lines of at most `MAX_LINE_BYTES`; the rest of a line is lost."""

    def __init__(self) -> None:
        self._line = bytearray()

    def feed(self, chunk: bytes, most: int) -> tuple[list[str], int]:
        """Return the lines that `chunk` completed, without their ends.

        Args:
            chunk: The next bytes.
            most: How many lines to take, empty ones included.

        Returns:
            The lines that are not empty, and how many were dropped.
        """
        *complete, rest = chunk.split(b"\n", most)
        lines = []
        for part in complete:
            self._add(part)
            lines += self.end()
        dropped = rest.count(b"\n")
        if dropped:
            self._line.clear()
            rest = rest[rest.rfind(b"\n") + 1 :]
        self._add(rest)
        return lines, dropped

    def end(self) -> list[str]:
        """Return the line begun, if there is one."""
        line = bytes(self._line)
        self._line.clear()
        if not line:
            return []
        return [line.decode("utf-8", "replace").rstrip("\r")]

    def _add(self, part: bytes) -> None:
        self._line += part[: MAX_LINE_BYTES - len(self._line)]
