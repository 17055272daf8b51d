"""Bodies of any length on their way to the disk, in blocks, never held whole."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final, Protocol, Self

import anyio

from homeport.api import storage_json
from homeport.api.storage_requests import Call
from homeport.errors import DeadlineExceededError, InvalidArgumentError
from homeport.resources.bucket import Checksums

# A multiple of 256 KiB, so that what an interrupted session keeps is one too, as
# clients expect of it.
_BLOCK_BYTES: Final = 1 << 20
_IDLE_S: Final = 60.0
_LENGTH_RE: Final = re.compile(r"[0-9]{1,18}")


class Receiver(Protocol):
    """What bytes are written to; its methods wait for each other."""

    @property
    def size_bytes(self) -> int:
        """Bytes received so far."""

    def write(self, block: bytes) -> None:
        """Append a block."""

    def leave(self) -> None:
        """End this request without an object."""


async def receive(
    call: Call,
    upload: Receiver,
    chunks: AsyncIterator[bytes],
    end: int | None = None,
) -> None:
    """Write what arrives.

    Raises:
        DeadlineExceededError: Nothing arrived for a minute.
        InvalidArgumentError: More arrives than up to the byte `end` of the object.
        ResourceExhaustedError: The disk is full.
    """
    size_bytes = upload.size_bytes
    async with _Spool(call, upload) as spool:
        async for chunk in timely(chunks):
            size_bytes += len(chunk)
            if end is not None and chunk and size_bytes > end:
                raise InvalidArgumentError(
                    f"the body goes on after byte {end - 1}, which it said is its last"
                )
            await spool.add(chunk)
        await spool.flush()


class _Spool:
    """Writes in blocks: one is on its way to the disk while the next one gathers.

    Leaving the `async with` waits for the one on its way.
    """

    def __init__(self, call: Call, upload: Receiver) -> None:
        self._call = call
        self._upload = upload
        self._held = bytearray()
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        if self._writing is not None:
            await self._writing

    async def add(self, chunk: bytes) -> None:
        """Take a chunk of any size."""
        self._held += chunk
        while len(self._held) >= _BLOCK_BYTES:
            await self._write(bytes(memoryview(self._held)[:_BLOCK_BYTES]))
            del self._held[:_BLOCK_BYTES]

    async def flush(self) -> None:
        """Write what is left, as the last block."""
        if self._held:
            await self._write(bytes(self._held))

    async def _write(self, block: bytes) -> None:
        if self._writing is not None:
            await self._writing
        work = self._call.run(self._upload.write, block)
        self._writing = asyncio.create_task(work)


async def timely(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a body as it arrives.

    Raises:
        DeadlineExceededError: Nothing arrived for a minute.
    """
    while True:
        try:
            async with asyncio.timeout(_IDLE_S):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"nothing of the body arrived for {_IDLE_S:.0f} seconds: send it again"
            ) from error
        if chunk is None:
            return
        yield chunk


async def leave(call: Call, upload: Receiver) -> None:
    """End an upload that failed, also when the request was cancelled."""
    with anyio.CancelScope(shield=True):
        await call.run(upload.leave)


def header_checksums(call: Call) -> Checksums:
    """Return the checksums that the headers announce.

    Raises:
        InvalidArgumentError: One is not base64 of the right length.
    """
    values = call.request.headers.getlist("x-goog-hash")
    md5 = call.request.headers.get("content-md5")
    return storage_json.header_checksums([*values, *([f"md5={md5}"] if md5 else [])])


def announced(call: Call, header: str) -> int | None:
    """Return the length that a header announces, None if it says none."""
    text = call.request.headers.get(header, "")
    return int(text) if _LENGTH_RE.fullmatch(text) else None
