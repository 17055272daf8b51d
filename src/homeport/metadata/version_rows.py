"""Versions as the API shows them, each with its model's fields: one, or a page."""

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa

from homeport.metadata import gathering, listing_forms, listing_sql, version_fields
from homeport.metadata.database import Transaction
from homeport.metadata.gathering import gathered
from homeport.metadata.tables import (
    artifact_files,
    deployed_models,
    model_labels,
    model_versions,
    models,
    version_aliases,
    version_labels,
)
from homeport.metadata.version_fields import is_default, same
from homeport.resources.endpoint import DeployState
from homeport.resources.listing import OrderBy
from homeport.resources.model import (
    Artifact,
    ArtifactFile,
    ContainerSpec,
    EnvironmentVariable,
    ModelVersion,
    PredictSchemata,
)
from homeport.resources.names import DEFAULT_ALIAS, EndpointName, ModelName, Parent
from homeport.resources.torchserve import TorchServeWords

# Statements are built once where they can be: building one takes as long as running it.
# The columns are those of `_Row`, in its order.
_OF_MODEL: Final = (
    "model_id",
    "display_name",
    "description",
    "etag",
    "create_time",
    "update_time",
)
_OF_VERSION: Final = (
    model_versions.c.version_id,
    model_versions.c.description,
    model_versions.c.artifact_uri,
    model_versions.c.artifact_digest,
    # JSON comes as its text: psycopg would parse every document, most of them empty.
    sa.cast(model_versions.c.container, sa.Text),
    sa.cast(model_versions.c.kept, sa.Text),
    model_versions.c.create_time,
    model_versions.c.update_time,
    model_versions.c.copied_from,
    sa.cast(model_versions.c.torchserve, sa.Text),
    sa.cast(model_versions.c.schemata, sa.Text),
    gathered(
        deployed_models.c.id,
        deployed_models.c.project,
        deployed_models.c.location,
        deployed_models.c.endpoint_id,
        where=sa.and_(
            deployed_models.c.model_project == model_versions.c.project,
            deployed_models.c.model_location == model_versions.c.location,
            deployed_models.c.model_id == model_versions.c.model_id,
            deployed_models.c.version_id == model_versions.c.version_id,
            deployed_models.c.state != DeployState.DEPLOYING.value,
        ),
    ),
    gathered(
        artifact_files.c.path,
        artifact_files.c.sha256,
        artifact_files.c.size_bytes,
        where=artifact_files.c.artifact_digest == model_versions.c.artifact_digest,
    ),
)
# By another name: a query may have joined the table itself.
_CARRIED: Final = version_aliases.alias()
_VERSIONS: Final = (
    sa.select(
        *(models.c[name] for name in _OF_MODEL),
        *_OF_VERSION,
        gathered(
            _CARRIED.c.place,
            _CARRIED.c.alias,
            where=same(_CARRIED, model_versions, "version_id"),
        ),
        gathered(
            model_labels.c.key, model_labels.c.value, where=same(model_labels, models)
        ),
        gathered(
            version_labels.c.key,
            version_labels.c.value,
            where=same(version_labels, model_versions, "version_id"),
        ),
    )
    .join_from(model_versions, models, same(models, model_versions))
    .where(
        models.c.project == sa.bindparam("project"),
        models.c.location == sa.bindparam("location"),
        models.c.model_id == sa.bindparam("model_id"),
    )
)
_BY_ID: Final = _VERSIONS.where(
    model_versions.c.version_id == sa.bindparam("version_id")
)
_DEFAULT: Final = _VERSIONS.where(
    model_versions.c.version_id == models.c.default_version
)
_BY_ALIAS: Final = _VERSIONS.join(
    version_aliases, same(version_aliases, model_versions, "version_id")
).where(version_aliases.c.alias == sa.bindparam("alias"))
_EMPTY: Final = "{}"
_CONTAINERS: Final = 1024
_FORMS: Final = 64
_NO_WORDS: Final = TorchServeWords()
_TUPLES: Final = ("command", "args", "ports", "grpc_ports")


def get(transaction: Transaction, name: ModelName) -> ModelVersion | None:
    """Return the version with this id, None if there is none."""
    return _one(transaction, _BY_ID, name, version_id=int(name.version))


def get_aliased(
    transaction: Transaction, name: ModelName, alias: str
) -> ModelVersion | None:
    """Return the version of the model that carries `alias`, None if none does."""
    if alias == DEFAULT_ALIAS:
        return _one(transaction, _DEFAULT, name)
    return _one(transaction, _BY_ALIAS, name, alias=alias)


