"""Upload sessions, the objects that arrive over several requests, as rows."""

import dataclasses
import datetime as dt
from typing import Any

import sqlalchemy as sa

from homeport.metadata.database import Transaction
from homeport.metadata.tables import upload_sessions
from homeport.resources.bucket import (
    Checksums,
    Conditions,
    NewObject,
    UploadSession,
)


def insert(transaction: Transaction, session: UploadSession) -> None:
    """Write a session whose id no row has yet."""
    new = session.new
    transaction.execute(
        upload_sessions.insert().values(
            id=session.id,
            bucket=new.bucket,
            name=new.name,
            properties=dict(new.properties),
            conditions=dataclasses.asdict(new.conditions),
            checksums=dataclasses.asdict(new.checksums),
            generation=session.generation,
            create_time=session.create_time,
            owner=session.owner,
        )
    )


def get(transaction: Transaction, session_id: str) -> UploadSession | None:
    """Return a session, None if there is none of this id."""
    row = transaction.execute(
        sa.select(upload_sessions).where(upload_sessions.c.id == session_id)
    ).one_or_none()
    return None if row is None else _session(row)


def is_unfinished(transaction: Transaction, session_id: str) -> bool:
    """Tell whether there is a session of this id that became no object yet."""
    found = transaction.scalar(
        sa.select(upload_sessions.c.id).where(
            upload_sessions.c.id == session_id, upload_sessions.c.generation == 0
        )
    )
    return found is not None


def put_checksums(
    transaction: Transaction, session_id: str, checksums: Checksums
) -> None:
    """Note what is said of the bytes of a session."""
    transaction.execute(
        upload_sessions.update()
        .where(upload_sessions.c.id == session_id)
        .values(checksums=dataclasses.asdict(checksums))
    )


def finish(transaction: Transaction, session_id: str, generation: int) -> None:
    """Note which generation a session became."""
    transaction.execute(
        upload_sessions.update()
        .where(upload_sessions.c.id == session_id)
        .values(generation=generation)
    )


def delete_unfinished(transaction: Transaction, session_id: str) -> bool:
    """Delete a session unless it became an object; tell whether it went.

    Its bytes are the caller's.
    """
    deleted = transaction.execute(
        upload_sessions.delete().where(
            upload_sessions.c.id == session_id, upload_sessions.c.generation == 0
        )
    )
    return bool(deleted.rowcount)


def delete_before(transaction: Transaction, oldest: dt.datetime) -> None:
    """Delete the sessions that began before, finished or not."""
    transaction.execute(
        upload_sessions.delete().where(upload_sessions.c.create_time < oldest)
    )


def unfinished(transaction: Transaction, oldest: dt.datetime) -> set[str]:
    """Return the ids of the sessions whose bytes are still needed.

    Args:
        transaction: Any.
        oldest: Those that began before are over.
    """
    return set(
        transaction.scalars(
            sa.select(upload_sessions.c.id).where(
                upload_sessions.c.generation == 0,
                upload_sessions.c.create_time >= oldest,
            )
        )
    )


def _session(row: sa.Row[Any]) -> UploadSession:
    return UploadSession(
        id=row.id,
        new=NewObject(
            bucket=row.bucket,
            name=row.name,
            properties=row.properties,
            conditions=Conditions(**row.conditions),
            checksums=Checksums(**row.checksums),
        ),
        generation=row.generation,
        create_time=row.create_time,
        owner=row.owner,
    )
