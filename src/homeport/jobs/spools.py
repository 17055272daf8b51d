"""The spools of all jobs: what is kept of one that failed, and what is forgotten.

One job's own files are in `spool`.
"""

import datetime as dt
import pathlib
from collections.abc import Callable, Collection
from typing import Final, final

from homeport.errors import HomeportError, RelayedError
from homeport.jobs.spool import Spool
from homeport.resources.batch_job import BatchJobName

# How long predictions are kept of a job that may go on later.
_KEPT_FOR: Final = dt.timedelta(days=7)


@final
class Spools:
    """Spools by their jobs; its methods block.

    Args:
        directory: Where they are, one folder each.
        now: The time, aware.
    """

    def __init__(self, directory: pathlib.Path, now: Callable[[], dt.datetime]) -> None:
        self._directory = directory
        self._now = now

    def of(self, name: BatchJobName) -> Spool:
        """Return the spool of a job, which may have written nothing yet."""
        return Spool(self._directory / name.job)

    def keep(self, name: BatchJobName, error: HomeportError) -> None:
        """Keep what was predicted by a job that fails, if there is any.

        Args:
            name: The job.
            error: Why it fails.

        Raises:
            RelayedError: It is kept: why the job fails, and how it goes on.
        """
        if self.of(name).set_aside(self._now() + _KEPT_FOR):
            why, newline, log_lines = error.message.partition("\n")
            raise RelayedError(
                error.code,
                f"{why}; what was predicted is kept for {_KEPT_FOR.days} days, and "
                f"`homeport batch resume {name}` goes on with it once that is mended"
                f"{newline}{log_lines}",
            ) from error

    def let_go(self, name: BatchJobName) -> None:
        """Remove what a job has left that has ended, unless it is kept."""
        spool = self.of(name)
        if not spool.is_kept(self._now()):
            spool.remove()

    def forget(self, attended: Callable[[], Collection[str]]) -> None:
        """Remove what jobs have left that nobody attends to, unless it is kept.

        They ended just before a server was killed, or failed long ago.

        Args:
            attended: Returns the ids of the jobs that somebody attends to now. A job
                that is resumed is attended to before it takes back what was kept.
        """
        for path in self._directory.glob("*"):
            spool = Spool(path)
            # In this order: else one resumed in between would be removed.
            if not spool.is_kept(self._now()) and path.name not in attended():
                spool.remove()