def list_models(
    transaction: Transaction, parent: Parent, page: listing_sql.Page
) -> list[ModelVersion]:
    """Return one page of models, each as its default version."""
    form, given = listing_forms.parted(page, version_fields.MODEL_FIELDS)
    place = {"project": parent.project, "location": parent.location}
    return _read(transaction, parent, _models(form), {**place, **given})


def list_versions(
    transaction: Transaction, name: ModelName, page: listing_sql.Page
) -> list[ModelVersion]:
    """Return one page of a model's versions."""
    form, given = listing_forms.parted(page, version_fields.VERSION_FIELDS)
    return _read(transaction, name.parent, _versions(form), {**_key(name), **given})


@functools.lru_cache(maxsize=_FORMS)
def _models(page: listing_sql.Page) -> sa.Select[Any]:
    found = version_fields.models_page(page).subquery()
    return (
        sa.select(
            *(found.c[name] for name in _OF_MODEL),
            *_OF_VERSION,
            found.c.shown_aliases,
            found.c.shown_labels,
            sa.null(),
        )
        .join_from(found, model_versions, is_default(found, model_versions))
        .order_by(*listing_sql.order(found, "model_id", page))
    )


@functools.lru_cache(maxsize=_FORMS)
def _versions(page: listing_sql.Page) -> sa.Select[Any]:
    found = version_fields.versions_page(page).subquery()
    return _VERSIONS.join(
        found, found.c.version_id == model_versions.c.version_id
    ).order_by(*listing_sql.order(found, "version_id", page))


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
    key = {**_key(name), **which}
    found = _read(transaction, name.parent, statement, key)
    return found[0] if found else None


def _key(name: ModelName) -> dict[str, str]:
    return {
        "project": name.parent.project,
        "location": name.parent.location,
        "model_id": name.model,
    }


class _Row(NamedTuple):
    """What statements here select, by place: by name it takes several times as long."""

    model_id: str
    display_name: str
    model_description: str
    etag: str
    model_create_time: dt.datetime
    model_update_time: dt.datetime
    version_id: int
    description: str
    artifact_uri: str
    artifact_digest: str | None
    container: str | None
    kept: str
    create_time: dt.datetime
    update_time: dt.datetime
    copied_from: str
    torchserve: str
    schemata: str | None
    # Each a `gathering`.
    deployed_models: str | None
    artifact_files: str | None
    aliases: str | None
    labels: str | None
    # What lies over them.
    version_labels: str | None


def _read(
    transaction: Transaction,
    parent: Parent,
    statement: sa.Select[Any],
    parameters: Mapping[str, object],
) -> list[ModelVersion]:
    """Return the versions of a statement's rows, all of one parent."""
    # All at once: one by one, fetching takes as long as what is made of them.
    rows = transaction.execute(statement, parameters).all()
    return [_version(parent, _Row(*row)) for row in rows]


def _version(parent: Parent, row: _Row) -> ModelVersion:
    return ModelVersion(
        name=ModelName(parent, row.model_id, str(row.version_id)),
        display_name=row.display_name,
        description=row.model_description,
        version_description=row.description,
        aliases=tuple(alias for _, alias in sorted(gathering.rows(row.aliases))),
        # On a key that both levels have, the version's wins.
        labels=dict(gathering.rows(row.labels) + gathering.rows(row.version_labels)),
        artifact_uri=row.artifact_uri,
        artifact=_artifact(row),
        container=_container(row.container),
        kept=_object(row.kept),
        create_time=row.model_create_time,
        update_time=row.model_update_time,
        version_create_time=row.create_time,
        version_update_time=row.update_time,
        etag=row.etag,
        deployed_models=tuple(
            (EndpointName(Parent(project, location), endpoint_id), deployed_id)
            for deployed_id, project, location, endpoint_id in sorted(
                gathering.rows(row.deployed_models)
            )
        ),
        copied_from=ModelName.parse(row.copied_from) if row.copied_from else None,
        torchserve=(
            _NO_WORDS
            if row.torchserve == _EMPTY
            else TorchServeWords(**orjson.loads(row.torchserve))
        ),
        schemata=_schemata(row.schemata),
    )


def _artifact(row: _Row) -> Artifact | None:
    if row.artifact_digest is None:
        return None
    files = (ArtifactFile(*file) for file in gathering.rows(row.artifact_files))
    return Artifact(row.artifact_digest, tuple(sorted(files)))


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


# Many versions are served alike; what is made of a text never changes.
@functools.lru_cache(maxsize=_CONTAINERS)
def _container(stored: str | None) -> ContainerSpec | None:
    fields = None if stored is None else orjson.loads(stored)
    if fields is None:
        return None
    for name in _TUPLES:
        fields[name] = tuple(fields[name])
    fields["env"] = tuple(EnvironmentVariable(**pair) for pair in fields["env"])
    return ContainerSpec(**fields)
