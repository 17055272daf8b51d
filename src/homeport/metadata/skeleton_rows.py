"""Files that are kept as pieces, and those that are best kept whole, as rows."""

import dataclasses
from collections.abc import Collection, Iterable
from typing import Final

import sqlalchemy as sa

from homeport.metadata import keyed
from homeport.metadata.database import Transaction
from homeport.metadata.tables import (
    artifact_files,
    objects,
    skeleton_pieces,
    skeletons,
)

_KEPT: Final = sa.select(skeletons.c.skeleton, skeletons.c.rewritten).where(
    keyed.by(skeletons, "sha256")
)


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """How the bytes of a file are kept.

    Attributes:
        skeleton: The sha256 of its skeleton, None if the file is best kept whole.
        rewritten: Whether the file may be there whole as well, having been sent again.
    """

    skeleton: str | None
    rewritten: bool


def find(transaction: Transaction, sha256: str) -> Kept | None:
    """Return how a file is kept, None if nobody has looked into it yet."""
    row = transaction.execute(_KEPT, keyed.given({"sha256": sha256})).one_or_none()
    return None if row is None else Kept(row.skeleton, row.rewritten)


def put(
    transaction: Transaction,
    sha256: str,
    skeleton: str | None,
    pieces: Collection[str] = (),
) -> None:
    """Write how a file is kept, in the place of what was known of it.

    Args:
        transaction: One that writes.
        sha256: The file.
        skeleton: The digest of its skeleton, None if it stays whole.
        pieces: The digests of its pieces, each once.
    """
    delete(transaction, [sha256])
    transaction.execute(
        skeletons.insert().values(sha256=sha256, skeleton=skeleton, rewritten=False)
    )
    if pieces:
        rows = [{"whole": sha256, "piece": piece} for piece in pieces]
        transaction.execute(skeleton_pieces.insert(), rows)


def note_written(transaction: Transaction, sha256: str) -> None:
    """Note that the bytes of a file came again, whole; of another it says nothing."""
    _set_rewritten(transaction, sha256, rewritten=True)


def forget_written(transaction: Transaction, sha256: str) -> None:
    """Note that a file is there as its pieces alone."""
    _set_rewritten(transaction, sha256, rewritten=False)


def next_to_divide(
    transaction: Transaction, *, after: str, min_bytes: int
) -> tuple[str, int] | None:
    """Return sha256 and size of a file that is to be kept as pieces and may be whole.

    That is one of an artifact which nobody has looked into, or one of an artifact or
    an object that is there as pieces and was sent again.

    Args:
        transaction: Any.
        after: The file is the next one behind this digest.
        min_bytes: Shorter files are none.
    """
    known = sa.exists().where(
        skeletons.c.sha256 == artifact_files.c.sha256, ~skeletons.c.rewritten
    )
    filed = sa.select(artifact_files.c.sha256, artifact_files.c.size_bytes).where(
        artifact_files.c.sha256 > after,
        artifact_files.c.size_bytes >= min_bytes,
        ~known,
    )
    sent_again = (
        sa.select(objects.c.sha256, objects.c.size_bytes)
        .join(skeletons, skeletons.c.sha256 == objects.c.sha256)
        .where(skeletons.c.sha256 > after, skeletons.c.rewritten)
    )
    found = sa.union(filed, sent_again).subquery()
    row = transaction.execute(
        sa.select(found.c.sha256, found.c.size_bytes).order_by(found.c.sha256).limit(1)
    ).one_or_none()
    return None if row is None else (row.sha256, row.size_bytes)


def unneeded(transaction: Transaction) -> set[str]:
    """Return the known files (by sha256) that no object and no artifact needs."""
    found = sa.select(skeletons.c.sha256).where(
        ~sa.exists().where(objects.c.sha256 == skeletons.c.sha256),
        ~sa.exists().where(artifact_files.c.sha256 == skeletons.c.sha256),
    )
    return set(transaction.scalars(found))


def delete(transaction: Transaction, sha256s: Iterable[str]) -> None:
    """Delete what is known of files."""
    for sha256 in sha256s:
        transaction.execute(
            skeleton_pieces.delete().where(skeleton_pieces.c.whole == sha256)
        )
        transaction.execute(skeletons.delete().where(skeletons.c.sha256 == sha256))


def _set_rewritten(transaction: Transaction, sha256: str, *, rewritten: bool) -> None:
    transaction.execute(
        skeletons.update()
        .where(skeletons.c.sha256 == sha256, skeletons.c.skeleton.is_not(None))
        .values(rewritten=rewritten)
    )
