"""Which blobs the rows need, and for what.

A blob is needed as an object or a file of an artifact that is kept whole, as the
skeleton of one that is not, or as a piece of it.
"""

from collections.abc import Collection

import sqlalchemy as sa

from homeport.metadata.among import among
from homeport.metadata.database import Transaction
from homeport.metadata.tables import (
    artifact_files,
    model_versions,
    objects,
    skeleton_pieces,
    skeletons,
)


def referenced(transaction: Transaction, blobs: Collection[str]) -> set[str]:
    """Return those of the blobs (by sha256) that an object or an artifact needs."""
    return _among(transaction, blobs, sa.select(artifact_files.c.sha256))


def needed_of(transaction: Transaction, blobs: Collection[str]) -> set[str]:
    """Return those of the blobs (by sha256) that an object or a version needs."""
    of_versions = sa.select(artifact_files.c.sha256).join(
        model_versions,
        model_versions.c.artifact_digest == artifact_files.c.artifact_digest,
    )
    return _among(transaction, blobs, of_versions)


def all_needed(transaction: Transaction) -> list[str]:
    """Return every blob (by sha256) that an object or an artifact needs, in order."""
    needed = sa.union(*_needed(sa.select(artifact_files.c.sha256))).subquery()
    return list(
        transaction.scalars(sa.select(needed.c.sha256).order_by(needed.c.sha256))
    )


def all_divided(transaction: Transaction) -> list[str]:
    """Return every file (by sha256) that is kept as pieces, in order."""
    divided = sa.select(skeletons.c.sha256).where(skeletons.c.skeleton.is_not(None))
    return list(transaction.scalars(divided.order_by(skeletons.c.sha256)))


def users(transaction: Transaction, sha256: str) -> list[str]:
    """Return what needs a blob: objects, and files of versions, by name."""
    wholes = sa.union(
        sa.select(sa.literal(sha256).label("sha256")),
        sa.select(skeletons.c.sha256).where(skeletons.c.skeleton == sha256),
        sa.select(skeleton_pieces.c.whole).where(skeleton_pieces.c.piece == sha256),
    ).subquery()
    named = transaction.execute(
        sa.select(objects.c.bucket, objects.c.name).where(
            objects.c.sha256.in_(sa.select(wholes.c.sha256))
        )
    )
    found = [f"gs://{row.bucket}/{row.name}" for row in named]
    filed = transaction.execute(
        sa.select(
            model_versions.c.model_id,
            model_versions.c.version_id,
            artifact_files.c.path,
        )
        .join(
            artifact_files,
            artifact_files.c.artifact_digest == model_versions.c.artifact_digest,
        )
        .where(artifact_files.c.sha256.in_(sa.select(wholes.c.sha256)))
    )
    found += [f"{row.path} of {row.model_id}@{row.version_id}" for row in filed]
    return sorted(found)


def _among(
    transaction: Transaction, blobs: Collection[str], filed: sa.Select[tuple[str]]
) -> set[str]:
    found: set[str] = set()
    for needed in _needed(filed):
        (column,) = needed.selected_columns
        asked = needed.where(among(column, "blobs"))
        found.update(transaction.scalars(asked, {"blobs": list(blobs)}))
    return found


def _needed(filed: sa.Select[tuple[str]]) -> list[sa.Select[tuple[str]]]:
    """Return what selects the blobs of objects, and of the files that are selected."""
    needs = sa.or_(
        sa.exists().where(objects.c.sha256 == skeletons.c.sha256),
        filed.where(artifact_files.c.sha256 == skeletons.c.sha256).exists(),
    )
    return [
        sa.select(objects.c.sha256).where(~_divided(objects.c.sha256)),
        filed.where(~_divided(artifact_files.c.sha256)),
        sa.select(skeletons.c.skeleton.label("sha256")).where(
            skeletons.c.skeleton.is_not(None), needs
        ),
        sa.select(skeleton_pieces.c.piece.label("sha256"))
        .join(skeletons, skeletons.c.sha256 == skeleton_pieces.c.whole)
        .where(needs),
    ]


def _divided(sha256: sa.Column[str]) -> sa.Exists:
    """Return the condition that a file is there as its pieces alone."""
    return sa.exists().where(
        skeletons.c.sha256 == sha256,
        skeletons.c.skeleton.is_not(None),
        ~skeletons.c.rewritten,
    )
