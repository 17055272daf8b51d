"""Objects made of other bytes that are here already: compose, and uploads in parts.

As with every object, the blob is whole before the row is written.
"""

import contextlib
import dataclasses
import datetime as dt
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Final, final

from homeport.errors import HomeportError, InvalidArgumentError, NotFoundError
from homeport.metadata import bucket_rows, skeleton_rows, upload_rows
from homeport.metadata.database import Database
from homeport.objects.blobs import Blobs, BlobWriter
from homeport.objects.parts import Parts
from homeport.registry import buckets
from homeport.registry.buckets import Buckets
from homeport.registry.claims import Claims
from homeport.registry.object_uploads import SESSION_LIFETIME
from homeport.resources.bucket import (
    Checksums,
    Content,
    KeptPart,
    NewObject,
    ObjectRef,
    StoredObject,
    UploadSession,
)

MAX_SOURCES: Final = 32  # GCS Objects: compose
MAX_PARTS: Final = 10_000  # GCS quotas page, XML API multipart uploads
_BLOCK_BYTES: Final = 1 << 20
_SHA256_RE: Final = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, slots=True)
class PartRef:
    """A part as the request that completes an upload names it.

    Attributes:
        number: From 1.
        sha256: Of its bytes, lower-case hex, as `PartUpload.finish` told it.

    Raises:
        InvalidArgumentError: `sha256` is none.
    """

    number: int
    sha256: str

    def __post_init__(self) -> None:
        if not _SHA256_RE.fullmatch(self.sha256):
            raise InvalidArgumentError(
                f"part {self.number} has the ETag {self.sha256!r:.80}: give the one "
                "that its upload was answered with"
            )


@final
class PartUpload:
    """One part being received; exactly one of `finish` and `leave` ends it.

    Its methods wait for each other, since a request that is cancelled leaves it while
    the thread of its last block may still be writing. Made by `Compositions`.
    """

    def __init__(self, writer: BlobWriter, of: str) -> None:
        self._writer = writer
        self._of = of
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """Bytes received so far."""
        return self._writer.size_bytes

    def write(self, block: bytes) -> None:
        """Append a block.

        Raises:
            ResourceExhaustedError: The disk is full.
        """
        with self._lock:
            self._writer.write(block)

    def finish(self, checksums: Checksums) -> Content:
        """Keep the part; on a refusal nothing of it is kept.

        Raises:
            InvalidArgumentError: The bytes are not those that were sent.
            ResourceExhaustedError: The disk is full.
        """
        with self._lock:
            try:
                checksums.check(self._writer.content(), of=self._of)
                return self._writer.commit()
            finally:
                self._writer.abort()

    def leave(self) -> None:
        """Forget the bytes, unless the part is finished."""
        with self._lock:
            self._writer.abort()


