"""The copy that a publication makes in the server is gone however it ends."""

import _thread
import pathlib
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from answering import answering
from homeport.client.connection import Address, Connection
from homeport.errors import DeadlineExceededError
from homeport.publishing import source
from homeport.publishing.source import Source

VERSION = "projects/p/locations/l/models/42@2"
OPERATION = "projects/p/locations/l/operations/7"
SOURCE = Source(
    name=VERSION,
    display_name="digits",
    description="",
    version_description="",
    labels={},
    aliases=(),
    is_default=True,
    container={},
    digest="",
    files=(),
    left=(),
)


class Store:
    """A server whose export takes for ever, and has written a file.

    Attributes:
        done: What came of the operation, told when it is asked for; None for nothing.
        ask: Called when it is.
        changed: What was asked for that changes something.
    """

    def __init__(self, done: dict[str, Any] | None, ask: Callable[[], None]) -> None:
        self.done = done
        self.ask = ask
        self.changed: list[str] = []

    def answer(self, method: str, path: str) -> dict[str, Any] | None:
        """Answer one request."""
        if method != "GET":
            self.changed.append(f"{method} {path}")
            return {"name": OPERATION}
        listed = re.fullmatch(
            r"/storage/v1/b/homeport-uploads/o\?prefix=(p/published/[0-9a-f]{16}/)"
            r"&pageToken=",
            path,
        )
        if listed:
            return {"items": [{"name": f"{listed[1]}export/model.mar", "size": "1"}]}
        self.ask()
        return {"name": OPERATION, **({"done": True, **self.done} if self.done else {})}


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Return what interrupts the test's own thread, also where that was ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield _thread.interrupt_main
    signal.signal(signal.SIGINT, before)


def test_an_export_that_fails_leaves_nothing(tmp_path: pathlib.Path) -> None:
    late = {"error": {"code": 4, "message": "it took too long"}}
    store = Store(late, lambda: None)

    with (
        answering(store.answer) as url,
        Connection(Address(url, "p", "l")) as connection,
        pytest.raises(DeadlineExceededError, match="it took too long"),
    ):
        source.fetch(connection, SOURCE, tmp_path)

    is_cleared(store)


def test_ctrl_c_while_the_server_copies_leaves_nothing(
    tmp_path: pathlib.Path, ctrl_c: Callable[[], None]
) -> None:
    store = Store(None, ctrl_c)

    with (
        answering(store.answer) as url,
        Connection(Address(url, "p", "l")) as connection,
        pytest.raises(KeyboardInterrupt),
    ):
        source.fetch(connection, SOURCE, tmp_path)

    is_cleared(store)


def is_cleared(store: Store) -> None:
    """Fail unless the export was ended, and then what it had written removed."""
    *_, exported, cancelled, deleted = store.changed
    assert exported == f"POST /v1/{VERSION}:export"
    assert cancelled == f"POST /v1/{OPERATION}:cancel"
    assert re.fullmatch(
        r"DELETE /storage/v1/b/homeport-uploads/o/p/published/[0-9a-f]{16}/export/"
        r"model\.mar",
        deleted,
    )
