"""Models, their versions, aliases and labels, as rows."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from homeport.metadata import artifact_rows, listing_sql
from homeport.metadata.database import Transaction
from homeport.metadata.tables import (
    model_labels,
    model_versions,
    models,
    version_aliases,
    version_labels,
)
from homeport.resources.listing import OrderBy
from homeport.resources.model import (
    ContainerSpec,
    EnvironmentVariable,
    ModelVersion,
    VersionSpec,
)
from homeport.resources.names import DEFAULT_ALIAS, ModelName, Parent

MODEL_FIELDS: Final = listing_sql.Fields(
    columns={
        "model": models.c.model_id,
        "display_name": models.c.display_name,
        "create_time": models.c.create_time,
        "update_time": models.c.update_time,
    },
    labels=lambda key: _merged_label(key),  # noqa: PLW0108  # defined below
    key=models.c.model_id,
)
VERSION_FIELDS: Final = listing_sql.Fields(
    columns={
        "version_id": model_versions.c.version_id,
        "create_time": model_versions.c.create_time,
        "update_time": model_versions.c.update_time,
    },
    labels=lambda key: _merged_label(key),  # noqa: PLW0108  # defined below
    key=model_versions.c.version_id,
)


def insert_model(
    transaction: Transaction, name: ModelName, spec: VersionSpec, now: dt.datetime
) -> None:
    """Write a model that has no version yet."""
    transaction.execute(
        models.insert().values(
            **_key(name),
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
        .where(_is(models, name))
        .values(next_version=models.c.next_version + 1)
        .returning(models.c.next_version - 1)
    ).scalar_one()
    versioned = name.at(version_id)
    container = spec.container
    transaction.execute(
        model_versions.insert().values(
            **_version_key(versioned),
            description=spec.version_description,
            artifact_uri=spec.artifact_uri,
            artifact_digest=artifact_digest,
            container=None if container is None else dataclasses.asdict(container),
            kept=dict(spec.kept),
            create_time=now,
            update_time=now,
        )
    )
    for key, value in spec.labels.items():
        transaction.execute(
            version_labels.insert().values(
                **_version_key(versioned), key=key, value=value
            )
        )
    for alias in spec.aliases:
        set_alias(transaction, versioned, alias)
    return versioned


def touch(
    transaction: Transaction, name: ModelName, etag: str, now: dt.datetime
) -> None:
    """Give the model a new etag and update time."""
    transaction.execute(
        models.update().where(_is(models, name)).values(etag=etag, update_time=now)
    )


def set_alias(transaction: Transaction, name: ModelName, alias: str) -> None:
    """Give the version `name` an alias, taking it from whoever carries it."""
    remove_alias(transaction, name, alias)
    transaction.execute(
        version_aliases.insert().values(**_version_key(name), alias=alias)
    )


def remove_alias(transaction: Transaction, name: ModelName, alias: str) -> None:
    """Take an alias from whichever version of the model carries it."""
    transaction.execute(
        version_aliases.delete().where(
            _is(version_aliases, name), version_aliases.c.alias == alias
        )
    )


def model_exists(transaction: Transaction, name: ModelName) -> bool:
    """Tell whether there is a model of this name, whatever its versions."""
    return transaction.scalar(sa.select(1).where(_is(models, name))) is not None


def resolve_alias(
    transaction: Transaction, name: ModelName, alias: str
) -> ModelName | None:
    """Return the version of the model that carries `alias`, None if none does."""
    version_id = transaction.scalar(
        sa.select(version_aliases.c.version_id).where(
            _is(version_aliases, name), version_aliases.c.alias == alias
        )
    )
    return None if version_id is None else name.at(version_id)


def get_version(transaction: Transaction, name: ModelName) -> ModelVersion | None:
    """Return the version with this id, None if there is none."""
    found = _read(
        transaction,
        _versions().where(
            _is(model_versions, name),
            model_versions.c.version_id == int(name.version),
        ),
    )
    return found[0] if found else None


def list_models(
    transaction: Transaction, parent: Parent, page: listing_sql.Page
) -> list[ModelVersion]:
    """Return one page of models, each as its default version."""
    default = sa.and_(
        *(
            version_aliases.c[column] == model_versions.c[column]
            for column in ("project", "location", "model_id", "version_id")
        ),
        version_aliases.c.alias == DEFAULT_ALIAS,
    )
    query = (
        _versions()
        .join(version_aliases, default)
        .where(models.c.project == parent.project, models.c.location == parent.location)
    )
    return _read(transaction, listing_sql.paged(query, MODEL_FIELDS, page))


def list_versions(
    transaction: Transaction, name: ModelName, page: listing_sql.Page
) -> list[ModelVersion]:
    """Return one page of a model's versions."""
    query = _versions().where(_is(model_versions, name))
    return _read(transaction, listing_sql.paged(query, VERSION_FIELDS, page))


