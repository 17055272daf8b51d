"""One server on a database prepares it; others come beside it, or are told why not."""

import pathlib
from collections.abc import Iterator

import pytest

from databases import Databases
from homeport.errors import FailedPreconditionError
from homeport.metadata.database import Database, revision_of, revisions
from homeport.registry import tenancy
from homeport.registry.leases import Lease
from rooms import Rooms


@pytest.fixture
def url(databases: Databases) -> str:
    """A PostgreSQL database without tables."""
    return databases.create()


@pytest.fixture
def first(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def second(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


def _revision(database: Database) -> str:
    with database.snapshot() as transaction:
        return revision_of(transaction)


def test_the_first_server_upgrades_and_the_second_comes_beside_it(
    first: Database, second: Database
) -> None:
    assert tenancy.enter(first, "a", shared=True)
    assert _revision(first) == revisions()[-1]
    first.share()

    assert not tenancy.enter(second, "b", shared=True)


def test_a_server_with_bytes_of_its_own_is_alone_or_nowhere(
    first: Database, second: Database
) -> None:
    tenancy.enter(first, "a", shared=False)
    first.share()

    with pytest.raises(FailedPreconditionError, match="--blob-store"):
        tenancy.enter(second, "b", shared=False)


def test_an_older_database_that_others_use_is_not_upgraded_under_them(
    first: Database, second: Database
) -> None:
    with first.transaction() as transaction:
        first.shape(transaction, "0007")
    first.enter()
    first.share()

    with pytest.raises(FailedPreconditionError, match="db upgrade"):
        tenancy.enter(second, "b", shared=True)

    assert _revision(second) == "0007"


def test_a_server_whose_lease_lasts_is_there_even_if_its_connection_was_cut(
    first: Database, second: Database
) -> None:
    first.upgrade()
    Lease(first, "a").renew()

    assert not tenancy.enter(second, "b", shared=True)


def test_a_command_that_wants_the_database_alone_waits_for_no_lease(
    first: Database, second: Database
) -> None:
    first.upgrade()
    Lease(first, "a").renew()
    with pytest.raises(FailedPreconditionError, match="10 seconds"):
        tenancy.hold(second)
    Lease(first, "a").end()

    tenancy.hold(second)


def test_the_secret_of_the_first_server_is_that_of_all(
    rooms: Rooms, tmp_path: pathlib.Path
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    (tmp_path / "first" / "secret").write_bytes(b"said before")

    secret = tenancy.shared_secret(rooms.database, tmp_path / "first")

    assert secret == b"said before"
    assert tenancy.shared_secret(rooms.database, tmp_path / "second") == secret
    assert tenancy.known_secret(rooms.database, tmp_path / "nowhere") == secret
    assert not (tmp_path / "first" / "secret").exists()
