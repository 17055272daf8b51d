"""Migrations lead to the declared tables; a transaction is all or nothing."""

import concurrent.futures
import contextlib
import datetime as dt
import pathlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator

import alembic.autogenerate
import alembic.migration
import alembic.script
import pytest
import sqlalchemy as sa

from databases import KINDS, POSTGRESQL, SQLITE, Databases
from homeport import metadata
from homeport.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    UnavailableError,
)
from homeport.metadata import (
    change_rows,
    check_rows,
    endpoint_rows,
    listing_sql,
    model_rows,
    tables,
    version_rows,
)
from homeport.metadata.database import (
    Database,
    DatabaseUnavailableError,
    revision_of,
    revisions,
)
from homeport.resources.change import ChangeAction, ChangeKind, Subject
from homeport.resources.model import PredictSchemata
from homeport.resources.names import ModelName, Parent
from homeport.resources.torchserve import TorchServeWords
from rooms import T0, Rooms

FORMATS = pathlib.Path(__file__).parents[2] / "formats"
OLD_ROWS = FORMATS / "database_0001.sql"
MIGRATIONS = pathlib.Path(metadata.__file__).parent / "migrations"


PLACE = {"project": "p", "location": "us-central1"}


@pytest.fixture(params=KINDS)
def url(
    request: pytest.FixtureRequest, databases: Databases, tmp_path: pathlib.Path
) -> str:
    """A database of each kind, without tables."""
    if request.param == SQLITE:
        return f"sqlite:///{tmp_path / 'rows.sqlite'}"
    return databases.create()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@contextlib.contextmanager
def _another_process(url: str) -> Iterator[Database]:
    other = Database(url)
    yield other
    other.close()


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
        now = dt.datetime.now(dt.UTC)
        golden = Subject(name.parent, "models/m", ChangeKind.ALIAS, "golden")
        found = change_rows.last(transaction, golden, now)
        assert found is not None
        assert found.action is ChangeAction.FOUND
        assert found.after == {"versionId": "2"}
        assert found.sequence == 2
        (deployment,) = endpoint_rows.deployments(transaction)
        assert deployment.deployed_model.version == name
    database.close()


def test_schemata_of_an_older_homeport_have_their_own_column(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "rows.sqlite"
    uri = "gs://s/instance.yaml"
    kept = f'{{"predict_schemata": {{"instanceSchemaUri": "{uri}"}}, "metadata": 1}}'
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD_ROWS.read_text())
        connection.execute("UPDATE model_versions SET kept = ?", (kept,))
        connection.commit()

    database = Database(f"sqlite:///{path}")
    database.upgrade()

    name = ModelName(Parent("p", "us-central1"), "m", "2")
    with database.snapshot() as transaction:
        version = version_rows.get(transaction, name)
        assert version is not None
        assert version.schemata == PredictSchemata(uri)
        assert version.kept == {"metadata": 1}
    database.close()


