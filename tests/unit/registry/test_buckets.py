"""Buckets hold objects by name; bytes are shared, and no row misses its bytes."""

import contextlib
import dataclasses
import datetime as dt
import hashlib
import pathlib
from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import strategies as st

from databases import KINDS, Databases
from homeport.errors import (
    AlreadyExistsError,
    ConditionNotMetError,
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from homeport.metadata import artifact_rows
from homeport.metadata.database import Database
from homeport.metadata.prefixes import after_prefix
from homeport.objects.blobs import FileBlobs
from homeport.registry.blob_sweep import sweep
from homeport.registry.buckets import Buckets
from homeport.registry.object_uploads import ObjectUploads
from homeport.resources.bucket import (
    Checksums,
    Conditions,
    NewObject,
    ObjectQuery,
    ObjectRef,
)
from homeport.resources.model import Artifact, ArtifactFile

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
T0_MICROSECONDS = 1_767_225_600_000_000
DAY = dt.timedelta(days=1)
# Blobs carry the time of the file system's clock, which no test can set.
LONG_AFTER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


class Store:
    """Buckets and uploads on one directory, with a clock that tests move."""

    def __init__(self, directory: pathlib.Path, rows_url: str) -> None:
        self.now = T0
        self.database = Database(rows_url)
        self.blobs = FileBlobs(directory / "blobs")
        self.blobs.start()
        self.buckets = Buckets(self.database, self.blobs, lambda: self.now)
        self.uploads = ObjectUploads(self.database, self.blobs, lambda: self.now)

    def put(self, name: str, content: bytes = b"", **conditions: int) -> int:
        new = NewObject("models", name, conditions=Conditions(**conditions))
        return self.uploads.put(new, [content]).generation

    def read(self, name: str) -> bytes:
        with self.buckets.open_object("models", name) as file:
            return file.read()

    def list(self, query: ObjectQuery, limit: int = 1000) -> list[list[str]]:
        """Pages, each its names and then its prefixes."""
        pages = []
        while True:
            page = self.buckets.list_objects(query, limit=limit)
            pages.append([stored.name for stored in page.objects] + [*page.prefixes])
            if not page.next_start:
                return pages
            query = dataclasses.replace(query, start=page.next_start)


@contextlib.contextmanager
def opened(directory: pathlib.Path, rows_url: str) -> Iterator[Store]:
    store = Store(directory, rows_url)
    store.buckets.create_bucket("models", project="p", location="europe-west4")
    yield store
    store.database.close()


@pytest.fixture
def store(rows_url: str, tmp_path: pathlib.Path) -> Iterator[Store]:
    with opened(tmp_path, rows_url) as made:
        yield made


@pytest.fixture(scope="module", params=KINDS)
def shared(
    request: pytest.FixtureRequest,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Store]:
    directory = tmp_path_factory.mktemp("shared")
    with (
        databases.lend(request.param, directory) as url,
        opened(directory, url) as made,
    ):
        yield made


# --- buckets


def test_a_bucket_is_what_was_asked_for(store: Store) -> None:
    bucket = store.buckets.get_bucket("models")

    assert (bucket.project, bucket.location) == ("p", "EUROPE-WEST4")
    assert bucket.metageneration == 1
    assert bucket.create_time == T0


def test_a_bucket_name_is_taken_once_for_all_projects(store: Store) -> None:
    with pytest.raises(AlreadyExistsError, match="'models'"):
        store.buckets.create_bucket("models", project="another")


def test_a_bad_bucket_name_is_refused(store: Store) -> None:
    with pytest.raises(InvalidArgumentError, match="Models"):
        store.buckets.create_bucket("Models")


def test_buckets_are_listed_by_project_prefix_and_page(store: Store) -> None:
    for name, project in (("model-b", "p"), ("data", "p"), ("model-c", "q")):
        store.buckets.create_bucket(name, project=project)

    found = store.buckets.list_buckets("p", prefix="model", start="model-c", limit=9)

    assert [bucket.name for bucket in found] == ["models"]
    assert len(store.buckets.list_buckets("p")) == 3


def test_a_bucket_with_objects_is_not_deleted(store: Store) -> None:
    store.put("a")
    with pytest.raises(FailedPreconditionError, match="not empty"):
        store.buckets.delete_bucket("models")

    store.buckets.delete_object(ObjectRef("models", "a"))
    store.buckets.delete_bucket("models")

    with pytest.raises(NotFoundError):
        store.buckets.get_bucket("models")


def test_what_is_refused_says_which_command_helps(store: Store) -> None:
    store.put("a")

    with pytest.raises(NotFoundError, match="`homeport storage ls gs://models/`"):
        store.buckets.get_object(ObjectRef("models", "b"))
    with pytest.raises(
        FailedPreconditionError,
        match="`homeport storage rm --recursive gs://models`",
    ):
        store.buckets.delete_bucket("models")


def test_writing_to_no_bucket_says_how_to_create_it(store: Store) -> None:
    with pytest.raises(NotFoundError, match="homeport storage mb gs://nowhere"):
        store.uploads.put(NewObject("nowhere", "a"), [])


# --- objects


def test_an_object_is_its_newest_bytes(store: Store) -> None:
    store.put("a", b"old")
    store.put("a", b"new")

    assert store.read("a") == b"new"
    assert store.list(ObjectQuery("models")) == [["a"]]


def test_an_open_object_is_not_moved_by_writes(store: Store) -> None:
    store.put("a", b"old")

    with store.buckets.open_object("models", "a") as file:
        store.put("a", b"new")
        assert file.read() == b"old"


def test_generations_are_microseconds(store: Store) -> None:
    assert store.put("a") == T0_MICROSECONDS


@pytest.mark.parametrize("step", [dt.timedelta(0), -DAY], ids=["stops", "goes back"])
def test_generations_grow_also_when_the_clock(store: Store, step: dt.timedelta) -> None:
    first = store.put("a")
    store.buckets.delete_object(ObjectRef("models", "a"))
    store.now += step

    assert store.put("a") == first + 1


def test_an_earlier_generation_is_not_found(store: Store) -> None:
    old = store.put("a", b"old")
    new = store.put("a", b"new")

    with pytest.raises(NotFoundError, match=str(old)):
        store.buckets.get_object(ObjectRef("models", "a", old))
    assert store.buckets.get_object(ObjectRef("models", "a", new)).generation == new


def test_a_patch_counts_metagenerations_and_keeps_the_bytes(store: Store) -> None:
    generation = store.put("a", b"bytes")
    store.now += DAY

    patched = store.buckets.patch_object(
        ObjectRef("models", "a"), lambda old: {**old, "contentType": "text/plain"}
    )

    assert (patched.generation, patched.metageneration) == (generation, 2)
    assert patched.properties == {"contentType": "text/plain"}
    assert (patched.create_time, patched.update_time) == (T0, T0 + DAY)
    assert store.read("a") == b"bytes"


def test_a_copy_shares_the_bytes(store: Store) -> None:
    store.put("a", b"bytes")

    copied = store.buckets.copy_object(
        ObjectRef("models", "a"), NewObject("models", "b")
    )

    assert store.read("b") == b"bytes"
    assert list(store.blobs.iterate()) == [copied.sha256]


def test_missing_bytes_are_data_loss_and_a_missing_row_is_not_found(
    store: Store,
) -> None:
    store.put("a", b"bytes")
    sha256 = store.buckets.get_object(ObjectRef("models", "a")).sha256
    store.blobs.delete(sha256, unused_since=LONG_AFTER)

    with pytest.raises(DataLossError):
        store.read("a")
    with pytest.raises(NotFoundError, match="gs://models/b"):
        store.read("b")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 1025, id="too long"),
        pytest.param("é" * 513, id="too long in UTF-8"),
        pytest.param("a\nb", id="line feed"),
        pytest.param("..", id="dot dot"),
        pytest.param("\ud800", id="lone surrogate"),
    ],
)
def test_bad_object_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        NewObject("models", name)


