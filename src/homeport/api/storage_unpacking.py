"""Objects of `contentEncoding: gzip`, unpacked for readers who cannot do it themselves.

Google Cloud Storage calls it decompressive transcoding. What was not packed in spite of
its name is told as it is.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from starlette.datastructures import Headers

from homeport.resources.bucket import StoredObject

_MAGIC: Final = b"\x1f\x8b"
_GZIP_BITS: Final = 16 + zlib.MAX_WBITS
_PACKED_BYTES: Final = 1 << 16
_BLOCK_BYTES: Final = 1 << 20


def is_wanted(asked: Headers, stored: StoredObject, file: BinaryIO) -> bool:
    """Tell whether a reader is to have the bytes unpacked.

    Args:
        asked: The request's headers.
        stored: The object.
        file: Its bytes; at their beginning before and after.
    """
    properties = stored.properties
    if (
        properties.get("contentEncoding") != "gzip"
        or "no-transform" in properties.get("cacheControl", "")
        or _takes_gzip(asked.get("accept-encoding", ""))
    ):
        return False
    magic = file.read(len(_MAGIC))
    file.seek(0)
    return magic == _MAGIC


def headers(packed: dict[str, str]) -> dict[str, str]:
    """Return the headers of an unpacked answer, whose length nobody knows."""
    unpacked = dict(packed)
    for name in ("content-encoding", "accept-ranges"):
        unpacked.pop(name, None)
    # The tag is of the stored bytes: other bytes have only a weak one.
    return unpacked | {
        "etag": f"W/{packed['etag']}",
        "vary": "Accept-Encoding",
        "x-guploader-response-body-transformations": "gunzipped",
        "warning": "214 - Transformation Applied",
    }


def reader(file: BinaryIO) -> Callable[[], bytes]:
    """Return a function that returns the next block, b"" at the end.

    What is cut short or damaged raises zlib.error: the answer has begun by then, and
    its connection is broken off.
    """
    blocks = _unpacked(file)
    return lambda: next(blocks, b"")


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    unpacker, packed = zlib.decompressobj(_GZIP_BITS), b""
    while True:
        packed = packed or file.read(_PACKED_BYTES)
        if not packed:
            break
        block = unpacker.decompress(packed, _BLOCK_BYTES)
        packed = unpacker.unconsumed_tail
        if block:
            yield block
        if unpacker.eof:
            # RFC 1952: a file is any number of members, one behind the other.
            packed = unpacker.unused_data or file.read(_PACKED_BYTES)
            if not packed:
                return
            unpacker = zlib.decompressobj(_GZIP_BITS)
    raise zlib.error("the packed bytes end before their end")


def _takes_gzip(accepted: str) -> bool:
    """Tell whether an Accept-Encoding names gzip and does not refuse it."""
    for entry in accepted.split(","):
        coding, *parameters = [part.strip() for part in entry.lower().split(";")]
        if coding in {"gzip", "x-gzip"}:
            return not any(
                part.replace(" ", "") in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
                for part in parameters
            )
    return False
