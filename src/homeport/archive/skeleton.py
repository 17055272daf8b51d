"""Skeletons: how the bytes of one file are put together again from pieces.

The text of a skeleton is a format:

    homeport skeleton 1
    whole <sha256> <size>
    here <size>                 followed by as many bytes and a line feed
    piece <sha256> <size>
    ...
    end

Lines end with a line feed; sizes are decimal, digests lower-case hex. The bytes that
are "here" and the pieces, in this order, are the whole. It knows nothing of zips: how
files are divided may change, how they are put together never does.
"""

import dataclasses
import io
import re
from collections.abc import Callable, Iterable
from typing import BinaryIO, Final

from homeport.errors import DataLossError

_HEAD: Final = b"homeport skeleton 1\n"
_END: Final = b"end\n"
_LINE_RE: Final = re.compile(
    rb"(?:here (\d{1,19})|(piece|whole) ([0-9a-f]{64}) (\d{1,19}))\n", re.ASCII
)
_MAX_LINE_BYTES: Final = 128


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that are kept by themselves.

    Attributes:
        sha256: Their digest.
        size_bytes: How many.
    """

    sha256: str
    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Here:
    """Bytes that lie in the skeleton.

    Attributes:
        begin: Their first byte, from the start of the skeleton.
        size_bytes: How many.
    """

    begin: int
    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Skeleton:
    """What a skeleton says.

    Attributes:
        whole: The file it stands for.
        segments: What the file is made of, in order.
    """

    whole: Piece
    segments: tuple[Piece | Here, ...]


class SkeletonWriter:
    """Writes the text of a skeleton.

    Args:
        write: Takes the next bytes of it.
        whole: The file it stands for.
    """

    def __init__(self, write: Callable[[bytes], object], whole: Piece) -> None:
        self._write = write
        write(_HEAD + f"whole {whole.sha256} {whole.size_bytes}\n".encode())

    def here(self, blocks: Iterable[bytes], size_bytes: int) -> None:
        """Add bytes, `size_bytes` in all blocks together."""
        self._write(f"here {size_bytes}\n".encode())
        for block in blocks:
            self._write(block)
        self._write(b"\n")

    def piece(self, piece: Piece) -> None:
        """Add bytes that are kept elsewhere."""
        self._write(f"piece {piece.sha256} {piece.size_bytes}\n".encode())

    def end(self) -> None:
        """Add what says that nothing is missing."""
        self._write(_END)


def read(file: BinaryIO) -> Skeleton:
    """Return what a skeleton says; the bytes that are "here" are passed over.

    Args:
        file: At the start of the skeleton's text; seekable.

    Raises:
        DataLossError: It is damaged.
    """
    if file.readline(_MAX_LINE_BYTES) != _HEAD:
        raise _damaged()
    whole = _segment(file)
    if not isinstance(whole, Piece):
        raise _damaged()
    segments = []
    while (segment := _segment(file)) is not None:
        segments.append(segment)
    if sum(segment.size_bytes for segment in segments) != whole.size_bytes:
        raise _damaged()
    return Skeleton(whole, tuple(segments))


def _segment(file: BinaryIO) -> Piece | Here | None:
    """Return the next segment, None at the end."""
    line = file.readline(_MAX_LINE_BYTES)
    if line == _END:
        return None
    match = _LINE_RE.fullmatch(line)
    if match is None:
        raise _damaged()
    if match[1] is None:
        return Piece(match[3].decode(), int(match[4]))
    here = Here(file.tell(), int(match[1]))
    file.seek(here.size_bytes, io.SEEK_CUR)
    if file.read(1) != b"\n":
        raise _damaged()
    return here


def _damaged() -> DataLossError:
    return DataLossError(
        "the stored skeleton of a file is damaged: upload the file again"
    )
