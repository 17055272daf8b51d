"""Rows and bytes that belong together, when the rows are not in the data directory.

A server removes the bytes that no row names. Started on the rows of others it would
remove everything.
"""

import pathlib
import uuid

from homeport.errors import FailedPreconditionError
from homeport.metadata import possession_rows
from homeport.metadata.database import Database, Transaction
from homeport.objects.bucket_blobs import BucketBlobs


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


def claim_bucket(
    database: Database, data_dir: pathlib.Path, bytes_in: BucketBlobs
) -> None:
    """Note that rows and the bytes in a bucket belong together, or see that they do.

    Raises:
        FailedPreconditionError: The bucket's folder has the bytes of other rows, or
            the data directory has bytes of its own.
        UnavailableError: The bucket does not answer.
    """
    if _has_bytes(data_dir):
        raise FailedPreconditionError(
            f"the data directory {data_dir} has its bytes in itself: start without "
            "--blob-store, or name an empty one and restore a backup into it"
        )
    with database.transaction() as transaction:
        own = possession_rows.get(transaction)
        if not own:
            own = uuid.uuid4().hex
            possession_rows.put(transaction, own)
    # The row first: a bucket that names rows which are not there is nobody's for ever.
    if bytes_in.claim(own) != own:
        raise FailedPreconditionError(
            "the folder of --blob-store has the bytes of another registry: name "
            "another folder, or the database that belongs to it"
        )
    _bucket_file(data_dir).touch()


def join(database: Database, data_dir: pathlib.Path) -> None:
    """Note which database has the rows of a data directory without bytes.

    Raises:
        FailedPreconditionError: Another has.
    """
    with database.snapshot() as transaction:
        known = possession_rows.get(transaction)
    file = _file(data_dir)
    if file.exists() and file.read_text("ascii") != known:
        raise FailedPreconditionError(
            f"the rows of the data directory {data_dir} are in another database: name "
            "that one, or a data directory of its own"
        )
    file.write_text(known, "ascii")


def refuse_bytes_elsewhere(data_dir: pathlib.Path) -> None:
    """Refuse a data directory whose bytes are in a bucket.

    Raises:
        FailedPreconditionError: They are.
    """
    if _bucket_file(data_dir).exists():
        raise FailedPreconditionError(
            f"the bytes of the data directory {data_dir} are in a bucket: give its "
            "--blob-store"
        )


def begin(transaction: Transaction, data_dir: pathlib.Path) -> None:
    """Note that rows just written and a new data directory belong together."""
    own = possession_rows.get(transaction)
    if not own:
        own = uuid.uuid4().hex
        possession_rows.put(transaction, own)
    _file(data_dir).write_text(own, "ascii")


def begin_in_bucket(
    transaction: Transaction,
    data_dir: pathlib.Path,
    bytes_in: BucketBlobs,
    *,
    again: bool,
) -> None:
    """Note that rows just written and the bytes in a bucket belong together.

    Args:
        transaction: The one that wrote the rows.
        data_dir: A new one.
        bytes_in: The bucket.
        again: Whether its bytes were there before, of the registry that is restored.

    Raises:
        FailedPreconditionError: It has the bytes of another registry.
    """
    wished = uuid.uuid4().hex
    own = bytes_in.claim(wished)
    if own != wished and not again:
        raise FailedPreconditionError(
            "the folder of --blob-store has the bytes of another registry: name an "
            "empty one"
        )
    possession_rows.put(transaction, own)
    _bucket_file(data_dir).touch()


def _file(data_dir: pathlib.Path) -> pathlib.Path:
    return data_dir / "database"


def _bucket_file(data_dir: pathlib.Path) -> pathlib.Path:
    return data_dir / "bucket"


def _has_bytes(data_dir: pathlib.Path) -> bool:
    blobs = data_dir / "blobs" / "sha256"
    return any(path.is_file() for path in blobs.rglob("*"))