# --- conditions


@pytest.mark.parametrize(
    "conditions",
    [
        pytest.param(Conditions(generation_match=0), id="must not exist"),
        pytest.param(Conditions(generation_match=5), id="other generation"),
        pytest.param(
            Conditions(generation_not_match=T0_MICROSECONDS), id="not this generation"
        ),
        pytest.param(Conditions(metageneration_match=2), id="other metageneration"),
        pytest.param(
            Conditions(metageneration_not_match=1), id="not this metageneration"
        ),
    ],
)
def test_a_failed_condition_changes_nothing(
    store: Store, conditions: Conditions
) -> None:
    store.put("a", b"old")
    ref = ObjectRef("models", "a", conditions=conditions)

    with pytest.raises(ConditionNotMetError):
        store.uploads.put(NewObject("models", "a", conditions=conditions), [b"new"])
    with pytest.raises(ConditionNotMetError):
        store.buckets.get_object(ref)
    with pytest.raises(ConditionNotMetError):
        store.buckets.patch_object(ref, dict)
    with pytest.raises(ConditionNotMetError):
        store.buckets.delete_object(ref)
    with pytest.raises(ConditionNotMetError):
        store.buckets.copy_object(ref, NewObject("models", "b"))

    assert store.read("a") == b"old"
    assert store.list(ObjectQuery("models")) == [["a"]]


