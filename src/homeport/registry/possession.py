"""Rows and bytes that belong together, when the rows are not in the data directory.

A server removes the bytes that no row names. Started on the rows of others it would
remove everything.
"""

import pathlib
import uuid

from homeport.errors import FailedPreconditionError
from homeport.metadata import possession_rows
from homeport.metadata.database import Database, Transaction


def refuse_foreign_rows(data_dir: pathlib.Path) -> None:
    """Refuse a data directory whose rows are in a database of their own.

    Raises:
        FailedPreconditionError: They are.
    """
    if _file(data_dir).exists():
        raise FailedPreconditionError(
            f"the rows of the data directory {data_dir} are in another database: give "
            "its --database-url"
        )


def claim(database: Database, data_dir: pathlib.Path) -> None:
    """Note that rows and bytes belong together, or see that they do.

    Raises:
        FailedPreconditionError: Either has its counterpart elsewhere.
    """
    file = _file(data_dir)
    own = file.read_text("ascii") if file.exists() else ""
    with database.transaction() as transaction:
        known = possession_rows.get(transaction)
        if known and known == own:
            return
        if known:
            raise FailedPreconditionError(
                f"the database belongs to another data directory than {data_dir}: "
                "name that one as --data-dir"
            )
        if _has_bytes(data_dir):
            raise FailedPreconditionError(
                f"the data directory {data_dir} has bytes of which this database knows "
                "nothing: name an empty one, or the database that belongs to it"
            )
        # The file first: without the row it says nothing yet.
        own = own or uuid.uuid4().hex
        file.write_text(own, "ascii")
        possession_rows.put(transaction, own)


def begin(transaction: Transaction, data_dir: pathlib.Path) -> None:
    """Note that rows just written and the bytes of a new directory belong together."""
    own = uuid.uuid4().hex
    _file(data_dir).write_text(own, "ascii")
    possession_rows.put(transaction, own)


def _file(data_dir: pathlib.Path) -> pathlib.Path:
    return data_dir / "database"


def _has_bytes(data_dir: pathlib.Path) -> bool:
    blobs = data_dir / "blobs" / "sha256"
    return any(path.is_file() for path in blobs.rglob("*"))
