"""A bar for what takes longer than a moment, on terminals and in notebooks alone."""

import contextlib
from collections.abc import Iterator
from typing import Final

from homeport.client.uploading import OnProgress

_BAR_FROM_BYTES: Final = 20_000_000


@contextlib.contextmanager
def bar(what: str) -> Iterator[OnProgress]:
    """Yield what shows a bar on standard error, for large files only."""
    # Deferred: most calls upload nothing.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = (what, BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with contextlib.ExitStack() as stack:
        shown = Progress(*columns, console=console, transient=True)
        task = shown.add_task(what, total=None)

        def on_progress(sent: int, total: int) -> None:
            visible = console.is_terminal or console.is_jupyter
            if visible and total > _BAR_FROM_BYTES and not shown.live.is_started:
                stack.enter_context(shown)
            shown.update(task, completed=sent, total=total)

        yield on_progress