def test_models_of_an_older_homeport_are_listed_as_their_default_versions(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "rows.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD_ROWS.read_text())
    database = Database(f"sqlite:///{path}")

    database.upgrade()

    everything = listing_sql.Page(None, (), (), limit=10)
    parent = Parent("p", "us-central1")
    with database.snapshot() as transaction:
        (listed,) = version_rows.list_models(transaction, parent, everything)
        found = version_rows.get_aliased(transaction, listed.name, "default")
    assert listed.name.version == "1"
    assert listed.aliases == ("default",)
    assert listed.labels == {"team": "a"}
    assert listed == found
    database.close()


def test_what_lists_show_is_filled_in_for_every_model_of_an_older_homeport(
    database: Database,
) -> None:
    models = [{**PLACE, "model_id": model} for model in ("both", "bare", "none")]
    both, bare, none = models
    with database.transaction() as transaction:
        database.shape(transaction, "0009")
        _add_models(transaction, models)
        transaction.execute(
            tables.version_aliases.insert(),
            [
                {**both, "version_id": 2, "alias": "zeta", "place": 0},
                {**both, "version_id": 2, "alias": "default", "place": 2},
                {**both, "version_id": 2, "alias": "beta", "place": 10},
                {**both, "version_id": 1, "alias": "old", "place": 0},
                {**bare, "version_id": 1, "alias": "default", "place": 0},
                {**none, "version_id": 1, "alias": "old", "place": 0},
            ],
        )
        transaction.execute(
            tables.shown_labels.insert(),
            [
                {**both, "key": "team", "value": "größe"},
                {**both, "key": "env", "value": ""},
            ],
        )

    database.upgrade()

    shown = sa.select(
        tables.models.c.model_id,
        tables.models.c.default_version,
        tables.models.c.shown_aliases,
        tables.models.c.shown_labels,
    )
    with database.snapshot() as transaction:
        found = {row[0]: tuple(row[1:]) for row in transaction.execute(shown)}
    assert found == {
        "both": (
            2,
            '[[0,"zeta"],[2,"default"],[10,"beta"]]',
            '[["env",""],["team","größe"]]',
        ),
        "bare": (1, '[[0,"default"]]', "[]"),
        "none": (0, "[]", "[]"),
    }


def _add_models(transaction: sa.Connection, keys: list[dict[str, str]]) -> None:
    """Write models of two versions in the columns of the first shape."""
    times = {"create_time": T0, "update_time": T0}
    texts = {"display_name": "m", "description": "", "etag": "e", "next_version": 3}
    transaction.execute(
        tables.models.insert(), [{**key, **times, **texts} for key in keys]
    )
    said = {"description": "", "artifact_uri": "", "kept": {}}
    transaction.execute(
        tables.model_versions.insert(),
        [
            {**key, **times, **said, "version_id": version}
            for key in keys
            for version in (1, 2)
        ],
    )


def test_upgrading_again_changes_nothing(database: Database) -> None:
    database.upgrade()
    with database.transaction() as transaction:
        _add_artifact(transaction, "a")

    database.upgrade()

    with database.snapshot() as transaction:
        assert _digests(transaction) == ["a"]


def test_the_migrations_are_numbered_as_they_follow_each_other() -> None:
    script = alembic.script.ScriptDirectory(str(MIGRATIONS))

    walked = [one.revision for one in script.walk_revisions()]

    assert list(revisions()) == walked[::-1]


def test_a_database_says_which_migration_it_went_through_last(
    database: Database,
) -> None:
    said = []
    for revision in ("0001", "0009"):
        with database.transaction() as transaction:
            said.append(revision_of(transaction))
            database.shape(transaction, revision)
            said.append(revision_of(transaction))

    assert said == ["", "0001", "0001", "0009"]


def test_a_database_of_the_newest_shape_is_opened_without_alembic(
    database: Database, url: str
) -> None:
    database.upgrade()
    program = (
        "import sys; from homeport.metadata.database import Database; "
        "database = Database(sys.argv[1]); database.upgrade(); database.close(); "
        "print('alembic' in sys.modules)"
    )

    said = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, url], capture_output=True, check=True
    )

    assert said.stdout == b"False\n"


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


