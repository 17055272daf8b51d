"""A server takes its place on a database: alone, or beside others.

Who is alone brings the rows to the newest shape and removes unused bytes. Who comes
later finds the shape as it is, and the bytes in a bucket that all of them reach.
"""

import pathlib
import secrets
from typing import Final

from homeport.errors import FailedPreconditionError
from homeport.metadata import server_rows
from homeport.metadata.database import Database, revision_of, revisions

_SECRET: Final = "signing"  # noqa: S105  # its name
_SECRET_BYTES: Final = 32


def enter(database: Database, server: str, *, shared: bool) -> bool:
    """Take a place on the database; tell whether this server is alone.

    Args:
        database: Its rows come to the newest shape.
        server: The id of this server.
        shared: Whether the bytes are where other servers reach them.

    Raises:
        FailedPreconditionError: Others are there and this one cannot be beside them; or
            a newer Homeport has changed the rows.
        DatabaseUnavailableError: It cannot be reached.
    """
    alone = database.enter() and not _others(database, server)
    if alone:
        database.upgrade()
        return True
    if not shared:
        raise FailedPreconditionError(
            "another homeport server uses this database: stop it, or give both a "
            "--blob-store, so that they have the same bytes"
        )
    _check_shape(database)
    return False


def hold(database: Database) -> None:
    """Keep servers away until the database is closed.

    Raises:
        FailedPreconditionError: A server uses it, or did a moment ago.
        DatabaseUnavailableError: It cannot be reached.
    """
    database.hold()
    if _others(database, ""):
        database.let_go()
        raise FailedPreconditionError(
            "another homeport server uses this database, or ended without a word less "
            "than 10 seconds ago: stop every server that does, then try again"
        )


def shared_secret(database: Database, data_dir: pathlib.Path) -> bytes:
    """Return what every server on the database signs with, made the first time.

    That of a data directory from before there were several is taken over.
    """
    file = data_dir / "secret"
    own = file.read_bytes() if file.exists() else secrets.token_bytes(_SECRET_BYTES)
    with database.transaction() as transaction:
        value = server_rows.share_secret(transaction, _SECRET, own.hex())
    file.unlink(missing_ok=True)
    return bytes.fromhex(value)


def known_secret(database: Database, data_dir: pathlib.Path) -> bytes:
    """Return the secret of a registry that was served, b"" for none."""
    with database.snapshot() as transaction:
        value = server_rows.secret(transaction, _SECRET)
    if value:
        return bytes.fromhex(value)
    file = data_dir / "secret"
    return file.read_bytes() if file.exists() else b""


def _others(database: Database, server: str) -> bool:
    with database.snapshot() as transaction:
        return bool(server_rows.alive(transaction) - {server})


def _check_shape(database: Database) -> None:
    with database.snapshot() as transaction:
        revision = revision_of(transaction)
    newest = revisions()[-1]
    if revision != newest:
        raise FailedPreconditionError(
            f"the database is of shape {revision}, this Homeport's is {newest}, and "
            "other servers use it: stop them all, take a backup, then homeport db "
            "upgrade, or start one server of the newer version alone"
        )
