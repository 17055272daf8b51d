"""Versions as the API shows them, each with its model's fields: one, or a page."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa

from homeport.metadata import artifact_rows, listing_sql, version_fields
from homeport.metadata.among import among
from homeport.metadata.database import Transaction
from homeport.metadata.tables import (
    deployed_models,
    model_labels,
    model_versions,
    models,
    version_aliases,
    version_labels,
)
from homeport.metadata.version_fields import same
from homeport.resources.endpoint import DeployState
from homeport.resources.listing import OrderBy
from homeport.resources.model import (
    Artifact,
    ContainerSpec,
    EnvironmentVariable,
    ModelVersion,
    PredictSchemata,
)
from homeport.resources.names import DEFAULT_ALIAS, EndpointName, ModelName, Parent
from homeport.resources.torchserve import TorchServeWords

# Statements are built once: building one takes longer than running it.
# In the order of `_Row`. JSON comes as its text: psycopg would parse every document,
# most of them empty.
_VERSIONS: Final = sa.select(
    model_versions.c.model_id,
    model_versions.c.version_id,
    models.c.display_name,
    models.c.description,
    model_versions.c.description,
    model_versions.c.artifact_uri,
    model_versions.c.artifact_digest,
    sa.cast(model_versions.c.container, sa.Text),
    sa.cast(model_versions.c.kept, sa.Text),
    models.c.create_time,
    models.c.update_time,
    model_versions.c.create_time,
    model_versions.c.update_time,
    models.c.etag,
    model_versions.c.copied_from,
    sa.cast(model_versions.c.torchserve, sa.Text),
    sa.cast(model_versions.c.schemata, sa.Text),
).join_from(model_versions, models, same(models, model_versions))
_OF_MODEL: Final = (
    models.c.project == sa.bindparam("project"),
    models.c.location == sa.bindparam("location"),
    models.c.model_id == sa.bindparam("model_id"),
)
_BY_ID: Final = _VERSIONS.where(
    *_OF_MODEL, model_versions.c.version_id == sa.bindparam("version_id")
)
_ALIASED: Final = _VERSIONS.join(
    version_aliases, same(version_aliases, model_versions, "version_id")
)
_BY_ALIAS: Final = _ALIASED.where(
    *_OF_MODEL, version_aliases.c.alias == sa.bindparam("alias")
)
_DEFAULTS: Final = _ALIASED.where(
    version_aliases.c.alias == DEFAULT_ALIAS,
    models.c.project == sa.bindparam("project"),
    models.c.location == sa.bindparam("location"),
    among(models.c.model_id, "keys"),
)
_BY_IDS: Final = _VERSIONS.where(*_OF_MODEL, among(model_versions.c.version_id, "keys"))


def _of_models(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(
        table.c.project == sa.bindparam("project"),
        table.c.location == sa.bindparam("location"),
        among(table.c.model_id, "model_ids"),
    )


# What versions have several of. A model's labels come before its versions', which
# lie over them, and with the version id 0, which no version has.
_EXTRAS: Final = sa.union_all(
    sa.select(
        sa.literal_column("0").label("part"),
        model_labels.c.model_id,
        sa.literal_column("0").label("version_id"),
        model_labels.c.key,
        model_labels.c.value,
    ).where(_of_models(model_labels)),
    sa.select(
        sa.literal_column("1"),
        version_labels.c.model_id,
        version_labels.c.version_id,
        version_labels.c.key,
        version_labels.c.value,
    ).where(
        _of_models(version_labels),
        among(version_labels.c.version_id, "version_ids"),
    ),
    sa.select(
        sa.literal_column("2"),
        version_aliases.c.model_id,
        version_aliases.c.version_id,
        version_aliases.c.alias,
        sa.cast(version_aliases.c.place, sa.String),
    ).where(
        _of_models(version_aliases),
        among(version_aliases.c.version_id, "version_ids"),
    ),
    sa.select(
        sa.literal_column("3"),
        deployed_models.c.model_id,
        deployed_models.c.version_id,
        deployed_models.c.id,
        # The endpoint's full name: it may be of another project.
        sa.literal_column("'projects/'")
        + deployed_models.c.project
        + sa.literal_column("'/locations/'")
        + deployed_models.c.location
        + sa.literal_column("'/endpoints/'")
        + deployed_models.c.endpoint_id,
    ).where(
        deployed_models.c.model_project == sa.bindparam("project"),
        deployed_models.c.model_location == sa.bindparam("location"),
        among(deployed_models.c.model_id, "model_ids"),
        among(deployed_models.c.version_id, "version_ids"),
        deployed_models.c.state != DeployState.DEPLOYING.value,
    ),
)
_LABELS_OF_MODEL, _LABELS_OF_VERSION, _ALIASES, _DEPLOYED = range(4)
_NO_EXTRAS: Final[tuple[dict[str, str], ...]] = ({}, {}, {}, {})
_EMPTY: Final = "{}"
_NO_WORDS: Final = TorchServeWords()
_TUPLES: Final = ("command", "args", "ports", "grpc_ports")


def get(transaction: Transaction, name: ModelName) -> ModelVersion | None:
    """Return the version with this id, None if there is none."""
    return _one(transaction, _BY_ID, name, version_id=int(name.version))


def get_aliased(
    transaction: Transaction, name: ModelName, alias: str
) -> ModelVersion | None:
    """Return the version of the model that carries `alias`, None if none does."""
    return _one(transaction, _BY_ALIAS, name, alias=alias)


def list_models(
    transaction: Transaction, parent: Parent, page: listing_sql.Page
) -> list[ModelVersion]:
    """Return one page of models, each as its default version."""
    keys = list(transaction.scalars(version_fields.models_page(parent, page)))
    found = _read(transaction, parent, _DEFAULTS, {**_place(parent), "keys": keys})
    by_key = {version.name.model: version for version in found}
    return [by_key[key] for key in keys]


def list_versions(
    transaction: Transaction, name: ModelName, page: listing_sql.Page
) -> list[ModelVersion]:
    """Return one page of a model's versions."""
    keys = list(transaction.scalars(version_fields.versions_page(name, page)))
    which = {**_place(name.parent), "model_id": name.model, "keys": keys}
    found = _read(transaction, name.parent, _BY_IDS, which)
    by_key = {int(version.name.version): version for version in found}
    return [by_key[key] for key in keys]


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


