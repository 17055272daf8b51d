"""The bar that `homeport pack` draws on a terminal."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TransferSpeedColumn,
)

_BAR_FROM_BYTES: Final = 50_000_000


@contextlib.contextmanager
def drawn() -> Iterator[Callable[[int, int], None]]:
    """Yield what draws the bar, once there is enough to wait for."""
    bar = Progress(
        TextColumn("Packing"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("pack")

    def advance(written_bytes: int, total_bytes: int) -> None:
        if total_bytes < _BAR_FROM_BYTES:
            return
        bar.start()
        bar.update(task, completed=written_bytes, total=total_bytes)

    try:
        yield advance
    finally:
        bar.stop()
