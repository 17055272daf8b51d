"""Objects being received, in one request or over several.

The blob is committed first, the row written second; a crash in between leaves a blob
that nothing refers to.
"""

import contextlib
import dataclasses
import datetime as dt
import functools
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import Final, final

from homeport.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from homeport.metadata import bucket_rows, skeleton_rows, upload_rows
from homeport.metadata.database import Database, Transaction
from homeport.objects.blobs import Blobs, BlobWriter
from homeport.registry import buckets
from homeport.registry.claims import Claims
from homeport.resources.bucket import (
    Checksums,
    Content,
    NewObject,
    StoredObject,
    UploadSession,
)

SESSION_LIFETIME: Final = dt.timedelta(days=7)  # GCS resumable uploads page


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload session is.

    Attributes:
        size_bytes: Bytes received.
        stored: The object it became, None while unfinished.
    """

    size_bytes: int
    stored: StoredObject | None


@final
class ObjectUpload:
    """One object being received; exactly one of `finish`, `leave` and `abort` ends it.

    Its methods wait for each other, since a request that is cancelled leaves it while
    the thread of its last block may still be writing. Made by `ObjectUploads`.
    """

    def __init__(
        self,
        writer: BlobWriter,
        new: NewObject,
        keep: Callable[[BlobWriter, NewObject, Content], StoredObject],
        leave: Callable[[], None],
        abort: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._new = new
        self._keep = keep
        self._leave = leave
        self._abort = abort
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """Bytes received so far, in all requests together."""
        return self._writer.size_bytes

    @property
    def announced_bytes(self) -> int | None:
        """How long the whole object is said to be, None if nobody has."""
        return self._new.checksums.size_bytes

    def expect(self, size_bytes: int) -> None:
        """Refuse what is announced, so many bytes more, if there is no room for it.

        Raises:
            ResourceExhaustedError: The disk would be full.
        """
        with self._lock:
            self._writer.expect(size_bytes)

    def write(self, block: bytes) -> None:
        """Append a block.

        Raises:
            ResourceExhaustedError: The disk is full.
        """
        with self._lock:
            self._writer.write(block)

    def finish(self, checksums: Checksums | None = None) -> StoredObject:
        """Return the object, now visible; on a refusal nothing of it is kept.

        Where the bytes cannot be brought to their store, an upload over several
        requests keeps them: it goes on at its end.

        Args:
            checksums: What the sender said last, beside what it said first.

        Raises:
            InvalidArgumentError: The bytes are not those that were sent.
            NotFoundError: The bucket is gone.
            ConditionNotMetError: A condition on the object it replaces fails.
            ResourceExhaustedError: The disk is full, or the bucket.
            UnavailableError: The store of the bytes, or of the rows, does not answer.
        """
        with self._lock:
            end = self._abort
            try:
                content = self._writer.content()
                for said in (self._new.checksums, checksums or Checksums()):
                    said.check(content, of=str(self._new))
                return self._keep(self._writer, self._new, content)
            except UnavailableError:
                end = self._leave
                raise
            finally:
                # Removes what a refusal left; after a success there is nothing left.
                end()

    def leave(self) -> None:
        """End this request: keep the bytes if more requests may follow, else abort."""
        with self._lock:
            self._leave()

    def abort(self) -> None:
        """Forget the bytes."""
        with self._lock:
            self._abort()


class ObjectUploads:
    """Receives objects into buckets.

    Args:
        database: Where their rows go.
        blobs: Where their bytes go.
        now: The time, aware.
        quota_bytes: What the objects of one bucket may have together, None for no
            limit.
        owner: The id of this server, which alone goes on with the sessions that begin
            here.
        claims: Notes the sessions that requests are writing to; None for its own.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        now: Callable[[], dt.datetime],
        quota_bytes: int | None = None,
        owner: str = "",
        claims: Claims | None = None,
    ) -> None:
        self._owner = owner
        self._quota_bytes = quota_bytes
        self._database = database
        self._blobs = blobs
        self._now = now
        self._claims = claims or Claims()

    def put(self, new: NewObject, blocks: Iterable[bytes]) -> StoredObject:
        """Return a new object of the given bytes, which replaces one of its name.

        Raises:
            InvalidArgumentError: The bytes are not those that were announced.
            NotFoundError: No such bucket.
            ConditionNotMetError: A condition on the object it replaces fails.
            ResourceExhaustedError: The disk is full.
        """
        upload = self.begin(new)
        try:
            for block in blocks:
                upload.write(block)
        except BaseException:
            upload.abort()
            raise
        return upload.finish()

    def begin(self, new: NewObject) -> ObjectUpload:
        """Return the upload of an object that arrives in one request.

        Raises:
            NotFoundError: No such bucket.
            ConditionNotMetError: A condition on the object it replaces fails already.
            ResourceExhaustedError: The disk is full, or the bucket would be.
        """
        with self._database.snapshot() as transaction:
            self._check_announced(transaction, new)
        writer = self._blobs.begin()
        return _expecting(
            ObjectUpload(writer, new, self._keep, writer.abort, writer.abort)
        )

    def open_session(self, new: NewObject) -> UploadSession:
        """Return a new session: the object may arrive over requests and restarts.

        Raises:
            NotFoundError: No such bucket.
            ConditionNotMetError: A condition on the object it replaces fails already.
            ResourceExhaustedError: The bucket would have more than its quota.
        """
        session = UploadSession(
            secrets.token_urlsafe(32), new, 0, self._now(), self._owner
        )
        with self._database.transaction() as transaction:
            self._check_announced(transaction, new)
            upload_rows.insert(transaction, session)
        return session

    def progress(self, session_id: str, bucket: str) -> Progress:
        """Return how far a session of a bucket is.

        Raises:
            NotFoundError: No such session, or its object was replaced or deleted.
            UnavailableError: Another request is writing to it, or another server.
        """
        with self._claims.hold(session_id):
            session = self._session(session_id, bucket)
            if session.generation:
                stored = self._finished(session)
                return Progress(stored.size_bytes, stored)
            writer = self._blobs.resume(session_id)
            writer.suspend()
        return Progress(writer.size_bytes, None)

    def resume(
        self, session_id: str, bucket: str, size_bytes: int | None = None
    ) -> ObjectUpload:
        """Return the upload of a session, at the byte where the last request ended.

        Args:
            session_id: The session's.
            bucket: The one it was opened for.
            size_bytes: How long the whole object is; None if this request says nothing.

        Raises:
            NotFoundError: No such session.
            FailedPreconditionError: It is finished.
            InvalidArgumentError: Another length was said before.
            UnavailableError: Another request is writing to it, or another server.
            ResourceExhaustedError: The disk is full, or the bucket would be.
        """
        return _expecting(self._resumed(session_id, bucket, size_bytes))

    def _resumed(
        self, session_id: str, bucket: str, size_bytes: int | None = None
    ) -> ObjectUpload:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._claims.hold(session_id))
            session = self._session(session_id, bucket)
            if session.generation:
                raise FailedPreconditionError(
                    f"the upload of {session.new} is finished: start a new one"
                )
            session = self._with_size(session, size_bytes)
            writer = self._blobs.resume(session_id)
            claim = stack.pop_all()

        def leave() -> None:
            with claim:
                writer.suspend()

        def abort() -> None:
            with claim:
                self._forget(session_id, writer)

        keep = functools.partial(self._keep, session_id=session_id)
        return ObjectUpload(writer, session.new, keep, leave, abort)

    def cancel(self, session_id: str, bucket: str) -> None:
        """End a session without an object.

        Raises:
            NotFoundError: No such session.
            FailedPreconditionError: It is finished.
            UnavailableError: Another request is writing to it.
        """
        self._resumed(session_id, bucket).abort()

    def _keep(
        self, writer: BlobWriter, new: NewObject, content: Content, session_id: str = ""
    ) -> StoredObject:
        with self._database.snapshot() as transaction:
            # What is refused here leaves no blob.
            buckets.check_fits(transaction, new, content.size_bytes, self._quota_bytes)
        writer.commit()
        with self._database.transaction() as transaction:
            # With its bucket it may have gone, and there is another of that name.
            if session_id and not upload_rows.is_unfinished(transaction, session_id):
                raise _no_session(new.bucket)
            stored = buckets.write_row(
                transaction, new, content, self._now(), self._quota_bytes
            )
            skeleton_rows.note_written(transaction, content.sha256)
            upload_rows.finish(transaction, session_id, stored.generation)
        return stored

    def _session(self, session_id: str, bucket: str) -> UploadSession:
        with self._database.snapshot() as transaction:
            session = upload_rows.get(transaction, session_id)
        if (
            session is None
            or session.new.bucket != bucket
            or session.create_time + SESSION_LIFETIME < self._now()
        ):
            raise _no_session(bucket)
        if not session.generation and session.owner not in {"", self._owner}:
            # UNAVAILABLE: clients try again, and may come to the right one.
            raise UnavailableError(
                "this upload goes on at the server where it began: send it there, or "
                "start a new upload"
            )
        return session

    def _with_size(
        self, session: UploadSession, size_bytes: int | None
    ) -> UploadSession:
        """Return the session with the length that is said of its object, kept now."""
        known = session.new.checksums
        if size_bytes is None or size_bytes == known.size_bytes:
            return session
        if known.size_bytes is not None:
            raise InvalidArgumentError(
                f"{session.new} has {known.size_bytes} bytes, as was said before, and "
                f"this request says {size_bytes}: go on as you began, or start anew"
            )
        checksums = dataclasses.replace(known, size_bytes=size_bytes)
        new = dataclasses.replace(session.new, checksums=checksums)
        with self._database.transaction() as transaction:
            self._check_announced(transaction, new)
            upload_rows.put_checksums(transaction, session.id, checksums)
        return dataclasses.replace(session, new=new)

    def _check_announced(self, transaction: Transaction, new: NewObject) -> None:
        announced_bytes = new.checksums.size_bytes or 0
        buckets.check_fits(transaction, new, announced_bytes, self._quota_bytes)

    def _finished(self, session: UploadSession) -> StoredObject:
        new = session.new
        with self._database.snapshot() as transaction:
            stored = bucket_rows.get_object(transaction, new.bucket, new.name)
        if stored is None or stored.generation != session.generation:
            raise NotFoundError(f"{new} was uploaded and has been replaced or deleted")
        return stored

    def _forget(self, session_id: str, writer: BlobWriter) -> None:
        writer.abort()
        with self._database.transaction() as transaction:
            upload_rows.delete_unfinished(transaction, session_id)


def _no_session(bucket: str) -> NotFoundError:
    return NotFoundError(
        f"no such upload session of the bucket {bucket!r}: it was refused, cancelled, "
        f"or older than {SESSION_LIFETIME.days} days; start a new upload"
    )


def _expecting(upload: ObjectUpload) -> ObjectUpload:
    """Return an upload of which the disk takes all that is announced.

    Raises:
        ResourceExhaustedError: It does not; the upload is left as it was.
    """
    left_bytes = (upload.announced_bytes or 0) - upload.size_bytes
    if left_bytes > 0:
        try:
            upload.expect(left_bytes)
        except BaseException:
            upload.leave()
            raise
    return upload
