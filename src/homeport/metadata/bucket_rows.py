"""Buckets and their objects as rows."""

import datetime as dt
from typing import Any

import sqlalchemy as sa

from homeport.metadata.database import Transaction
from homeport.metadata.prefixes import after_prefix
from homeport.metadata.tables import buckets, objects, upload_sessions
from homeport.resources.bucket import Bucket, Content, StoredObject


def insert_bucket(transaction: Transaction, bucket: Bucket) -> None:
    """Write a bucket whose name no row has yet."""
    transaction.execute(
        buckets.insert().values(
            name=bucket.name,
            project=bucket.project,
            location=bucket.location,
            metageneration=bucket.metageneration,
            last_generation=0,
            properties=dict(bucket.properties),
            create_time=bucket.create_time,
            update_time=bucket.update_time,
        )
    )


def get_bucket(transaction: Transaction, name: str) -> Bucket | None:
    """Return a bucket, None if there is none of this name."""
    row = transaction.execute(
        sa.select(buckets).where(buckets.c.name == name)
    ).one_or_none()
    return None if row is None else _bucket(row)


def list_buckets(
    transaction: Transaction, *, project: str, prefix: str, start: str, limit: int
) -> list[Bucket]:
    """Return up to `limit` buckets of a project by name, from `start` on."""
    rows = transaction.execute(
        sa.select(buckets)
        .where(buckets.c.project == project, *_names(buckets.c.name, prefix, start, ""))
        .order_by(buckets.c.name)
        .limit(limit)
    )
    return [_bucket(row) for row in rows]


def update_bucket(transaction: Transaction, bucket: Bucket) -> None:
    """Write what may change of a bucket."""
    transaction.execute(
        buckets.update()
        .where(buckets.c.name == bucket.name)
        .values(
            metageneration=bucket.metageneration,
            properties=dict(bucket.properties),
            update_time=bucket.update_time,
        )
    )


def delete_bucket(transaction: Transaction, name: str) -> None:
    """Delete an empty bucket, and the unfinished uploads into it."""
    transaction.execute(
        upload_sessions.delete().where(upload_sessions.c.bucket == name)
    )
    transaction.execute(buckets.delete().where(buckets.c.name == name))


def next_generation(transaction: Transaction, bucket: str, now: dt.datetime) -> int:
    """Return the generation of the next write to a bucket; it must be there.

    It is the time in microseconds, as in Google Cloud Storage, or one more than the
    bucket's last where the clock stood still or went back. The bucket remembers the
    last one, so that a deleted name that is written again does not repeat itself.
    """
    micros = (now - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(
        microseconds=1
    )
    following = buckets.c.last_generation + 1
    generation: int = transaction.scalars(
        buckets.update()
        .where(buckets.c.name == bucket)
        .values(last_generation=sa.case((following > micros, following), else_=micros))
        .returning(buckets.c.last_generation)
    ).one()
    return generation


def put_object(transaction: Transaction, stored: StoredObject) -> None:
    """Write an object, in the place of the one of its name if there is one."""
    delete_object(transaction, stored.bucket, stored.name)
    transaction.execute(
        objects.insert().values(
            bucket=stored.bucket,
            name=stored.name,
            generation=stored.generation,
            metageneration=stored.metageneration,
            size_bytes=stored.content.size_bytes,
            sha256=stored.content.sha256,
            crc32c=stored.content.crc32c,
            md5=stored.content.md5,
            properties=dict(stored.properties),
            create_time=stored.create_time,
            update_time=stored.update_time,
        )
    )


def get_object(transaction: Transaction, bucket: str, name: str) -> StoredObject | None:
    """Return an object, None if the bucket has none of this name."""
    row = transaction.execute(
        sa.select(objects).where(objects.c.bucket == bucket, objects.c.name == name)
    ).one_or_none()
    return None if row is None else _object(row)


def list_objects(
    transaction: Transaction,
    bucket: str,
    *,
    prefix: str,
    start: str = "",
    end: str = "",
    limit: int,
) -> list[StoredObject]:
    """Return up to `limit` objects by name, from `start` on and before `end`."""
    rows = transaction.execute(
        sa.select(objects)
        .where(objects.c.bucket == bucket, *_names(objects.c.name, prefix, start, end))
        .order_by(objects.c.name)
        .limit(limit)
    )
    return [_object(row) for row in rows]


def delete_object(transaction: Transaction, bucket: str, name: str) -> None:
    """Delete an object's row; its blob is swept when nothing else refers to it."""
    transaction.execute(
        objects.delete().where(objects.c.bucket == bucket, objects.c.name == name)
    )


def used_bytes(transaction: Transaction, bucket: str) -> int:
    """Return the sizes of a bucket's objects, added."""
    total: int = transaction.scalars(
        sa.select(sa.func.coalesce(sa.func.sum(objects.c.size_bytes), 0)).where(
            objects.c.bucket == bucket
        )
    ).one()
    return int(total)


def _names(
    column: sa.Column[str], prefix: str, start: str, end: str
) -> list[sa.ColumnElement[bool]]:
    """Return the bounds that an index on the names can use."""
    bounds = [column >= max(prefix, start)]
    bounds += [column < limit for limit in (after_prefix(prefix), end) if limit]
    return bounds


def _bucket(row: sa.Row[Any]) -> Bucket:
    return Bucket(
        name=row.name,
        project=row.project,
        location=row.location,
        metageneration=row.metageneration,
        properties=row.properties,
        create_time=row.create_time,
        update_time=row.update_time,
    )


def _object(row: sa.Row[Any]) -> StoredObject:
    return StoredObject(
        bucket=row.bucket,
        name=row.name,
        generation=row.generation,
        metageneration=row.metageneration,
        content=Content(
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            crc32c=row.crc32c,
            md5=row.md5,
        ),
        properties=row.properties,
        create_time=row.create_time,
        update_time=row.update_time,
    )
