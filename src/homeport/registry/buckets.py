"""Buckets and the objects in them: every verb but receiving bytes.

Crash safety: an object's blob is whole before its row is written, and its row is
deleted before its blob is swept. So a row never stands for missing bytes, and what a
crash leaves behind is a blob that nothing refers to (`blob_sweep`).
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, BinaryIO, Final

from homeport.errors import (
    AlreadyExistsError,
    DataLossError,
    FailedPreconditionError,
    NotFoundError,
    ResourceExhaustedError,
)
from homeport.metadata import bucket_rows
from homeport.metadata.database import Database, Transaction
from homeport.objects.blobs import Blobs
from homeport.registry import object_listing
from homeport.resources.bucket import (
    NO_CONDITIONS,
    Bucket,
    Conditions,
    Content,
    NewObject,
    ObjectPage,
    ObjectQuery,
    ObjectRef,
    StoredObject,
)
from homeport.resources.names import check_bucket

_PAGE: Final = 1000


class Buckets:
    """The buckets of one server.

    Args:
        database: Where their rows are.
        blobs: Where their bytes are.
        now: The time, aware.
        quota_bytes: What the objects of one bucket may have together, None for no
            limit.
        reserved: Names of buckets that are elsewhere, and not to be had here too.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        now: Callable[[], dt.datetime],
        quota_bytes: int | None = None,
        *,
        reserved: Collection[str] = (),
    ) -> None:
        self._quota_bytes = quota_bytes
        self._reserved = reserved
        self._database = database
        self._blobs = blobs
        self._now = now

    def create_bucket(
        self,
        name: str,
        *,
        project: str = "",
        location: str = "US",
        properties: Mapping[str, Any] | None = None,
    ) -> Bucket:
        """Return a new, empty bucket.

        Raises:
            InvalidArgumentError: The name breaks the rules for bucket names.
            AlreadyExistsError: It is taken, by whichever project.
        """
        check_bucket(name)
        if name in self._reserved:
            raise AlreadyExistsError(
                f"bucket {name!r} is an outside one for this server "
                "(--outside-prefix): choose another name"
            )
        now = self._now()
        bucket = Bucket(name, project, location.upper(), 1, properties or {}, now, now)
        with self._database.transaction() as transaction:
            if bucket_rows.get_bucket(transaction, name) is not None:
                raise AlreadyExistsError(
                    f"bucket {name!r} exists: use it, or choose another name"
                )
            bucket_rows.insert_bucket(transaction, bucket)
        return bucket

    def get_bucket(self, name: str, conditions: Conditions = NO_CONDITIONS) -> Bucket:
        """Return a bucket.

        Raises:
            NotFoundError: There is none of this name.
            ConditionNotMetError: A condition does not hold.
        """
        with self._database.snapshot() as transaction:
            return _bucket(transaction, name, conditions)

    def list_buckets(
        self, project: str, *, prefix: str = "", start: str = "", limit: int = _PAGE
    ) -> list[Bucket]:
        """Return up to `limit` buckets of a project by name, from `start` on."""
        with self._database.snapshot() as transaction:
            return bucket_rows.list_buckets(
                transaction, project=project, prefix=prefix, start=start, limit=limit
            )

    def patch_bucket(
        self,
        name: str,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        conditions: Conditions = NO_CONDITIONS,
    ) -> Bucket:
        """Return a bucket with its properties changed.

        Raises:
            NotFoundError: There is none of this name.
            ConditionNotMetError: A condition does not hold.
        """
        with self._database.transaction() as transaction:
            bucket = _bucket(transaction, name, conditions)
            patched = dataclasses.replace(
                bucket,
                properties=change(bucket.properties),
                metageneration=bucket.metageneration + 1,
                update_time=self._now(),
            )
            bucket_rows.update_bucket(transaction, patched)
        return patched

    def delete_bucket(self, name: str, conditions: Conditions = NO_CONDITIONS) -> None:
        """Delete an empty bucket, and the unfinished uploads into it.

        Raises:
            NotFoundError: There is none of this name.
            FailedPreconditionError: It still holds objects.
            ConditionNotMetError: A condition does not hold.
        """
        with self._database.transaction() as transaction:
            _bucket(transaction, name, conditions)
            if bucket_rows.list_objects(transaction, name, prefix="", limit=1):
                raise FailedPreconditionError(
                    f"the bucket {name!r} is not empty: delete its objects first, for "
                    f"example with `homeport storage rm --recursive gs://{name}`"
                )
            bucket_rows.delete_bucket(transaction, name)

    def get_object(self, ref: ObjectRef) -> StoredObject:
        """Return what is known of an object.

        Raises:
            NotFoundError: No such bucket, object or generation.
            ConditionNotMetError: A condition does not hold.
        """
        with self._database.snapshot() as transaction:
            return _object(transaction, ref)

    def open_object(self, bucket: str, name: str) -> BinaryIO:
        """Return the bytes of an object, seekable, unmoved by later writes to it.

        Raises:
            NotFoundError: No such bucket or object.
            DataLossError: The bytes are gone from the data directory.
        """
        return self.read_object(ObjectRef(bucket, name))[1]

    def read_object(self, ref: ObjectRef) -> tuple[StoredObject, BinaryIO]:
        """Return an object and its bytes, seekable, unmoved by later writes to it.

        Raises:
            NotFoundError: No such bucket, object or generation.
            ConditionNotMetError: A condition does not hold.
            DataLossError: The bytes are gone from the data directory.
        """
        stored = self.get_object(ref)
        try:
            return stored, self._blobs.open(stored.sha256)
        except DataLossError:
            # Deleted, and swept, since its row was read: then this says NOT_FOUND.
            self.get_object(dataclasses.replace(ref, generation=stored.generation))
            raise

    def list_objects(self, query: ObjectQuery, *, limit: int = _PAGE) -> ObjectPage:
        """Return up to `limit` objects and common prefixes together.

        Raises:
            NotFoundError: No such bucket.
        """
        with self._database.snapshot() as transaction:
            _bucket(transaction, query.bucket)
            return object_listing.page(transaction, query, limit)

    def iter_prefix(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose names begin with `prefix`, by name.

        Read page by page: what changes meanwhile may be seen or not.

        Raises:
            NotFoundError: No such bucket.
        """
        query = ObjectQuery(bucket, prefix)
        while True:
            page = self.list_objects(query)
            yield from page.objects
            if not page.next_start:
                return
            query = dataclasses.replace(query, start=page.next_start)

    def patch_object(
        self, ref: ObjectRef, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> StoredObject:
        """Return an object with its properties changed; its bytes stay.

        Raises:
            NotFoundError: No such bucket, object or generation.
            ConditionNotMetError: A condition does not hold.
        """
        with self._database.transaction() as transaction:
            stored = _object(transaction, ref)
            patched = dataclasses.replace(
                stored,
                properties=change(stored.properties),
                metageneration=stored.metageneration + 1,
                update_time=self._now(),
            )
            bucket_rows.put_object(transaction, patched)
        return patched

    def delete_object(self, ref: ObjectRef) -> None:
        """Delete an object; its bytes stay until a sweep finds them unused.

        Raises:
            NotFoundError: No such bucket, object or generation.
            ConditionNotMetError: A condition does not hold.
        """
        with self._database.transaction() as transaction:
            _object(transaction, ref)
            bucket_rows.delete_object(transaction, ref.bucket, ref.name)

    def copy_object(
        self,
        source: ObjectRef,
        target: NewObject,
        *,
        keep_properties: bool = True,
    ) -> StoredObject:
        """Return a new object of the same bytes; none of them is moved.

        Args:
            source: What is copied.
            target: Where to, and what must hold there.
            keep_properties: Take the properties of the source, not the target's.

        Raises:
            NotFoundError: No such bucket, object or generation.
            ConditionNotMetError: A condition of the source or the target fails.
        """
        with self._database.transaction() as transaction:
            stored = _object(transaction, source)
            if keep_properties:
                target = dataclasses.replace(target, properties=stored.properties)
            return write_row(
                transaction, target, stored.content, self._now(), self._quota_bytes
            )

    def move_object(self, source: ObjectRef, target: NewObject) -> StoredObject:
        """Return an object under a new name of its bucket; the old name is gone.

        Raises:
            NotFoundError: No such bucket, object or generation.
            ConditionNotMetError: A condition of the source or the target fails.
        """
        with self._database.transaction() as transaction:
            stored = _object(transaction, source)
            target = dataclasses.replace(target, properties=stored.properties)
            moved = write_row(transaction, target, stored.content, self._now())
            if source.name != target.name:
                bucket_rows.delete_object(transaction, source.bucket, source.name)
            return moved


def write_row(
    transaction: Transaction,
    new: NewObject,
    content: Content,
    now: dt.datetime,
    quota_bytes: int | None = None,
) -> StoredObject:
    """Return the object made of bytes that are a blob already.

    Raises:
        NotFoundError: No such bucket.
        ConditionNotMetError: A condition on the object it replaces does not hold.
        ResourceExhaustedError: The bucket would have more than its quota.
    """
    check_fits(transaction, new, content.size_bytes, quota_bytes)
    generation = bucket_rows.next_generation(transaction, new.bucket, now)
    stored = StoredObject(
        bucket=new.bucket,
        name=new.name,
        generation=generation,
        metageneration=1,
        content=content,
        properties=new.properties,
        create_time=now,
        update_time=now,
    )
    bucket_rows.put_object(transaction, stored)
    return stored


def check_fits(
    transaction: Transaction, new: NewObject, size_bytes: int, quota_bytes: int | None
) -> None:
    """Refuse an object of so many bytes that could not be written now.

    Raises:
        NotFoundError: No such bucket.
        ConditionNotMetError: A condition on the object it replaces does not hold.
        ResourceExhaustedError: The bucket would have more than its quota.
    """
    check_writable(transaction, new)
    if quota_bytes is None:
        return
    replaced = bucket_rows.get_object(transaction, new.bucket, new.name)
    used_bytes = bucket_rows.used_bytes(transaction, new.bucket)
    left_bytes = quota_bytes - used_bytes + (replaced.size_bytes if replaced else 0)
    if size_bytes > left_bytes:
        raise ResourceExhaustedError(
            f"{new} has {size_bytes} bytes, and the bucket {new.bucket!r} has "
            f"{max(left_bytes, 0)} left of its quota of {quota_bytes}: delete objects, "
            "or raise --bucket-quota-bytes"
        )


def check_writable(transaction: Transaction, new: NewObject) -> None:
    """Refuse an object that could not be written now.

    Raises:
        NotFoundError: No such bucket.
        ConditionNotMetError: A condition on the object it replaces does not hold.
    """
    _bucket(transaction, new.bucket)
    replaced = bucket_rows.get_object(transaction, new.bucket, new.name)
    _check_live(new.conditions, replaced, str(new))


def _bucket(
    transaction: Transaction, name: str, conditions: Conditions = NO_CONDITIONS
) -> Bucket:
    bucket = bucket_rows.get_bucket(transaction, name)
    if bucket is None:
        raise NotFoundError(
            f"bucket {name!r} does not exist: create it, for example with "
            f"`homeport storage mb gs://{name}`"
        )
    # A bucket has no generation; a condition on one is a condition on nothing.
    conditions.check(0, bucket.metageneration, of=f"bucket gs://{name}")
    return bucket


def _object(transaction: Transaction, ref: ObjectRef) -> StoredObject:
    _bucket(transaction, ref.bucket)
    stored = bucket_rows.get_object(transaction, ref.bucket, ref.name)
    if stored is None:
        raise NotFoundError(
            f"no such object: {ref}: see what there is with `homeport storage ls "
            f"gs://{ref.bucket}/`"
        )
    if ref.generation not in (None, stored.generation):
        raise NotFoundError(
            f"no such object: {ref} has generation {stored.generation}, not "
            f"{ref.generation}; earlier generations are not kept"
        )
    _check_live(ref.conditions, stored, str(ref))
    return stored


def _check_live(conditions: Conditions, live: StoredObject | None, of: str) -> None:
    generation, metageneration = (
        (0, 0) if live is None else (live.generation, live.metageneration)
    )
    conditions.check(generation, metageneration, of=f"object {of}")
