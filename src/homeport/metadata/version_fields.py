"""What models and versions can be found by, and which of them a page has.

A list of models shows each as its default version, and its fields are what is shown.
An alias is the model's: it is found whichever version carries it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from homeport.metadata import listing_sql
from homeport.metadata.listing_sql import Page, Seek
from homeport.metadata.tables import (
    model_labels,
    model_versions,
    models,
    shown_labels,
    version_aliases,
    version_checks,
    version_labels,
    version_lineage,
)
from homeport.resources.listing import Operator, Restriction, restrictions

_UNCHECKED: Final = "unchecked"
# Where Model.base_model_source has a name.
_BASE_MODEL: Final = ("base_model_source", "modelGardenSource", "publicModelName")


def same(
    one: sa.FromClause, other: sa.FromClause, *columns: str
) -> sa.ColumnElement[bool]:
    """Return the condition that two rows are of one model, and equal in `columns`."""
    names = ("project", "location", "model_id", *columns)
    return sa.and_(*(one.c[name] == other.c[name] for name in names))


def is_default(model: sa.FromClause, version: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition that a row of versions is the default one of a model's."""
    return sa.and_(
        same(model, version), model.c.default_version == version.c.version_id
    )


def _state() -> sa.ColumnElement[str]:
    checked = (
        sa.select(version_checks.c.state)
        .where(same(version_checks, model_versions, "version_id"))
        .scalar_subquery()
    )
    return sa.func.coalesce(checked, sa.literal(_UNCHECKED), type_=sa.String())


def _own_label(key: str) -> sa.ScalarSelect[str]:
    return (
        sa.select(version_labels.c.value)
        .where(
            same(version_labels, model_versions, "version_id"),
            version_labels.c.key == key,
        )
        .scalar_subquery()
    )


def _lineage(key: str) -> sa.ScalarSelect[str]:
    return (
        sa.select(version_lineage.c.value)
        .where(
            same(version_lineage, model_versions, "version_id"),
            version_lineage.c.key == key,
        )
        .scalar_subquery()
    )


def _shown_label(key: str) -> sa.ScalarSelect[str]:
    return (
        sa.select(shown_labels.c.value)
        .where(same(shown_labels, models), shown_labels.c.key == key)
        .scalar_subquery()
    )


def _merged_label(key: str) -> sa.ColumnElement[Any]:
    inherited = sa.select(model_labels.c.value).where(
        same(model_labels, models), model_labels.c.key == key
    )
    # On a key that both levels have, the version's wins.
    return sa.func.coalesce(_own_label(key), inherited.scalar_subquery())


def _aliases_of(
    owner: sa.Table, *columns: str
) -> Callable[
    [Callable[[sa.ColumnElement[Any]], sa.ColumnElement[bool]]], sa.ColumnElement[bool]
]:
    def having(
        matches: Callable[[sa.ColumnElement[Any]], sa.ColumnElement[bool]],
    ) -> sa.ColumnElement[bool]:
        # By another name: the query may have joined the table for the default.
        carried = version_aliases.alias()
        return sa.exists().where(
            same(carried, owner, *columns), matches(carried.c.alias)
        )

    return having


_RANGE: Final = frozenset(Operator) - {Operator.NOT_EQUAL, Operator.HAS}


def _seek(one: Restriction) -> Seek | None:
    if one.field[0] in {"create_time", "update_time"} and one.operator in _RANGE:
        # Not the column itself, whose index would seem to save the sorting.
        return Seek(models.c.model_id.concat(""))
    if one.field == ("version_aliases",) and one.operator is Operator.HAS:
        return None if "*" in one.value else _among(_CARRIED, alias=one.value)
    if one.field[0] == "labels":
        return _seek_label(one, ".".join(one.field[1:]))
    if one.field[0] == "lineage":
        return _seek_lineage(one, ".".join(one.field[1:]))
    return None


def _seek_lineage(one: Restriction, key: str) -> Seek | None:
    if one.operator not in {Operator.EQUAL, Operator.HAS} or not key:
        return None
    if "*" in one.value:
        return None
    found = version_lineage.alias()
    on = sa.and_(
        same(found, model_versions, "version_id"),
        found.c.key == key,
        found.c.value == one.value,
    )
    return Seek(found.c.model_id, found, on)