def test_a_migration_that_fails_leaves_nothing_behind(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.exec_driver_sql("CREATE TABLE operations (stray INTEGER)")

    with pytest.raises(sa.exc.DBAPIError, match="already exists"):
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


def test_what_is_to_follow_a_commit_comes_after_it_and_after_no_other(
    rooms: Rooms,
) -> None:
    seen: list[str] = []

    def look() -> None:
        with rooms.database.snapshot() as snapshot:
            seen.extend(_digests(snapshot))

    with contextlib.suppress(KeyError), rooms.database.transaction() as transaction:
        rooms.database.after_commit(transaction, look)
        raise KeyError
    with rooms.database.transaction() as transaction:
        rooms.database.after_commit(transaction, look)
        _add_artifact(transaction, "first")
        assert seen == []
    assert seen == ["first"]
    with rooms.database.transaction() as transaction:
        _add_artifact(transaction, "second")

    assert seen == ["first"]


def test_nothing_follows_the_commit_of_what_does_not_write(rooms: Rooms) -> None:
    with rooms.database.transaction() as ended:
        pass

    with rooms.database.snapshot() as reading, rooms.database.transaction():
        for transaction in (ended, reading):
            with pytest.raises(RuntimeError, match="only a transaction that writes"):
                rooms.database.after_commit(transaction, lambda: None)


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


def test_a_writer_waits_its_turn_however_long_the_database_would(
    rows_url: str,
) -> None:
    database = Database(rows_url, busy_timeout_s=0.01)

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


def test_what_another_process_has_locked_is_unavailable(rows_url: str) -> None:
    database = Database(rows_url, busy_timeout_s=0.01)

    with (
        _another_process(rows_url) as other,
        other.transaction(),
        pytest.raises(DatabaseUnavailableError, match=r"locked|lock timeout"),
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


# --- PostgreSQL


@pytest.fixture
def postgresql(databases: Databases, tmp_path: pathlib.Path) -> Iterator[str]:
    """An empty database of the newest shape."""
    with databases.lend(POSTGRESQL, tmp_path) as url:
        yield url


def test_every_text_column_is_in_the_order_of_its_bytes(postgresql: str) -> None:
    database = Database(postgresql)

    with database.snapshot() as transaction:
        other = transaction.execute(
            sa.text(
                "SELECT table_name, column_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND data_type LIKE 'char%' "
                "AND collation_name IS DISTINCT FROM 'C'"
            )
        ).all()

    assert other == []
    database.close()


def test_writers_see_each_other_whatever_isolation_the_database_prefers(
    databases: Databases,
) -> None:
    url = databases.create()
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            f"ALTER DATABASE {sa.make_url(url).database} "
            "SET default_transaction_isolation = 'repeatable read'"
        )
    engine.dispose()

    with _another_process(url) as first, _another_process(url) as second:
        first.upgrade()

        def add_next(database: Database) -> None:
            for _ in range(10):
                with database.transaction() as transaction:
                    _add_artifact(transaction, str(len(_digests(transaction))))

        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            list(threads.map(add_next, (first, second)))
        with first.snapshot() as transaction:
            assert sorted(map(int, _digests(transaction))) == list(range(20))


def test_a_database_that_a_server_holds_is_refused_to_others(postgresql: str) -> None:
    first = Database(postgresql)
    first.hold()

    with _another_process(postgresql) as second:
        with pytest.raises(FailedPreconditionError, match="another homeport server"):
            second.hold()
        first.close()
        second.hold()


def test_a_server_that_is_alone_keeps_others_waiting_until_it_shares(
    postgresql: str,
) -> None:
    first = Database(postgresql)
    assert first.enter()
    entered: list[bool] = []

    with _another_process(postgresql) as second:
        thread = threading.Thread(target=lambda: entered.append(second.enter()))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        first.share()
        thread.join()

        assert entered == [False]
        with _another_process(postgresql) as third:
            with pytest.raises(FailedPreconditionError, match="every server"):
                third.hold()
            first.close()
            second.close()
            assert third.enter()


def test_a_server_whose_connection_was_cut_takes_its_place_again(
    postgresql: str,
) -> None:
    first = Database(postgresql)
    first.enter()
    first.share()
    with _another_process(postgresql) as other, other.transaction() as transaction:
        transaction.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    first.stay()

    with _another_process(postgresql) as second:
        with pytest.raises(FailedPreconditionError, match="every server"):
            second.hold()
        first.close()
        second.hold()


def test_a_text_that_postgresql_cannot_hold_is_refused(postgresql: str) -> None:
    database = Database(postgresql)

    with (
        pytest.raises(InvalidArgumentError, match="NUL"),
        database.transaction() as transaction,
    ):
        _add_artifact(transaction, "a\0b")
    database.close()


def test_a_connection_that_was_cut_costs_no_request(postgresql: str) -> None:
    database = Database(postgresql)
    with database.transaction() as transaction:
        _add_artifact(transaction, "a")
    with database.snapshot() as transaction:
        assert _digests(transaction) == ["a"]

    with _another_process(postgresql) as other, other.transaction() as transaction:
        transaction.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    with database.transaction() as transaction:
        _add_artifact(transaction, "b")
    with database.snapshot() as transaction:
        assert sorted(_digests(transaction)) == ["a", "b"]
    database.close()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://u:hunter2@127.0.0.1:1/x", id="nobody listens"),
        pytest.param("postgresql+psycopg://u:hunter2@/x?host=/nowhere", id="no socket"),
        pytest.param("mysql://u:hunter2@host/x", id="another kind"),
        pytest.param("postgresql+asyncpg://u:hunter2@host/x", id="another driver"),
        pytest.param("postgresql://u:hunter2@host:port/x", id="no number"),
        pytest.param("u:hunter2@host/x", id="no URL"),
        pytest.param("sqlite://", id="nowhere on a disk"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(url: str) -> None:
    with pytest.raises((UnavailableError, InvalidArgumentError)) as caught:
        Database(url).upgrade()

    assert "hunter2" not in caught.value.message
