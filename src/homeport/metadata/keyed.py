"""Conditions on a key that is given when the statement runs.

So the statement is built once: building one takes longer than running it.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

# A parameter of an UPDATE or INSERT must not be called as a column that it could set.
_PREFIX = "of_"


def by(table: sa.FromClause, *columns: str) -> sa.ColumnElement[bool]:
    """Return the condition that these columns of a row are as `given` says."""
    return sa.and_(
        *(table.c[column] == sa.bindparam(_PREFIX + column) for column in columns)
    )


def given(key: Mapping[str, str | int]) -> dict[str, Any]:
    """Return the parameters of a statement whose condition is `by` these columns."""
    return {_PREFIX + column: value for column, value in key.items()}