def model_position(
    version: ModelVersion, order_by: Sequence[OrderBy]
) -> tuple[str | int, ...]:
    """Return where a model stands in a listing, for the page token after it."""
    values: dict[str, str | dt.datetime] = {
        "display_name": version.display_name,
        "create_time": version.create_time,
        "update_time": version.update_time,
    }
    return listing_sql.position(values, order_by, version.name.model)


def version_position(
    version: ModelVersion, order_by: Sequence[OrderBy]
) -> tuple[str | int, ...]:
    """Return where a version stands in a listing, for the page token after it."""
    values = {
        "create_time": version.version_create_time,
        "update_time": version.version_update_time,
    }
    return listing_sql.position(values, order_by, int(version.name.version))


def count_versions(transaction: Transaction, name: ModelName) -> int:
    """Return how many versions the model has."""
    return transaction.execute(
        sa.select(sa.func.count()).where(_is(model_versions, name))
    ).scalar_one()


def delete_version(transaction: Transaction, name: ModelName) -> None:
    """Delete one version with its aliases and labels."""
    transaction.execute(
        model_versions.delete().where(
            _is(model_versions, name),
            model_versions.c.version_id == int(name.version),
        )
    )


def delete_model(transaction: Transaction, name: ModelName) -> None:
    """Delete a model with all its versions."""
    transaction.execute(models.delete().where(_is(models, name)))


def _versions() -> sa.Select[Any]:
    same_model = sa.and_(
        *(
            models.c[column] == model_versions.c[column]
            for column in ("project", "location", "model_id")
        )
    )
    return sa.select(
        model_versions,
        models.c.display_name,
        models.c.description.label("model_description"),
        models.c.etag,
        models.c.create_time.label("model_create_time"),
        models.c.update_time.label("model_update_time"),
    ).join_from(model_versions, models, same_model)


def _read(transaction: Transaction, query: sa.Select[Any]) -> list[ModelVersion]:
    rows = transaction.execute(query).all()
    return [_to_version(transaction, row) for row in rows]


def _to_version(transaction: Transaction, row: sa.Row[Any]) -> ModelVersion:
    name = ModelName(
        Parent(row.project, row.location), row.model_id, str(row.version_id)
    )
    artifact = (
        artifact_rows.get(transaction, row.artifact_digest)
        if row.artifact_digest
        else None
    )
    return ModelVersion(
        name=name,
        display_name=row.display_name,
        description=row.model_description,
        version_description=row.description,
        aliases=_aliases(transaction, name),
        labels=_labels(transaction, name),
        artifact_uri=row.artifact_uri,
        artifact=artifact,
        container=None if row.container is None else _to_container(row.container),
        kept=row.kept,
        create_time=row.model_create_time,
        update_time=row.model_update_time,
        version_create_time=row.create_time,
        version_update_time=row.update_time,
        etag=row.etag,
    )


def _aliases(transaction: Transaction, name: ModelName) -> tuple[str, ...]:
    rows = transaction.scalars(
        sa.select(version_aliases.c.alias)
        .where(
            _is(version_aliases, name),
            version_aliases.c.version_id == int(name.version),
        )
        .order_by(version_aliases.c.alias)
    )
    return tuple(rows)


def _labels(transaction: Transaction, name: ModelName) -> Mapping[str, str]:
    of_model = transaction.execute(
        sa.select(model_labels.c.key, model_labels.c.value).where(
            _is(model_labels, name)
        )
    )
    of_version = transaction.execute(
        sa.select(version_labels.c.key, version_labels.c.value).where(
            _is(version_labels, name),
            version_labels.c.version_id == int(name.version),
        )
    )
    # On a key that both levels have, the version's wins.
    return {row.key: row.value for row in [*of_model, *of_version]}


def _merged_label(key: str) -> sa.ColumnElement[Any]:
    own = sa.select(version_labels.c.value).where(
        *(
            version_labels.c[column] == model_versions.c[column]
            for column in ("project", "location", "model_id", "version_id")
        ),
        version_labels.c.key == key,
    )
    inherited = sa.select(model_labels.c.value).where(
        *(
            model_labels.c[column] == model_versions.c[column]
            for column in ("project", "location", "model_id")
        ),
        model_labels.c.key == key,
    )
    # Directly in the query whose rows they look at: in a select of their own they
    # would look at all versions there are.
    return sa.func.coalesce(own.scalar_subquery(), inherited.scalar_subquery())


def _to_container(stored: Mapping[str, Any]) -> ContainerSpec:
    tuples = ("command", "args", "ports", "grpc_ports")
    return ContainerSpec(
        **{
            **stored,
            **{field: tuple(stored[field]) for field in tuples},
            "env": tuple(EnvironmentVariable(**pair) for pair in stored["env"]),
        }
    )


def _key(name: ModelName) -> dict[str, str]:
    return {
        "project": name.parent.project,
        "location": name.parent.location,
        "model_id": name.model,
    }


def _version_key(name: ModelName) -> dict[str, str | int]:
    return {**_key(name), "version_id": int(name.version)}


def _is(table: sa.Table, name: ModelName) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[key] == value for key, value in _key(name).items()))
