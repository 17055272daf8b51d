"""Artifacts, the manifests of immutable files, as rows."""

import datetime as dt
from collections.abc import Collection
from typing import Final

import sqlalchemy as sa

from homeport.metadata.among import among
from homeport.metadata.database import Transaction
from homeport.metadata.tables import artifact_files, artifacts, model_versions
from homeport.resources.model import Artifact, ArtifactFile

_FILES: Final = sa.select(artifact_files).where(
    among(artifact_files.c.artifact_digest, "digests")
)


def put(transaction: Transaction, artifact: Artifact, now: dt.datetime) -> None:
    """Write an artifact; one that is there already is left as it is."""
    known = transaction.scalar(
        sa.select(artifacts.c.digest).where(artifacts.c.digest == artifact.digest)
    )
    if known is not None:
        return
    transaction.execute(
        artifacts.insert().values(digest=artifact.digest, create_time=now)
    )
    transaction.execute(
        artifact_files.insert(),
        [
            {
                "artifact_digest": artifact.digest,
                "path": file.path,
                "sha256": file.sha256,
                "size_bytes": file.size_bytes,
            }
            for file in artifact.files
        ],
    )


def get_all(transaction: Transaction, digests: Collection[str]) -> dict[str, Artifact]:
    """Return the artifacts of these digests, each by its own; all must be there."""
    if not digests:
        return {}
    rows = transaction.execute(_FILES, {"digests": list(digests)})
    files: dict[str, list[ArtifactFile]] = {digest: [] for digest in digests}
    for row in rows:
        files[row.artifact_digest].append(
            ArtifactFile(row.path, row.sha256, row.size_bytes)
        )
    return {
        digest: Artifact(digest, tuple(sorted(found)))
        for digest, found in files.items()
    }


def delete_unreferenced(transaction: Transaction) -> None:
    """Delete the artifacts that no version stands for; their blobs are swept later."""
    unused = sa.select(artifacts.c.digest).where(
        ~sa.exists().where(model_versions.c.artifact_digest == artifacts.c.digest)
    )
    digests = list(transaction.scalars(unused))
    for digest in digests:
        transaction.execute(
            artifact_files.delete().where(artifact_files.c.artifact_digest == digest)
        )
        transaction.execute(artifacts.delete().where(artifacts.c.digest == digest))