def _seek_label(one: Restriction, key: str) -> Seek | None:
    if one.operator is Operator.HAS and not key:
        return _among(_SHOWN, key=one.value)
    if one.operator is Operator.HAS and one.value == "*":
        return _among(_SHOWN, key=key)
    if one.operator in {Operator.EQUAL, Operator.HAS} and key and "*" not in one.value:
        return _among(_SHOWN, key=key, value=one.value)
    return None


# By other names: a query may have joined the tables themselves.
_CARRIED: Final = version_aliases.alias()
_SHOWN: Final = shown_labels.alias()
_JOINS: Final[Mapping[sa.FromClause, sa.ColumnElement[bool]]] = {
    found: same(found, models) for found in (_CARRIED, _SHOWN)
}


def _among(found: sa.FromClause, **wanted: str) -> Seek:
    equal = (found.c[name] == text for name, text in wanted.items())
    return Seek(found.c.model_id, found, sa.and_(_JOINS[found], *equal))


_OF_VERSION: Final = {
    "version_id": model_versions.c.version_id,
    "version_description": model_versions.c.description,
    "artifact_uri": model_versions.c.artifact_uri,
    "digest": model_versions.c.artifact_digest,
    "framework": model_versions.c.framework,
    "base_model_name": model_versions.c.kept[_BASE_MODEL].as_string(),
    "check_state": _state(),
    "version_create_time": model_versions.c.create_time,
    "version_update_time": model_versions.c.update_time,
}
_OF_MODEL: Final = {
    "model": models.c.model_id,
    "display_name": models.c.display_name,
    "description": models.c.description,
}
# Those that are read from the version.
_VERSIONED: Final = frozenset({*_OF_VERSION, "version_labels", "lineage"})

MODEL_FIELDS: Final = listing_sql.Fields(
    columns={
        **_OF_MODEL,
        "create_time": models.c.create_time,
        "update_time": models.c.update_time,
        **_OF_VERSION,
    },
    maps={
        "labels": _shown_label,
        "version_labels": _own_label,
        "lineage": _lineage,
    },
    lists={"version_aliases": _aliases_of(models)},
    searched=(models.c.model_id, models.c.display_name, models.c.description),
    key=models.c.model_id,
    narrow=frozenset({"model", "display_name", "digest"}),
    seek=_seek,
)
VERSION_FIELDS: Final = listing_sql.Fields(
    columns={
        **_OF_MODEL,
        **_OF_VERSION,
        "create_time": model_versions.c.create_time,
        "update_time": model_versions.c.update_time,
    },
    maps={
        "labels": _merged_label,
        "version_labels": _own_label,
        "lineage": _lineage,
    },
    lists={"version_aliases": _aliases_of(model_versions, "version_id")},
    searched=(model_versions.c.description,),
    key=model_versions.c.version_id,
)


def models_page(page: Page) -> sa.Select[Any]:
    """Return the query for the rows of `models` that one page shows.

    Its parameters are `project` and `location`, and those of the page.

    Raises:
        InvalidArgumentError: A filter on an unknown field, or on what one cannot be.
    """
    query = sa.select(models)
    if page.filter is not None and any(
        one.field and one.field[0] in _VERSIONED for one in restrictions(page.filter)
    ):
        query = query.join(model_versions, is_default(models, model_versions))
    query = query.where(
        models.c.project == sa.bindparam("project"),
        models.c.location == sa.bindparam("location"),
    )
    return listing_sql.paged(query, MODEL_FIELDS, page)


def versions_page(page: Page) -> sa.Select[Any]:
    """Return the query for the ids and times of the versions that one page shows.

    Its parameters are `project`, `location` and `model_id`, and those of the page.

    Raises:
        InvalidArgumentError: A filter on an unknown field, or on what one cannot be.
    """
    query = (
        sa.select(
            model_versions.c.version_id,
            model_versions.c.create_time,
            model_versions.c.update_time,
        )
        .join(models, same(models, model_versions))
        .where(
            models.c.project == sa.bindparam("project"),
            models.c.location == sa.bindparam("location"),
            models.c.model_id == sa.bindparam("model_id"),
        )
    )
    return listing_sql.paged(query, VERSION_FIELDS, page)