class Compositions:
    """Makes objects of other bytes.

    Args:
        database: The rows.
        blobs: The bytes of objects.
        parts: The bytes of parts.
        now: The time, aware.
        quota_bytes: What the objects of one bucket may have together, None for no
            limit.
        claims: Notes the sessions that are being completed; None for its own.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        parts: Parts,
        now: Callable[[], dt.datetime],
        quota_bytes: int | None = None,
        claims: Claims | None = None,
    ) -> None:
        self._quota_bytes = quota_bytes
        self._database = database
        self._blobs = blobs
        self._parts = parts
        self._now = now
        self._claims = claims or Claims()
        self._buckets = Buckets(database, blobs, now)

    def compose(self, sources: Sequence[ObjectRef], target: NewObject) -> StoredObject:
        """Return a new object of the bytes of others, one behind the other.

        Args:
            sources: 1 to 32, in order; the target may be among them.
            target: What is made, and what must hold of the one it replaces.

        Raises:
            InvalidArgumentError: None, or too many.
            NotFoundError: No such bucket, object or generation.
            ConditionNotMetError: A condition on a source or the target fails.
            ResourceExhaustedError: The disk is full.
        """
        if not 1 <= len(sources) <= MAX_SOURCES:
            raise InvalidArgumentError(
                f"a compose takes 1 to {MAX_SOURCES} source objects, this has "
                f"{len(sources)}: compose in several steps"
            )
        with self._database.snapshot() as transaction:
            buckets.check_writable(transaction, target)
        with contextlib.ExitStack() as stack:
            read = [self._buckets.read_object(source) for source in sources]
            for _, file in read:
                stack.enter_context(file)
            content = self._joined(target, (file for _, file in read))
        count = sum(_component_count(stored.properties) for stored, _ in read)
        target = dataclasses.replace(
            target, properties={**target.properties, "componentCount": count}
        )
        with self._database.transaction() as transaction:
            skeleton_rows.note_written(transaction, content.sha256)
            return buckets.write_row(
                transaction, target, content, self._now(), self._quota_bytes
            )

    def begin(self, new: NewObject) -> UploadSession:
        """Return a new session for an object that arrives in parts.

        Raises:
            NotFoundError: No such bucket.
            ConditionNotMetError: A condition on the object it replaces fails already.
        """
        session = UploadSession(secrets.token_urlsafe(32), new, 0, self._now())
        with self._database.transaction() as transaction:
            buckets.check_writable(transaction, new)
            upload_rows.insert(transaction, session)
        return session

    def begin_part(
        self, at: ObjectRef, session_id: str, number: int, size_bytes: int = 0
    ) -> PartUpload:
        """Return the upload of a part of what will be the object `at`.

        Args:
            at: The object.
            session_id: The session's.
            number: The part's.
            size_bytes: How long it is announced to be, 0 if nobody says.

        Raises:
            InvalidArgumentError: The number is none of a part.
            NotFoundError: No such session.
            ResourceExhaustedError: The disk is full.
        """
        if not 1 <= number <= MAX_PARTS:
            raise InvalidArgumentError(
                f"part {number}: parts are numbered from 1 to {MAX_PARTS}"
            )
        session = self._session(at, session_id)
        writer = self._parts.begin(session_id, number)
        try:
            if size_bytes:
                writer.expect(size_bytes)
        except BaseException:
            writer.abort()
            raise
        return PartUpload(writer, f"part {number} of {session.new}")

    def list_parts(
        self, at: ObjectRef, session_id: str, *, after: int, limit: int
    ) -> tuple[tuple[KeptPart, ...], bool]:
        """Return the parts there are, by number, and whether there are more.

        Of two with one number it is the one that came last.

        Args:
            at: The object.
            session_id: The session's.
            after: The first part has a higher number.
            limit: How many at most.

        Raises:
            NotFoundError: No such session.
            UnavailableError: The store of the parts does not answer.
        """
        self._session(at, session_id)
        latest = {part.number: part for part in sorted(self._parts.iterate(session_id))}
        found = [latest[number] for number in sorted(latest) if number > after]
        return tuple(found[:limit]), len(found) > limit

    def complete(
        self, at: ObjectRef, session_id: str, parts: Sequence[PartRef]
    ) -> StoredObject:
        """Return the object made of the parts named; the others are forgotten.

        Repeated, as by a client that lost the answer, it returns the same object, also
        at another server at the same time.

        Raises:
            InvalidArgumentError: None are named, out of order, missing, or other
                bytes than the sender says.
            NotFoundError: No such session, or its object was replaced or deleted.
            ConditionNotMetError: A condition on the object it replaces fails.
            UnavailableError: Another request is completing it.
            ResourceExhaustedError: The disk is full.
        """
        with self._claims.hold(session_id):
            session = self._session(at, session_id, finished=True)
            if session.generation:
                return self._finished(session)
            _check_order(parts)
            stored = self._completed(session, parts)
            if stored is None:
                return self._finished(self._session(at, session_id, finished=True))
            self._parts.discard(session_id)
        return stored

    def abort(self, at: ObjectRef, session_id: str) -> None:
        """End a session without an object.

        Raises:
            NotFoundError: No such session.
            UnavailableError: Another request is completing it.
        """
        with self._claims.hold(session_id):
            self._session(at, session_id)
            with self._database.transaction() as transaction:
                if not upload_rows.delete_unfinished(transaction, session_id):
                    raise _over()
            self._parts.discard(session_id)

    def _session(
        self, at: ObjectRef, session_id: str, *, finished: bool = False
    ) -> UploadSession:
        with self._database.snapshot() as transaction:
            session = upload_rows.get(transaction, session_id)
        if session is not None and str(session.new) != str(at):
            raise NotFoundError(f"no such upload of {at}: start a new one")
        over = session is None or session.create_time + SESSION_LIFETIME < self._now()
        if session is None or over or (session.generation and not finished):
            raise _over()
        return session

    def _completed(
        self, session: UploadSession, parts: Iterable[PartRef]
    ) -> StoredObject | None:
        """Return the object of a session; None if another server has ended it."""
        try:
            content = self._joined(session.new, self._opened(session.id, parts))
        except HomeportError:
            # Whoever was first has removed the parts, or made the object that this
            # one would not replace.
            with self._database.snapshot() as transaction:
                if upload_rows.is_unfinished(transaction, session.id):
                    raise
            return None
        with self._database.transaction() as transaction:
            if not upload_rows.is_unfinished(transaction, session.id):
                return None
            stored = buckets.write_row(
                transaction, session.new, content, self._now(), self._quota_bytes
            )
            skeleton_rows.note_written(transaction, content.sha256)
            upload_rows.finish(transaction, session.id, stored.generation)
        return stored

    def _finished(self, session: UploadSession) -> StoredObject:
        new = session.new
        with self._database.snapshot() as transaction:
            stored = bucket_rows.get_object(transaction, new.bucket, new.name)
        if stored is None or stored.generation != session.generation:
            raise NotFoundError(f"{new} was uploaded and has been replaced or deleted")
        return stored

    def _opened(self, session_id: str, parts: Iterable[PartRef]) -> Iterator[BinaryIO]:
        for part in parts:
            with self._parts.open(session_id, part.number, part.sha256) as file:
                yield file

    def _joined(self, new: NewObject, files: Iterable[BinaryIO]) -> Content:
        """Return the content of a new blob of these bytes."""
        writer = self._blobs.begin()
        try:
            for file in files:
                while block := file.read(_BLOCK_BYTES):
                    writer.write(block)
            with self._database.snapshot() as transaction:
                buckets.check_fits(
                    transaction, new, writer.size_bytes, self._quota_bytes
                )
            return writer.commit()
        finally:
            writer.abort()


def _over() -> NotFoundError:
    return NotFoundError(
        "no such upload: it was completed, aborted, or older than "
        f"{SESSION_LIFETIME.days} days; start a new one"
    )


def _component_count(properties: Any) -> int:  # noqa: ANN401  # as it is kept
    count = properties.get("componentCount", 1)
    return count if isinstance(count, int) else 1


def _check_order(parts: Sequence[PartRef]) -> None:
    numbers = [part.number for part in parts]
    if not numbers or numbers != sorted(set(numbers)):
        raise InvalidArgumentError(
            "an upload is completed with its parts, at least one, each once and in "
            "the order of their numbers"
        )