def test_of_two_first_writers_one_wins(store: Store) -> None:
    new = NewObject("models", "a", conditions=Conditions(generation_match=0))
    first, second = store.uploads.begin(new), store.uploads.begin(new)
    first.write(b"first")
    second.write(b"second")

    second.finish()
    with pytest.raises(ConditionNotMetError):
        first.finish()

    assert store.read("a") == b"second"


def test_wrong_checksums_leave_nothing(store: Store) -> None:
    for checksums in (Checksums(crc32c=1), Checksums(md5="00" * 16)):
        with pytest.raises(InvalidArgumentError, match="send again"):
            store.uploads.put(NewObject("models", "a", checksums=checksums), [b"x"])

    assert store.list(ObjectQuery("models")) == [[]]
    assert list(store.blobs.iterate()) == []


# --- lists


def test_a_list_folds_what_lies_behind_the_delimiter(store: Store) -> None:
    for name in ("a/1", "a/2", "b", "c/", "c/d/e"):
        store.put(name)

    assert store.list(ObjectQuery("models", delimiter="/")) == [["b", "a/", "c/"]]
    assert store.list(ObjectQuery("models", delimiter="/", prefix="c/")) == [
        ["c/", "c/d/"]
    ]
    assert store.list(
        ObjectQuery("models", delimiter="/", with_trailing_delimiter=True)
    ) == [["b", "c/", "a/", "c/"]]
    assert store.list(ObjectQuery("models", prefix="a/")) == [["a/1", "a/2"]]
    assert store.list(ObjectQuery("models", start="a/2", end="c/")) == [["a/2", "b"]]


def test_pages_of_one_cover_the_list(store: Store) -> None:
    for name in ("a/1", "a/2", "b", "c/1", "d"):
        store.put(name)

    assert store.list(ObjectQuery("models", delimiter="/"), limit=1) == [
        ["a/"],
        ["b"],
        ["c/"],
        ["d"],
    ]


def test_iter_prefix_goes_beyond_one_page(store: Store) -> None:
    for index in range(20):
        store.put(f"dir/{index:02}")
    store.put("other")

    names = [stored.name for stored in store.buckets.iter_prefix("models", "dir/")]

    assert names == [f"dir/{index:02}" for index in range(20)]


NAMES = st.text(alphabet="ab/\ud7ff\U0010ffff", min_size=1, max_size=5)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    names=st.sets(NAMES, max_size=8),
    prefix=st.text(alphabet="ab/\U0010ffff", max_size=2),
    limit=st.integers(1, 3),
)
def test_a_list_is_what_a_walk_over_all_names_gives(
    shared: Store, names: set[str], prefix: str, limit: int
) -> None:
    for stored in list(shared.buckets.iter_prefix("models", "")):
        shared.buckets.delete_object(ObjectRef("models", stored.name))
    for name in names:
        shared.put(name)
    expected = set()
    for name in names:
        if name.startswith(prefix):
            head, found, _ = name[len(prefix) :].partition("/")
            expected.add(prefix + head + found)

    pages = shared.list(ObjectQuery("models", prefix, delimiter="/"), limit)

    assert sorted(name for page in pages for name in page) == sorted(expected)
    assert all(len(page) == limit for page in pages[:-1])


@hypothesis.given(prefix=st.text(min_size=1), rest=st.text(), other=st.text())
def test_after_prefix_is_the_end_of_a_prefix(
    prefix: str, rest: str, other: str
) -> None:
    end = after_prefix(prefix)

    if end:
        assert prefix + rest < end
        assert other.startswith(prefix) == (prefix <= other < end)
    else:
        assert set(prefix) == {"\U0010ffff"}


# --- upload sessions


def test_a_session_collects_an_object_over_requests(store: Store) -> None:
    session = store.uploads.open_session(NewObject("models", "a"))
    first = store.uploads.resume(session.id, "models")
    first.write(b"he")
    first.leave()
    between = store.uploads.progress(session.id, "models")
    second = store.uploads.resume(session.id, "models")
    second.write(b"llo")
    stored = second.finish()

    assert (between.size_bytes, between.stored) == (2, None)
    assert store.read("a") == b"hello"
    assert store.uploads.progress(session.id, "models").stored == stored


def test_two_requests_cannot_write_to_one_session(store: Store) -> None:
    session = store.uploads.open_session(NewObject("models", "a"))
    upload = store.uploads.resume(session.id, "models")

    with pytest.raises(UnavailableError):
        store.uploads.resume(session.id, "models")
    upload.leave()
    store.uploads.resume(session.id, "models").leave()


