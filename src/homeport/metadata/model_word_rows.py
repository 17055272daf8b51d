"""What can be replaced of models and versions, as rows: names, descriptions, labels.

Each function works on one level: on the version if the name has one, else on the model.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from homeport.metadata import model_keys
from homeport.metadata.database import Transaction
from homeport.metadata.tables import (
    model_labels,
    model_versions,
    models,
    version_labels,
)
from homeport.resources.model import ModelPatch
from homeport.resources.names import ModelName


def update(
    transaction: Transaction, name: ModelName, patch: ModelPatch, now: dt.datetime
) -> None:
    """Write the names and descriptions of a patch that belong to this level."""
    if name.version:
        table, words = model_versions, {"description": patch.version_description}
    else:
        table = models
        words = {"display_name": patch.display_name, "description": patch.description}
    given = {column: text for column, text in words.items() if text is not None}
    transaction.execute(
        table.update()
        .where(model_keys.matches(table, name))
        .values(**given, update_time=now)
    )


def words(transaction: Transaction, name: ModelName) -> dict[str, Any] | None:
    """Return all of this level that can be replaced, in wire JSON; None if gone."""
    table = model_versions if name.version else models
    row = transaction.execute(
        sa.select(table).where(model_keys.matches(table, name))
    ).one_or_none()
    if row is None:
        return None
    if name.version:
        told = {"versionDescription": row.description}
    else:
        told = {"displayName": row.display_name, "description": row.description}
    return {**told, "labels": own_labels(transaction, name)}


def own_labels(transaction: Transaction, name: ModelName) -> dict[str, str]:
    """Return the labels of this level alone."""
    table = version_labels if name.version else model_labels
    rows = transaction.execute(
        sa.select(table.c.key, table.c.value).where(model_keys.matches(table, name))
    )
    return {row.key: row.value for row in rows}


def replace_labels(
    transaction: Transaction, name: ModelName, labels: Mapping[str, str]
) -> None:
    """Write the labels of this level in place of those it has."""
    table = version_labels if name.version else model_labels
    transaction.execute(table.delete().where(model_keys.matches(table, name)))
    for key, value in labels.items():
        transaction.execute(
            table.insert().values(**model_keys.of(name), key=key, value=value)
        )
