"""Who this server is among those that share a database, and that it is alive.

A server renews its lease for as long as it runs. When it has run out, others take over
what the server had promised.
"""

import datetime as dt
import pathlib
import threading
import uuid
from typing import Final, final

from homeport.metadata import server_rows
from homeport.metadata.database import Database

LEASE: Final = dt.timedelta(seconds=10)
RENEW_S: Final = 2.0


def identify(data_dir: pathlib.Path) -> str:
    """Return the id of the server of a data directory, made the first time."""
    path = data_dir / "server"
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.write_text(uuid.uuid4().hex, "ascii")
        partial.replace(path)
    return path.read_text("ascii")


@final
class Lease:
    """The lease of one server.

    Args:
        database: Where it is written.
        server: The server's id.
    """

    def __init__(self, database: Database, server: str) -> None:
        self._database = database
        self._server = server
        # A thread that renews is not stopped by who ends the lease.
        self._lock = threading.Lock()
        self._ended = False

    def renew(self) -> None:
        """Be alive for `LEASE` from now, and keep those away who must be alone.

        Nothing happens once it has ended.
        """
        with self._lock:
            if self._ended:
                return
            self._database.stay()
            with self._database.transaction() as transaction:
                server_rows.renew(transaction, self._server, LEASE)

    def end(self) -> None:
        """Be alive no more: others take over at once."""
        with self._lock:
            self._ended = True
            with self._database.transaction() as transaction:
                server_rows.end(transaction, self._server)
