"""Models, their versions, aliases and labels, as rows."""

import dataclasses
import datetime as dt
from typing import Final

import sqlalchemy as sa

from homeport.metadata import keyed, model_keys, shown_rows
from homeport.metadata.database import Transaction
from homeport.metadata.tables import (
    model_versions,
    models,
    version_aliases,
    version_labels,
)
from homeport.resources.model import PredictSchemata, VersionSpec, next_etag
from homeport.resources.names import ModelName, Parent
from homeport.resources.torchserve import TorchServeWords

_LOCK: Final = sa.select(model_versions.c.lock).where(
    keyed.by(model_versions, *model_keys.VERSION)
)


def insert_model(
    transaction: Transaction, name: ModelName, spec: VersionSpec, now: dt.datetime
) -> None:
    """Write a model that has no version yet."""
    transaction.execute(
        models.insert().values(
            **model_keys.of(name.unversioned),
            display_name=spec.display_name,
            description=spec.description,
            next_version=1,
            etag="",
            create_time=now,
            update_time=now,
        )
    )


def insert_version(
    transaction: Transaction,
    name: ModelName,
    spec: VersionSpec,
    artifact_digest: str | None,
    now: dt.datetime,
) -> ModelName:
    """Write the next version of a model, its labels and its aliases; return its name.

    An alias that another version carried moves here.
    """
    version_id = transaction.execute(
        models.update()
        .where(of_model(models, name))
        .values(next_version=models.c.next_version + 1)
        .returning(models.c.next_version - 1)
    ).scalar_one()
    versioned = name.at(version_id)
    container = spec.container
    transaction.execute(
        model_versions.insert().values(
            **model_keys.of(versioned),
            description=spec.version_description,
            artifact_uri=spec.artifact_uri,
            artifact_digest=artifact_digest,
            container=None if container is None else dataclasses.asdict(container),
            kept=dict(spec.kept),
            schemata=_schemata(spec.schemata),
            create_time=now,
            update_time=now,
        )
    )
    for key, value in spec.labels.items():
        transaction.execute(
            version_labels.insert().values(
                **model_keys.of(versioned), key=key, value=value
            )
        )
    for alias in spec.aliases:
        set_alias(transaction, versioned, alias)
    shown_rows.derive(transaction, name)
    return versioned


def set_lock(transaction: Transaction, name: ModelName, lock: str) -> None:
    """Write the lock of a version that has none."""
    transaction.execute(
        model_versions.update()
        .where(
            of_model(model_versions, name),
            model_versions.c.version_id == int(name.version),
        )
        .values(lock=lock)
    )


def set_findings(
    transaction: Transaction,
    name: ModelName,
    words: TorchServeWords,
    lock: str,
    framework: str = "",
) -> None:
    """Write what was found in the archive of the version `name`.

    Args:
        transaction: The one that writes the version.
        name: With a version id.
        words: TorchServe's, that do not act yet.
        lock: Requirements text, "" for the server's own environment.
        framework: What its weights were saved with, "" where that cannot be told.
    """
    said = {
        word: value
        for word, value in dataclasses.asdict(words).items()
        if value is not None
    }
    transaction.execute(
        model_versions.update()
        .where(
            of_model(model_versions, name),
            model_versions.c.version_id == int(name.version),
        )
        .values(torchserve=said, lock=lock, framework=framework)
    )


def set_copied_from(
    transaction: Transaction, name: ModelName, source: ModelName
) -> None:
    """Write of which version the version `name` is a copy."""
    transaction.execute(
        model_versions.update()
        .where(
            of_model(model_versions, name),
            model_versions.c.version_id == int(name.version),
        )
        .values(copied_from=str(source))
    )


def get_lock(transaction: Transaction, name: ModelName) -> str:
    """Return the lock of the version with this id, "" for none."""
    lock: str | None = transaction.scalar(_LOCK, keyed.given(model_keys.of(name)))
    return lock or ""


def get_framework(transaction: Transaction, name: ModelName) -> str:
    """Return what the version with this id was saved with, "" if nobody can tell."""
    framework: str | None = transaction.scalar(
        sa.select(model_versions.c.framework).where(
            of_model(model_versions, name),
            model_versions.c.version_id == int(name.version),
        )
    )
    return framework or ""


