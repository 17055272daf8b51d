"""Every row as a line of JSON, the same from every database and for every database.

A table is a text of lines: the names of its columns as a JSON array, then each row as
an array of their values, in the order of the primary key. A value is a string, a whole
number, true, false or null; what is JSON in the database is the string it is kept as.
This is a format: backups hold it.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson
import sqlalchemy as sa

from homeport.errors import DataLossError
from homeport.metadata.database import Transaction

# What concerns the servers that run and not what is registered, and what Alembic keeps.
_LEFT_OUT: Final = frozenset(
    {"alembic_version", "data_directories", "servers", "upload_sessions"}
)
_BATCH: Final = 500


def tables(transaction: Transaction) -> list[sa.Table]:
    """Return the tables as this database has them, those referred to before others."""
    shape = sa.MetaData()
    shape.reflect(transaction)
    return [table for table in shape.sorted_tables if table.name not in _LEFT_OUT]


def read(transaction: Transaction, table: sa.Table) -> Iterator[bytes]:
    """Yield a table line by line, without the line feeds.

    Args:
        transaction: Whose view of the rows is taken.
        table: One of `tables`.
    """
    yield orjson.dumps(table.columns.keys())
    columns = [
        sa.cast(column, sa.Text) if isinstance(column.type, sa.JSON) else column
        for column in table.columns
    ]
    query = sa.select(*columns).order_by(*table.primary_key)
    for batch in transaction.execute(query).partitions(_BATCH):
        for row in batch:
            yield orjson.dumps(list(row))


def write(transaction: Transaction, table: sa.Table, lines: Iterable[bytes]) -> int:
    """Write the rows that `read` yielded; return how many.

    Args:
        transaction: One that writes.
        table: One of `tables`, empty, of the same shape.
        lines: With or without line feeds.

    Raises:
        DataLossError: They are no rows of this table.
    """
    rest = iter(lines)
    names = _parsed(table, next(rest, b""))
    if sorted(map(str, names)) != sorted(table.columns.keys()):
        raise _not_rows(table)
    # Of no type: every database takes the values as they are.
    plain = sa.table(table.name, *map(sa.column, names))
    written = 0
    while batch := list(itertools.islice(rest, _BATCH)):
        rows = [_row(table, names, line) for line in batch]
        transaction.execute(plain.insert(), rows)
        written += len(rows)
    return written


def _row(table: sa.Table, names: list[Any], line: bytes) -> dict[str, Any]:
    values = _parsed(table, line)
    if len(values) != len(names):
        raise _not_rows(table)
    return dict(zip(names, values, strict=True))


def _parsed(table: sa.Table, line: bytes) -> list[Any]:
    try:
        found = orjson.loads(line)
    except ValueError as error:
        raise _not_rows(table) from error
    if not isinstance(found, list):
        raise _not_rows(table)
    return found


def _not_rows(table: sa.Table) -> DataLossError:
    return DataLossError(
        f"the backup's rows of {table.name} are not of the shape that it says: take "
        "another backup"
    )
