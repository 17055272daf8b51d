"""Artifacts, the manifests of immutable files, as rows."""

import datetime as dt

import sqlalchemy as sa

from homeport.metadata.database import Transaction
from homeport.metadata.tables import artifact_files, artifacts, model_versions
from homeport.resources.model import Artifact


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
