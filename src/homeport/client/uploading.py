"""A local file on its way into a bucket: sent once, gone on with where it broke off.

The session of the object store's resumable uploads is noted in the user's cache
directory until the object is there, so that also another process goes on with it. What
was sent is compared by crc32c before the object appears, and the file must not change
meanwhile.
"""

import base64
import dataclasses
import pathlib
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Final

import crc32c

from homeport.client.connection import Answer, Connection
from homeport.client.uploadnotes import FileState, Note
from homeport.errors import (
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)

_CHUNK_BYTES: Final = 1 << 20
# The last request carries the checksum of all: so it begins once the rest was read. A
# multiple of 256 KiB, as the parts of an upload are.
_TAIL_BYTES: Final = 4 << 20
_PATIENCE_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0
_GO_ON: Final = 308

OnProgress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where a file goes.

    Attributes:
        bucket: Of the server's store; it is there.
        name: Of the object.
    """

    bucket: str
    name: str

    @property
    def uri(self) -> str:
        """Its `gs://` address."""
        return f"gs://{self.bucket}/{self.name}"


def upload(
    connection: Connection,
    file: pathlib.Path,
    target: Target,
    on_progress: OnProgress,
    patience_s: float = _PATIENCE_S,
) -> None:
    """Send a file, or what an earlier attempt left of it.

    Args:
        connection: The server.
        file: What; it must not change meanwhile.
        target: Where to.
        on_progress: Called with how many bytes of how many the server has been sent.
        patience_s: How long nothing may get through, before it is given up: then what
            was sent stays, and the next call goes on.

    Raises:
        FailedPreconditionError: The file changed while it was sent.
        DataLossError: What arrived is not what was sent.
        UnavailableError: The server is away for too long.
        InvalidArgumentError: It cannot be read.
        HomeportError: The server's own refusal.
    """
    try:
        state = FileState.of(file)
        key = (connection.address.url, target.uri, str(file.resolve()))
        with Note.of(*key) as note:
            _Upload(connection, file, state, note, on_progress).run(target, patience_s)
    except OSError as error:
        raise InvalidArgumentError(
            f"{file} cannot be uploaded: {error.strerror or error}"
        ) from error


class _Upload:
    """One file and its session."""

    def __init__(
        self,
        connection: Connection,
        file: pathlib.Path,
        state: FileState,
        note: Note,
        on_progress: OnProgress,
    ) -> None:
        self._connection = connection
        self._file = file
        self._state = state
        self._note = note
        self._on_progress = on_progress
        self._session = note.session_for(state)
        self._sent_bytes = 0

    def run(self, target: Target, patience_s: float) -> None:
        """Send until all is there, or nothing gets through for so long."""
        deadline = time.monotonic() + patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            before = self._sent_bytes
            try:
                if self._attempt(target):
                    return
            except (UnavailableError, DeadlineExceededError) as error:
                if self._sent_bytes > before:
                    deadline, pause_s = time.monotonic() + patience_s, _FIRST_PAUSE_S
                if time.monotonic() > deadline:
                    raise self._given_up(error) from error
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            except KeyboardInterrupt as interrupt:
                interrupt.add_note(self._how_to_go_on())
                raise

    def _attempt(self, target: Target) -> bool:
        """Send once; return whether it is there, False to begin anew."""
        session = self._session
        try:
            session = self._session = session or self._begin(target)
            self._send(session)
        except NotFoundError:
            # The session's end, after a week; or there is no such bucket.
            self._session = ""
            if not session:
                raise
            self._note.forget()
            return False
        except FailedPreconditionError:
            self._abandon(session)
            raise
        self._note.forget()
        return True

    def _begin(self, target: Target) -> str:
        """Open a session and note it; return its path with the query."""
        answer = self._connection.exchange(
            "POST",
            f"/upload/storage/v1/b/{urllib.parse.quote(target.bucket, safe='')}/o",
            content=b"{}",
            headers={
                "content-type": "application/json",
                "x-upload-content-length": str(self._state.size_bytes),
            },
            query={"uploadType": "resumable", "name": target.name},
        )
        # Its host is the server's own idea of it; here it has another name perhaps.
        parts = urllib.parse.urlsplit(answer.headers["location"])
        session = f"{parts.path}?{parts.query}"
        self._note.write(self._state, session)
        return session

    def _send(self, session: str) -> None:
        """Send what the server lacks, the last stretch with the checksum of all."""
        total = self._state.size_bytes
        first = self._received(session)
        tail = max(first, (total - 1) // _TAIL_BYTES * _TAIL_BYTES)
        checksum = _Checksum(self._file, first)
        if first < tail:
            body = self._chunks(first, tail, checksum)
            answer = self._put(session, f"bytes {first}-{tail - 1}/{total}", body)
            if _received(answer, total) != tail:
                raise UnavailableError(
                    f"the server at {self._connection.address.url} has kept "
                    f"{_received(answer, total)} of {tail} bytes"
                )
        last = b"".join(self._chunks(tail, total, checksum))
        if FileState.of(self._file) != self._state:
            raise self._changed()
        self._finish(session, last, tail, checksum)

    def _finish(
        self, session: str, last: bytes, first: int, checksum: "_Checksum"
    ) -> None:
        total = self._state.size_bytes
        span = f"{first}-{total - 1}" if last else "*"
        told = {"x-goog-hash": f"crc32c={checksum.base64}"}
        try:
            self._put(session, f"bytes {span}/{total}", last, told)
        except InvalidArgumentError as error:
            self._abandon(session)
            raise DataLossError(
                f"{self._file} did not arrive as it was sent ({error.message}): nothing"
                " of it was stored; upload it again"
            ) from error
        self._sent(total)

    def _put(
        self,
        session: str,
        span: str,
        body: bytes | Iterator[bytes],
        headers: dict[str, str] | None = None,
    ) -> Answer:
        headers = {**(headers or {}), "content-range": span}
        if not isinstance(body, bytes):
            first, end = span.removeprefix("bytes ").partition("/")[0].split("-")
            headers["content-length"] = str(int(end) + 1 - int(first))
        return self._connection.exchange("PUT", session, content=body, headers=headers)

    def _received(self, session: str) -> int:
        """Return how many bytes the server has."""
        # Without a total the question never ends the upload.
        answer = self._put(session, "bytes */*", b"")
        received = _received(answer, self._state.size_bytes)
        self._sent(received)
        return received

    def _chunks(self, first: int, end: int, checksum: "_Checksum") -> Iterator[bytes]:
        with self._file.open("rb") as stream:
            stream.seek(first)
            while first < end:
                chunk = stream.read(min(_CHUNK_BYTES, end - first))
                if not chunk:
                    raise self._changed()
                checksum.update(chunk)
                first += len(chunk)
                yield chunk
                self._sent(first)

    def _sent(self, size_bytes: int) -> None:
        self._sent_bytes = size_bytes
        self._on_progress(size_bytes, self._state.size_bytes)

    def _abandon(self, session: str) -> None:
        self._note.forget()
        if not session:
            return
        # The server forgets it by itself after a week.
        try:
            self._connection.exchange("DELETE", session)
        except HomeportError:
            return

    def _changed(self) -> HomeportError:
        return FailedPreconditionError(
            f"{self._file} changed while it was uploaded: nothing of it was stored; "
            "upload it again once it is written"
        )

    def _given_up(self, error: HomeportError) -> HomeportError:
        return UnavailableError(f"{error.message}; {self._how_to_go_on()}")

    def _how_to_go_on(self) -> str:
        return (
            f"{self._sent_bytes} of {self._state.size_bytes} bytes of {self._file} were"
            " sent: upload it again to go on from there"
        )


class _Checksum:
    """The crc32c of a file from its beginning, as far as it was sent."""

    def __init__(self, file: pathlib.Path, first: int) -> None:
        self._value = 0
        with file.open("rb") as stream:
            while first > 0:
                chunk = stream.read(min(_CHUNK_BYTES, first))
                if not chunk:
                    return
                self.update(chunk)
                first -= len(chunk)

    def update(self, chunk: bytes) -> None:
        self._value = crc32c.crc32c(chunk, self._value)

    @property
    def base64(self) -> str:
        return base64.b64encode(self._value.to_bytes(4, "big")).decode()


def _received(answer: Answer, total: int) -> int:
    """Return how many bytes an answer says the server has."""
    if answer.status != _GO_ON:
        return total
    _, _, last = answer.headers.get("range", "").rpartition("-")
    return int(last) + 1 if last else 0
