"""Rows of every released shape go from any database to any other, and forward."""

import contextlib
import pathlib
import sqlite3
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from databases import KINDS, SQLITE, Databases
from derived import derived, kept
from homeport.errors import DataLossError, FailedPreconditionError
from homeport.metadata import columns, portable, tables
from homeport.metadata.database import Database, revision_of, revisions

OLD_ROWS = pathlib.Path(__file__).parents[2] / "formats" / "database_0001.sql"
Lines = dict[str, list[bytes]]


def _read(database: Database) -> Lines:
    with database.snapshot() as transaction:
        return {
            table.name: list(portable.read(transaction, table))
            for table in portable.tables(transaction)
        }


def _write(transaction: sa.Connection, rows: Lines) -> None:
    for table in portable.tables(transaction):
        portable.write(transaction, table, rows[table.name])


def _rows_of(lines: Lines) -> Lines:
    """Return what does not tell when it was upgraded."""
    return {name: rows for name, rows in lines.items() if name != "changes"}


@pytest.fixture
def oldest(tmp_path: pathlib.Path) -> Lines:
    """The rows of the first shape."""
    path = tmp_path / "oldest.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD_ROWS.read_text())
    database = Database(f"sqlite:///{path}")
    rows = _read(database)
    database.close()
    return rows


@pytest.fixture
def newest(oldest: Lines, tmp_path: pathlib.Path) -> Lines:
    """The same rows, upgraded at once, on SQLite."""
    database = Database(f"sqlite:///{tmp_path / 'newest.sqlite'}")
    with database.transaction() as transaction:
        database.shape(transaction, "0001")
        _write(transaction, oldest)
    database.upgrade()
    rows = _read(database)
    database.close()
    return rows


@pytest.fixture(params=KINDS)
def fresh(
    request: pytest.FixtureRequest, databases: Databases, tmp_path: pathlib.Path
) -> Iterator[Database]:
    """A database of each kind, without tables."""
    at_sqlite = f"sqlite:///{tmp_path / 'fresh.sqlite'}"
    url = at_sqlite if request.param == SQLITE else databases.create()
    database = Database(url)
    yield database
    database.close()


@pytest.mark.parametrize("revision", revisions())
def test_rows_of_each_released_shape_come_to_the_newest_on_either_database(
    revision: str,
    fresh: Database,
    oldest: Lines,
    newest: Lines,
    tmp_path: pathlib.Path,
) -> None:
    released = Database(f"sqlite:///{tmp_path / 'released.sqlite'}")
    with released.transaction() as transaction:
        released.shape(transaction, "0001")
        _write(transaction, oldest)
        released.shape(transaction, revision)
    with fresh.transaction() as transaction:
        fresh.shape(transaction, revision)
        for table in portable.tables(transaction):
            # What a migration has put there itself is in the rows as well.
            transaction.execute(table.delete())
        _write(transaction, _read(released))
    released.close()

    fresh.upgrade()

    assert _rows_of(_read(fresh)) == _rows_of(newest)
    assert len(_read(fresh)["changes"]) == len(newest["changes"])
    with fresh.snapshot() as transaction:
        assert revision_of(transaction) == revisions()[-1]
        assert kept(transaction) == derived(transaction) != {}


def test_a_migration_runs_alone_on_every_database(
    fresh: Database, oldest: Lines, newest: Lines
) -> None:
    with fresh.transaction() as transaction:
        fresh.shape(transaction, "0001")
        _write(transaction, oldest)

    for revision in revisions():
        with fresh.transaction() as transaction:
            fresh.shape(transaction, revision)

    assert _rows_of(_read(fresh)) == _rows_of(newest)


def test_every_column_is_of_a_type_that_all_databases_have() -> None:
    types = {
        type(column.type)
        for table in tables.metadata.sorted_tables
        for column in table.columns
    }

    assert types <= {
        sa.String,
        sa.Text,
        sa.Integer,
        sa.BigInteger,
        sa.Boolean,
        sa.JSON,
        columns.UtcTime,
    }


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="nothing"),
        pytest.param([b'["digest"]'], id="a column less"),
        pytest.param([b'["digest","create_time"]', b'["a"]'], id="a value less"),
        pytest.param([b'["digest","create_time"]', b"{"], id="no JSON"),
        pytest.param([b'{"digest": 1}'], id="no array"),
    ],
)
def test_lines_that_are_no_rows_are_refused(
    fresh: Database, lines: list[bytes]
) -> None:
    fresh.upgrade()

    with (
        pytest.raises(DataLossError, match="rows of artifacts"),
        fresh.transaction() as transaction,
    ):
        portable.write(transaction, tables.artifacts, lines)


def test_a_shape_that_nobody_knows_is_refused(fresh: Database) -> None:
    with (
        pytest.raises(FailedPreconditionError, match="newer Homeport"),
        fresh.transaction() as transaction,
    ):
        fresh.shape(transaction, "9999")
