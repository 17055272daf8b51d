"""Migrations lead to the declared tables; a transaction is all or nothing."""

import concurrent.futures
import contextlib
import pathlib
import sqlite3
import threading
from collections.abc import Iterator

import alembic.autogenerate
import alembic.migration
import pytest
import sqlalchemy as sa

from homeport.errors import FailedPreconditionError
from homeport.metadata import (
    check_rows,
    endpoint_rows,
    model_rows,
    tables,
    version_rows,
)
from homeport.metadata.database import Database, DatabaseUnavailableError
from homeport.resources.names import ModelName, Parent
from homeport.resources.torchserve import TorchServeWords
from rooms import T0, Rooms

FORMATS = pathlib.Path(__file__).parents[2] / "formats"
OLD_ROWS = FORMATS / "database_0001.sql"


@pytest.fixture
def database(tmp_path: pathlib.Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'rows.sqlite'}")
    yield opened
    opened.close()


def _add_artifact(transaction: sa.Connection, digest: str) -> None:
    transaction.execute(tables.artifacts.insert().values(digest=digest, create_time=T0))


def _digests(transaction: sa.Connection) -> list[str]:
    return list(transaction.scalars(sa.select(tables.artifacts.c.digest)))


def test_the_migrations_give_exactly_the_declared_tables(database: Database) -> None:
    database.upgrade()

    with database.snapshot() as connection:
        context = alembic.migration.MigrationContext.configure(connection)
        assert alembic.autogenerate.compare_metadata(context, tables.metadata) == []
        assert set(sa.inspect(connection).get_table_names()) == {
            *tables.metadata.tables,
            "alembic_version",
        }


def test_versions_of_an_older_homeport_are_kept_and_unchecked(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "rows.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD_ROWS.read_text())

    database = Database(f"sqlite:///{path}")
    database.upgrade()

    name = ModelName(Parent("p", "us-central1"), "m", "2")
    with database.snapshot() as transaction:
        version = version_rows.get(transaction, name)
        assert version is not None
        assert version.aliases == ("golden",)
        assert version.labels == {"team": "a", "stage": "new"}
        assert version.artifact is not None
        assert [file.path for file in version.artifact.files] == ["model.mar"]
        assert version.torchserve == TorchServeWords()
        assert model_rows.get_lock(transaction, name) == ""
        assert check_rows.get(transaction, name) is None
        assert model_rows.count_versions(transaction, name) == 2
        (deployment,) = endpoint_rows.deployments(transaction)
        assert deployment.deployed_model.version == name
    database.close()


def test_upgrading_again_changes_nothing(database: Database) -> None:
    database.upgrade()
    with database.transaction() as transaction:
        _add_artifact(transaction, "a")

    database.upgrade()

    with database.snapshot() as transaction:
        assert _digests(transaction) == ["a"]


def test_a_database_of_a_newer_homeport_is_refused_and_left_alone(
    database: Database,
) -> None:
    database.upgrade()
    with database.transaction() as transaction:
        transaction.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(FailedPreconditionError, match="newer Homeport"):
        database.upgrade()

    with database.snapshot() as transaction:
        version = transaction.scalar(sa.text("SELECT version_num FROM alembic_version"))
        assert version == "9999"


def test_a_migration_that_fails_leaves_nothing_behind(
    database: Database, tmp_path: pathlib.Path
) -> None:
    connection = sqlite3.connect(tmp_path / "rows.sqlite")
    connection.execute("CREATE TABLE operations (stray)")
    connection.commit()
    connection.close()

    with pytest.raises(sa.exc.OperationalError):
        database.upgrade()

    with database.snapshot() as transaction:
        assert sa.inspect(transaction).get_table_names() == ["operations"]


def test_a_raise_undoes_the_transaction(rooms: Rooms) -> None:
    def add_and_raise() -> None:
        with rooms.database.transaction() as transaction:
            _add_artifact(transaction, "a")
            raise KeyError

    with pytest.raises(KeyError):
        add_and_raise()

    with rooms.database.snapshot() as transaction:
        assert _digests(transaction) == []


def test_a_snapshot_sees_nothing_of_what_is_written_after_its_first_read(
    rooms: Rooms,
) -> None:
    with rooms.database.snapshot() as before:
        assert _digests(before) == []
        with rooms.database.transaction() as transaction:
            _add_artifact(transaction, "a")

        assert _digests(before) == []
    with rooms.database.snapshot() as after:
        assert _digests(after) == ["a"]


def test_a_snapshot_does_not_wait_for_a_writer(rooms: Rooms) -> None:
    with rooms.database.transaction() as transaction:
        _add_artifact(transaction, "a")

        with rooms.database.snapshot() as beside:
            assert _digests(beside) == []


def test_what_a_transaction_read_is_still_true_when_it_writes(rooms: Rooms) -> None:
    def add_next() -> None:
        for _ in range(5):
            with rooms.database.transaction() as transaction:
                _add_artifact(transaction, str(len(_digests(transaction))))

    threads = [threading.Thread(target=add_next) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with rooms.database.snapshot() as transaction:
        assert sorted(map(int, _digests(transaction))) == list(range(20))


def test_a_writer_waits_its_turn_however_long_sqlite_would(
    tmp_path: pathlib.Path,
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'rows.sqlite'}", busy_timeout_s=0.01)
    database.upgrade()

    def add() -> None:
        with database.transaction() as transaction:
            _add_artifact(transaction, "a")

    thread = threading.Thread(target=add)
    with database.transaction():
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join()

    with database.snapshot() as transaction:
        assert _digests(transaction) == ["a"]
    database.close()


def test_what_another_process_has_locked_is_unavailable(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "rows.sqlite"
    database = Database(f"sqlite:///{path}", busy_timeout_s=0.01)
    database.upgrade()

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with (
            pytest.raises(DatabaseUnavailableError, match="locked"),
            database.transaction(),
        ):
            pass
    with database.transaction() as transaction:
        _add_artifact(transaction, "a")
    database.close()


def test_as_many_threads_as_come_can_read_at_once(rooms: Rooms) -> None:
    together = threading.Barrier(40)

    def read() -> None:
        with rooms.database.snapshot() as transaction:
            assert _digests(transaction) == []
            together.wait(10.0)

    with concurrent.futures.ThreadPoolExecutor(40) as threads:
        for reading in [threads.submit(read) for _ in range(40)]:
            reading.result()


def test_references_between_rows_are_enforced(rooms: Rooms) -> None:
    row = {"artifact_digest": "missing", "path": "f", "sha256": "0", "size_bytes": 1}

    with (
        pytest.raises(sa.exc.IntegrityError),
        rooms.database.transaction() as transaction,
    ):
        transaction.execute(tables.artifact_files.insert().values(**row))
