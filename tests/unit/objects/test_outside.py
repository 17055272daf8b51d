from collections.abc import Iterator

import obstore
import pytest
from obstore.store import MemoryStore

from homeport.errors import (
    AbortedError,
    AlreadyExistsError,
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from homeport.objects.addresses import StoreAddress
from homeport.objects.offers import Offer
from homeport.objects.outside import Outside, OutsidePlace
from homeport.objects.stores import Store


@pytest.fixture
def raw() -> MemoryStore:
    store = MemoryStore()
    for key in ("team/m/model.mar", "team/m/a b/p%2Fq", "team/mm/x", "teammate/x"):
        obstore.put(store, key, key.encode())
    return store


@pytest.fixture
def outside(raw: MemoryStore) -> Outside:
    addresses = map(StoreAddress.parse, ("gs://lab/team", "gs://lab/team/m"))
    return Outside({one: Store(raw, str(one), one.prefix) for one in addresses})


def place(outside: Outside, uri: str) -> OutsidePlace:
    found = outside.find(uri)
    assert found is not None
    return found


def read(outside: Outside, uri: str) -> dict[str, bytes]:
    offers = place(outside, uri).offers()
    return {one.path: b"".join(one.blocks()) for one in offers}


@pytest.mark.parametrize(
    ("uri", "files"),
    [
        ("gs://lab/team/m", ["a b/p%2Fq", "model.mar"]),
        ("gs://lab/team/m/", ["a b/p%2Fq", "model.mar"]),
        ("gs://lab/team/m/model.mar", ["model.mar"]),
        ("gs://lab/team/m/a b/p%2Fq", ["p%2Fq"]),
        ("gs://lab/team/mm", ["x"]),
        ("gs://lab/team", ["m/a b/p%2Fq", "m/model.mar", "mm/x"]),
    ],
)
def test_a_folder_or_an_object_is_read(
    outside: Outside, uri: str, files: list[str]
) -> None:
    assert list(read(outside, uri)) == files


def test_an_object_is_read_as_it_is(outside: Outside, raw: MemoryStore) -> None:
    obstore.put(raw, "team/long", b"ab" * 9_000_001)

    assert read(outside, "gs://lab/team/long") == {"long": b"ab" * 9_000_001}


@pytest.mark.parametrize(
    "uri", ["gs://lab/teammate/x", "gs://lab", "s3://lab/team/m", "s3://"]
)
def test_what_is_in_no_folder_is_refused(outside: Outside, uri: str) -> None:
    with pytest.raises(PermissionDeniedError, match="--outside-prefix"):
        outside.find(uri)


def test_another_gs_bucket_is_this_server_s(outside: Outside) -> None:
    assert outside.find("gs://labs/team/m") is None
    assert outside.gs_buckets == {"lab"}


@pytest.mark.parametrize("path", ["../x", "a/../../x", "a//b", "./a", "a\x00b"])
def test_a_path_that_two_would_read_differently_is_refused(
    outside: Outside, path: str
) -> None:
    with pytest.raises(InvalidArgumentError, match="plain path"):
        outside.find(f"gs://lab/team/{path}")


def test_nothing_is_not_found(outside: Outside) -> None:
    with pytest.raises(NotFoundError, match="gs://lab/team/nothing"):
        place(outside, "gs://lab/team/nothing").offers()


def test_an_object_that_changes_is_aborted(outside: Outside, raw: MemoryStore) -> None:
    (offer,) = place(outside, "gs://lab/team/m/model.mar").offers()
    obstore.put(raw, "team/m/model.mar", b"another one")

    with pytest.raises(AbortedError, match="changed"):
        b"".join(offer.blocks())


def test_files_are_written_all_or_none(outside: Outside, raw: MemoryStore) -> None:
    def lost() -> Iterator[bytes]:
        yield b"half"
        raise DataLossError("the rest is gone")

    target = place(outside, "gs://lab/team/out").below("export")
    good = Offer("a/one", 3, lambda: iter([b"o", b"ne"]))
    bad = Offer("two", 8, lost)

    with pytest.raises(DataLossError):
        target.write([good, bad])
    after_failure = sorted(one["path"] for one in obstore.list(raw).collect())
    target.write([good])
    with pytest.raises(AlreadyExistsError):
        target.write([good])

    assert [one for one in after_failure if "out" in one] == []
    assert bytes(obstore.get(raw, "team/out/export/a/one").bytes()) == b"one"
