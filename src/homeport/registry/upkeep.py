"""What a server does behind what people wait for: divide, sweep and tidy its bytes."""

import dataclasses
import datetime as dt
import threading
from collections.abc import Callable
from typing import Final, final

from homeport.archive import lockfile
from homeport.environments.build import Environments
from homeport.metadata import endpoint_rows, model_rows, server_rows
from homeport.metadata.database import Database
from homeport.registry import byte_stores, session_sweep
from homeport.registry.blob_sweep import Sweeper
from homeport.registry.byte_stores import ByteStores
from homeport.registry.periodic import Periodic
from homeport.registry.pieces import PiecedBlobs
from homeport.registry.splitting import Splitting

_SPLITTING_PERIOD_S: Final = 5.0
_SWEEPING_PERIOD_S: Final = 3600.0


@final
class Upkeep:
    """Divides archives and removes what nobody needs, on threads of its own.

    Args:
        database: The rows.
        stored: The bytes as they lie there.
        now: The time, aware.
        server: The id of this server.
        environments: Those of versions.
    """

    def __init__(
        self,
        database: Database,
        stored: ByteStores,
        now: Callable[[], dt.datetime],
        server: str,
        environments: Environments,
    ) -> None:
        self._server = server
        self._now = now
        self._stopped = threading.Event()
        self._database = database
        self._stored = stored
        self._environments = environments
        blobs, least_bytes = stored.blobs, byte_stores.min_part_bytes(stored)
        self._splitting = Splitting(database, blobs, now, least_bytes)
        grace = byte_stores.grace(stored)
        self._sweeper = Sweeper(database, blobs, now, grace=grace)
        self._threads = (
            Periodic("splitting", _SPLITTING_PERIOD_S, self.divide),
            Periodic("sweeping", _SWEEPING_PERIOD_S, self.sweep),
            Periodic("tidying", _SWEEPING_PERIOD_S, self.tidy),
        )

    def whole(self) -> ByteStores:
        """Return the bytes as everybody else sees them: each file whole."""
        blobs = PiecedBlobs(self._database, self._stored.blobs)
        return dataclasses.replace(self._stored, blobs=blobs)

    def divide(self) -> None:
        """Divide every archive there is; of several servers one does.

        No harm is done where two do: both read and write the same bytes.
        """
        with self._database.snapshot() as transaction:
            alive = server_rows.alive(transaction)
        if self._server == min(alive | {self._server}):
            self._splitting.divide_all()

    def sweep(self) -> None:
        """Remove what is left of uploads that are over, then the unused bytes."""
        session_sweep.sweep(
            self._database, self._stored, self._now(), self._stopped.is_set
        )
        self._sweeper.look()

    def tidy(self) -> None:
        """Remove unused environments, but those of versions that are deployed.

        Nothing runs in these when the server has just started.
        """
        self._environments.stay_in(_needed(self._database))
        self._environments.tidy()

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End within a moment; what is half done is left as it was."""
        self._stopped.set()
        self._splitting.stop()
        self._sweeper.stop()
        self._environments.stop()
        for thread in self._threads:
            thread.stop()
        self._environments.stay_in(())


def _needed(database: Database) -> frozenset[str]:
    """Return the digests of the locks of versions that are deployed."""
    with database.snapshot() as transaction:
        names = {
            one.deployed_model.version for one in endpoint_rows.deployments(transaction)
        }
        locks = {model_rows.get_lock(transaction, name) for name in names}
    return frozenset(lockfile.parse(text).digest for text in locks if text)
