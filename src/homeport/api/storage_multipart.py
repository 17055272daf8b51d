"""multipart/related: a JSON part, then a media part that is never held in memory.

RFC 2387 as storage clients write it. gsutil quotes the boundary with single quotes and
ends lines with a bare line feed; the first line decides which line ends hold.
"""

import re
from typing import Final

from homeport.errors import InvalidArgumentError

MAX_METADATA_BYTES: Final = 1 << 16
_MAX_HEADER_BYTES: Final = 1 << 14
BOUNDARY_RE: Final = re.compile(
    r""";\s*boundary=(?:"([^"]+)"|'([^']+)'|([^\s;"']+))""", re.IGNORECASE
)
_CONTENT_TYPE_RE: Final = re.compile(rb"(?im)^content-type:[ \t]*([^\r\n]*?)[ \t]*\r?$")


def boundary(content_type: str) -> bytes:
    """Return the boundary of a multipart/related content type.

    Raises:
        InvalidArgumentError: It is of another type, or has no boundary.
    """
    match = BOUNDARY_RE.search(content_type)
    if match is None or not content_type.lower().startswith("multipart/related"):
        raise InvalidArgumentError(
            f"content-type {content_type!r}: expected multipart/related with a boundary"
        )
    return (match[1] or match[2] or match[3]).encode()


class RelatedParser:
    """Takes a two-part body in chunks of any size.

    Feed it until the body ends, then call `close`. Once `metadata` is not None, what
    `feed` returns is media.

    Args:
        boundary: As `boundary` returned it.
    """

    def __init__(self, boundary: bytes) -> None:
        self.metadata: bytes | None = None
        self.media_type = ""
        self._dashes = b"--" + boundary
        self._line_end = b""
        self._held = b""
        # Bytes at the beginning of what is held that are no media.
        self._skip = 0
        self._ended = False

    def feed(self, chunk: bytes) -> bytes:
        """Return the media bytes that are certain after this chunk.

        Raises:
            InvalidArgumentError: The body is not two parts, or the first is over
                64 KiB.
        """
        if self._ended:
            return b""
        self._held += chunk
        if self.metadata is None and not self._begin():
            self._check_held()
            return b""
        return self._media()

    def close(self) -> None:
        """Refuse a body that ended too early.

        Raises:
            InvalidArgumentError: The closing delimiter has not been seen.
        """
        if not self._ended:
            raise InvalidArgumentError(
                "the multipart body ended before its closing delimiter: send again"
            )

    def _begin(self) -> bool:
        """Take everything before the media, once all of it is there."""
        if not self._line_end and not self._open():
            return False
        delimiter = self._line_end + self._dashes + self._line_end
        first, found, rest = self._held.partition(delimiter)
        if not found:
            return False
        blank = self._line_end * 2
        headers, found, media = rest.partition(blank)
        if not found:
            return False
        _, found, self.metadata = first.partition(blank)
        if not found:
            raise InvalidArgumentError(
                "the first part of the multipart body has no blank line after its "
                "headers"
            )
        match = _CONTENT_TYPE_RE.search(headers)
        self.media_type = match[1].decode("latin-1") if match else ""
        # The delimiter of an empty part begins with the line end of its blank line.
        self._held = self._line_end + media
        self._skip = len(self._line_end)
        return True

    def _open(self) -> bool:
        """Find the first delimiter line, and by it how lines end."""
        start = self._held.find(self._dashes)
        end = self._held.find(b"\n", start)
        if start < 0 or end < 0:
            return False
        self._line_end = b"\r\n" if self._held[end - 1 : end] == b"\r" else b"\n"
        self._held = self._held[end + 1 - len(self._line_end) :]
        return True

    def _check_held(self) -> None:
        if len(self._held) > MAX_METADATA_BYTES + _MAX_HEADER_BYTES:
            raise InvalidArgumentError(
                "the first part of the multipart body has no end within "
                f"{MAX_METADATA_BYTES} bytes"
            )

    def _media(self) -> bytes:
        delimiter = self._line_end + self._dashes
        end = self._held.find(delimiter)
        if end < 0:
            # All but what may be the beginning of a delimiter.
            end = len(self._held) - len(delimiter) + 1
            return self._take(end) if end > self._skip else b""
        after = self._held[end + len(delimiter) :][:2]
        if len(after) == len(b"--"):
            if after != b"--":
                raise InvalidArgumentError(
                    "the multipart body has more than two parts: send one object"
                )
            self._ended = True
        return self._take(end)

    def _take(self, end: int) -> bytes:
        media = self._held[self._skip : end]
        self._held = self._held[end:]
        self._skip = 0
        return media