def _one(
    transaction: Transaction,
    statement: sa.Select[Any],
    name: ModelName,
    **which: str | int,
) -> ModelVersion | None:
    key = {**_place(name.parent), "model_id": name.model}
    found = _read(transaction, name.parent, statement, {**key, **which})
    return found[0] if found else None


def _place(parent: Parent) -> dict[str, str]:
    return {"project": parent.project, "location": parent.location}


class _Row(NamedTuple):
    """What `_VERSIONS` selects, by place: by name it takes several times as long."""

    model_id: str
    version_id: int
    display_name: str
    model_description: str
    description: str
    artifact_uri: str
    artifact_digest: str | None
    container: str | None
    kept: str
    model_create_time: dt.datetime
    model_update_time: dt.datetime
    create_time: dt.datetime
    update_time: dt.datetime
    etag: str
    copied_from: str
    torchserve: str
    schemata: str | None


def _read(
    transaction: Transaction,
    parent: Parent,
    statement: sa.Select[Any],
    parameters: Mapping[str, object],
) -> list[ModelVersion]:
    """Return the versions of a statement's rows, all of one parent, in few queries."""
    rows = [_Row(*row) for row in transaction.execute(statement, parameters)]
    if not rows:
        return []
    extras = _extras(transaction, parent, rows)
    digests = {row.artifact_digest for row in rows if row.artifact_digest}
    artifacts = artifact_rows.get_all(transaction, digests)
    return [_version(parent, row, extras, artifacts) for row in rows]


_Extras = Mapping[tuple[str, int], tuple[dict[str, str], ...]]


def _extras(transaction: Transaction, parent: Parent, rows: Sequence[_Row]) -> _Extras:
    """Return what models and versions have several of, by model and version."""
    found = transaction.execute(
        _EXTRAS,
        {
            "project": parent.project,
            "location": parent.location,
            "model_ids": sorted({row.model_id for row in rows}),
            "version_ids": sorted({row.version_id for row in rows}),
        },
    )
    extras: dict[tuple[str, int], tuple[dict[str, str], ...]] = {}
    for part, model_id, version_id, key, value in found:
        owner = (model_id, version_id)
        if owner not in extras:
            extras[owner] = ({}, {}, {}, {})
        extras[owner][part][key] = value
    return extras


def _version(
    parent: Parent, row: _Row, extras: _Extras, artifacts: Mapping[str, Artifact]
) -> ModelVersion:
    of_model = extras.get((row.model_id, 0), _NO_EXTRAS)
    own = extras.get((row.model_id, row.version_id), _NO_EXTRAS)
    return ModelVersion(
        name=ModelName(parent, row.model_id, str(row.version_id)),
        display_name=row.display_name,
        description=row.model_description,
        version_description=row.description,
        aliases=_in_place(own[_ALIASES]),
        # On a key that both levels have, the version's wins.
        labels={**of_model[_LABELS_OF_MODEL], **own[_LABELS_OF_VERSION]},
        artifact_uri=row.artifact_uri,
        artifact=artifacts[row.artifact_digest] if row.artifact_digest else None,
        container=_container(row.container),
        kept=_object(row.kept),
        create_time=row.model_create_time,
        update_time=row.model_update_time,
        version_create_time=row.create_time,
        version_update_time=row.update_time,
        etag=row.etag,
        deployed_models=tuple(
            (EndpointName.parse(endpoint), deployed_id)
            for deployed_id, endpoint in sorted(own[_DEPLOYED].items())
        ),
        copied_from=ModelName.parse(row.copied_from) if row.copied_from else None,
        torchserve=(
            _NO_WORDS
            if row.torchserve == _EMPTY
            else TorchServeWords(**orjson.loads(row.torchserve))
        ),
        schemata=_schemata(row.schemata),
    )


def _in_place(aliases: Mapping[str, str]) -> tuple[str, ...]:
    """Return aliases by the places they have."""
    return tuple(sorted(aliases, key=lambda alias: (int(aliases[alias]), alias)))


def _schemata(stored: str | None) -> PredictSchemata | None:
    fields = None if stored is None else orjson.loads(stored)
    if fields is None:
        return None
    return PredictSchemata(
        fields.get("instanceSchemaUri", ""),
        fields.get("parametersSchemaUri", ""),
        fields.get("predictionSchemaUri", ""),
    )


def _object(stored: str) -> dict[str, Any]:
    fields: dict[str, Any] = {} if stored == _EMPTY else orjson.loads(stored)
    return fields


def _container(stored: str | None) -> ContainerSpec | None:
    fields = None if stored is None else orjson.loads(stored)
    if fields is None:
        return None
    for name in _TUPLES:
        fields[name] = tuple(fields[name])
    fields["env"] = tuple(EnvironmentVariable(**pair) for pair in fields["env"])
    return ContainerSpec(**fields)