def test_a_finished_session_takes_no_more(store: Store) -> None:
    session = store.uploads.open_session(NewObject("models", "a"))
    store.uploads.resume(session.id, "models").finish()

    with pytest.raises(FailedPreconditionError, match="finished"):
        store.uploads.resume(session.id, "models")


def test_a_session_ends_with_a_refusal_a_cancel_its_bucket_or_its_week(
    store: Store,
) -> None:
    new = NewObject("models", "a")
    refused, cancelled, old, homeless = (
        store.uploads.open_session(new).id for _ in range(4)
    )
    store.uploads.cancel(cancelled, "models")
    with pytest.raises(InvalidArgumentError):
        store.uploads.resume(refused, "models").finish(Checksums(crc32c=1))

    for gone in (cancelled, refused, "never-was"):
        with pytest.raises(NotFoundError):
            store.uploads.progress(gone, "models")
    store.now += 8 * DAY
    with pytest.raises(NotFoundError, match="7 days"):
        store.uploads.progress(old, "models")
    store.now = T0
    store.buckets.delete_bucket("models")
    with pytest.raises(NotFoundError):
        store.uploads.progress(homeless, "models")


def test_a_session_that_went_with_its_bucket_writes_nothing_into_the_next_one(
    store: Store,
) -> None:
    session = store.uploads.open_session(NewObject("models", "a"))
    upload = store.uploads.resume(session.id, "models")
    upload.write(b"hello")
    store.buckets.delete_bucket("models")
    store.buckets.create_bucket("models")

    with pytest.raises(NotFoundError, match="start a new upload"):
        upload.finish()

    assert store.buckets.list_objects(ObjectQuery("models")).objects == ()
    assert list(store.blobs.uploads()) == []


# --- sweep


def test_a_sweep_removes_only_what_nothing_needs(store: Store) -> None:
    store.put("kept", b"kept")
    store.put("gone", b"gone")
    store.put("registered", b"registered")
    stored = store.buckets.get_object(ObjectRef("models", "registered"))
    file = ArtifactFile("model.mar", stored.sha256, stored.size_bytes)
    with store.database.transaction() as transaction:
        artifact_rows.put(transaction, Artifact("d" * 64, (file,)), T0)
    for name in ("gone", "registered"):
        store.buckets.delete_object(ObjectRef("models", name))

    swept = sweep(store.database, store.blobs, LONG_AFTER, grace=DAY)

    assert swept == {hashlib.sha256(b"gone").hexdigest()}
    assert store.read("kept") == b"kept"
    assert stored.sha256 in set(store.blobs.iterate())


def test_a_sweep_leaves_what_is_younger_than_the_grace_period(store: Store) -> None:
    store.put("gone", b"gone")
    store.buckets.delete_object(ObjectRef("models", "gone"))

    now = dt.datetime.now(dt.UTC)
    assert sweep(store.database, store.blobs, now, grace=DAY) == set()
    assert len(list(store.blobs.iterate())) == 1


# Quotas


def limited(store: Store, quota_bytes: int) -> ObjectUploads:
    return ObjectUploads(store.database, store.blobs, lambda: store.now, quota_bytes)


def test_a_bucket_has_no_more_than_its_quota_and_a_refusal_leaves_nothing(
    store: Store,
) -> None:
    uploads = limited(store, 10)
    uploads.put(NewObject("models", "a"), [b"1234567"])

    with pytest.raises(ResourceExhaustedError, match="3 left of its quota of 10"):
        uploads.put(NewObject("models", "b"), [b"1234"])

    assert len(list(store.blobs.iterate())) == 1
    uploads.put(NewObject("models", "b"), [b"123"])
    # What is replaced makes room.
    uploads.put(NewObject("models", "a"), [b"7654321"])


def test_copies_count_to_the_quota(store: Store) -> None:
    limited(store, 10).put(NewObject("models", "a"), [b"1234567"])
    buckets = Buckets(store.database, store.blobs, lambda: store.now, 10)

    with pytest.raises(ResourceExhaustedError, match="3 left"):
        buckets.copy_object(ObjectRef("models", "a"), NewObject("models", "b"))


def test_a_failed_condition_leaves_no_bytes(store: Store) -> None:
    upload = store.uploads.begin(
        NewObject("models", "a", conditions=Conditions(generation_match=0))
    )
    upload.write(b"late")
    store.put("a", b"first")

    with pytest.raises(ConditionNotMetError):
        upload.finish()

    assert len(list(store.blobs.iterate())) == 1
