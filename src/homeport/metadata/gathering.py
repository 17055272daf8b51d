"""What a row has several of, as one JSON text beside it.

One statement then reads everything at one moment, and no second one has to find the
same rows again.
"""

from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_NOTHING: Final = "[]"


class _Gathered(FunctionElement[str]):
    """Of columns: all rows' values of them, as a list of lists."""

    type = sa.Text()
    inherit_cache = True


@compiles(_Gathered)
def _group(element: _Gathered, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  # SQLAlchemy's own
    columns = compiler.process(element.clauses, **options)
    return f"json_group_array(json_array({columns}))"


@compiles(_Gathered, "postgresql")
def _aggregate(element: _Gathered, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  # the same
    columns = compiler.process(element.clauses, **options)
    return f"CAST(json_agg(json_build_array({columns})) AS TEXT)"


def gathered(
    *columns: sa.ColumnElement[Any], where: sa.ColumnElement[bool]
) -> sa.ScalarSelect[str]:
    """Return the JSON text of the rows for which `where` is true, in no order.

    Args:
        columns: Of texts or whole numbers.
        where: Refers to the row beside which the text stands.
    """
    return sa.select(_Gathered(*columns)).where(where).scalar_subquery()


def rows(gathered_text: str | None) -> list[list[Any]]:
    """Return the rows of a gathered text, None for none."""
    # PostgreSQL gathers no row to NULL.
    if gathered_text is None or gathered_text == _NOTHING:
        return []
    found: list[list[Any]] = orjson.loads(gathered_text)
    return found


def text(found: list[list[Any]]) -> str:
    """Return the gathered text of rows, the same whatever database had them."""
    return orjson.dumps(sorted(found)).decode()
