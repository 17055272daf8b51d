"""The keys by which rows belong to a model or to one of its versions."""

from typing import Final

import sqlalchemy as sa

from homeport.resources.names import ModelName

VERSION: Final = ("project", "location", "model_id", "version_id")
"""The columns of a version's key."""


def of(name: ModelName) -> dict[str, str | int]:
    """Return a model's key, by column; a version's if the name has one."""
    key: dict[str, str | int] = {
        "project": name.parent.project,
        "location": name.parent.location,
        "model_id": name.model,
    }
    return {**key, "version_id": int(name.version)} if name.version else key


def matches(table: sa.Table, name: ModelName) -> sa.ColumnElement[bool]:
    """Return the condition that a row of `table` is of that model or version."""
    return sa.and_(*(table.c[key] == value for key, value in of(name).items()))
