"""`column IN (values)` for a list that is given when the statement runs.

PostgreSQL gets the list as one array: the statement's text stays the same, so that it
is prepared once. SQLite gets each value by itself: of a list in one parameter it would
not use an index.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Among(FunctionElement[bool]):
    """Of a column and the name of a parameter."""

    # Of a Boolean, SQLite would be asked whether it equals 1, and use no index.
    type = sa.types.NullType()  # type: ignore[assignment]
    inherit_cache = True


@compiles(_Among)
def _in_values(element: _Among, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  # SQLAlchemy's own
    column, name = element.clauses
    values: sa.BindParameter[Any] = sa.bindparam(str(name), expanding=True)
    return compiler.process(column.in_(values), **options)


@compiles(_Among, "postgresql")
def _in_array(element: _Among, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  # the same
    column, name = element.clauses
    member = sa.BigInteger() if isinstance(column.type, sa.Integer) else sa.String()
    values = sa.bindparam(str(name), type_=sa.ARRAY(member))
    array = sa.func.any(values)
    return compiler.process(column == array, **options)


def among(column: sa.ColumnElement[Any], parameter: str) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of the values of a parameter.

    Args:
        column: Of texts or whole numbers.
        parameter: Its name; a list is given for it.
    """
    return _Among(column, sa.literal_column(parameter))