def touch(
    transaction: Transaction,
    name: ModelName,
    tag: str,
    now: dt.datetime,
    *,
    updated: bool = False,
) -> None:
    """Note that something of the model changed: a new etag and update time.

    Args:
        transaction: Where.
        name: The model, or any version of it.
        tag: Never used before.
        now: The time of the write.
        updated: Whether it replaced fields that a patch can replace.
    """
    current = transaction.scalar(sa.select(models.c.etag).where(of_model(models, name)))
    etag = next_etag(current or "", tag, updated=updated)
    transaction.execute(
        models.update().where(of_model(models, name)).values(etag=etag, update_time=now)
    )
    shown_rows.derive(transaction, name)


def set_alias(transaction: Transaction, name: ModelName, alias: str) -> None:
    """Give the version `name` an alias, taking it from whoever carries it."""
    remove_alias(transaction, name, alias)
    last = sa.select(sa.func.coalesce(sa.func.max(version_aliases.c.place), 0)).where(
        of_model(version_aliases, name),
        version_aliases.c.version_id == int(name.version),
    )
    transaction.execute(
        version_aliases.insert().values(
            **model_keys.of(name), alias=alias, place=last.scalar_subquery() + 1
        )
    )


def remove_alias(transaction: Transaction, name: ModelName, alias: str) -> None:
    """Take an alias from whichever version of the model carries it."""
    transaction.execute(
        version_aliases.delete().where(
            of_model(version_aliases, name), version_aliases.c.alias == alias
        )
    )


def named(
    transaction: Transaction, parent: Parent, display_name: str, limit: int
) -> list[str]:
    """Return the ids of up to `limit` models of a display name, the oldest first."""
    return list(
        transaction.scalars(
            sa.select(models.c.model_id)
            .where(
                models.c.project == parent.project,
                models.c.location == parent.location,
                models.c.display_name == display_name,
            )
            .order_by(models.c.create_time, models.c.model_id)
            .limit(limit)
        )
    )


def carriers(transaction: Transaction, name: ModelName) -> dict[str, int]:
    """Return the aliases of a model, each with the id of the version that has it."""
    rows = transaction.execute(
        sa.select(version_aliases.c.alias, version_aliases.c.version_id).where(
            of_model(version_aliases, name)
        )
    )
    return {row.alias: row.version_id for row in rows}


def model_exists(transaction: Transaction, name: ModelName) -> bool:
    """Tell whether there is a model of this name, whatever its versions."""
    return transaction.scalar(sa.select(1).where(of_model(models, name))) is not None


def count_versions(transaction: Transaction, name: ModelName) -> int:
    """Return how many versions the model has."""
    return transaction.execute(
        sa.select(sa.func.count()).where(of_model(model_versions, name))
    ).scalar_one()


def version_ids(transaction: Transaction, name: ModelName) -> list[int]:
    """Return the ids of all versions of the model, oldest first."""
    return list(
        transaction.scalars(
            sa.select(model_versions.c.version_id)
            .where(of_model(model_versions, name))
            .order_by(model_versions.c.version_id)
        )
    )


def delete_version(transaction: Transaction, name: ModelName) -> None:
    """Delete one version with its aliases and labels."""
    transaction.execute(
        model_versions.delete().where(
            of_model(model_versions, name),
            model_versions.c.version_id == int(name.version),
        )
    )


def delete_model(transaction: Transaction, name: ModelName) -> None:
    """Delete a model with all its versions."""
    transaction.execute(models.delete().where(of_model(models, name)))


def of_model(table: sa.Table, name: ModelName) -> sa.ColumnElement[bool]:
    """Return the condition that a row of `table` belongs to the model."""
    return model_keys.matches(table, name.unversioned)


def _schemata(said: PredictSchemata | None) -> dict[str, str] | None:
    if said is None:
        return None
    return {
        "instanceSchemaUri": said.instance_schema_uri,
        "parametersSchemaUri": said.parameters_schema_uri,
        "predictionSchemaUri": said.prediction_schema_uri,
    }
