"""A skeleton and its pieces give back the file, at whichever place it is read."""

import hashlib
import io
import os
from typing import BinaryIO

import hypothesis
import pytest
from hypothesis import strategies as st

from homeport.archive import rebuilding, skeleton
from homeport.archive.skeleton import Here, Piece, Skeleton, SkeletonWriter
from homeport.errors import DataLossError


class Pieces:
    """Pieces in memory, and how often one was opened."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.opened = 0

    def put(self, content: bytes) -> Piece:
        sha256 = hashlib.sha256(content).hexdigest()
        self.kept[sha256] = content
        return Piece(sha256, len(content))

    def open(self, sha256: str) -> BinaryIO:
        self.opened += 1
        if sha256 not in self.kept:
            raise DataLossError(f"{sha256} is gone")
        return io.BytesIO(self.kept[sha256])


def written(pieces: Pieces, segments: list[tuple[bool, bytes]]) -> bytes:
    whole = b"".join(content for _, content in segments)
    text = io.BytesIO()
    writer = SkeletonWriter(text.write, pieces.put(whole))
    for is_piece, content in segments:
        if is_piece:
            writer.piece(pieces.put(content))
        else:
            writer.here([content[:3], content[3:]], len(content))
    writer.end()
    return text.getvalue()


def test_the_text_is_that_of_the_module_docstring() -> None:
    pieces = Pieces()

    text = written(pieces, [(False, b"he"), (True, b"llo")])

    assert text == (
        b"homeport skeleton 1\n"
        b"whole 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 5\n"
        b"here 2\nhe\n"
        b"piece 13d896353557f29e6c8aac4bde65c743f4206df820ff8328ae567f924189d339 3\n"
        b"end\n"
    )


def test_a_skeleton_is_read_without_the_bytes_in_it() -> None:
    pieces = Pieces()
    text = written(pieces, [(False, b"end\nhere 1\n"), (True, b"llo")])

    found = skeleton.read(io.BytesIO(text))

    llo = pieces.put(b"llo")
    assert found == Skeleton(
        pieces.put(b"end\nhere 1\nllo"), (Here(text.index(b"end"), 11), llo)
    )


SEGMENTS = st.lists(st.tuples(st.booleans(), st.binary(max_size=20)), max_size=6)


@hypothesis.given(
    segments=SEGMENTS,
    reads=st.lists(st.tuples(st.integers(0, 130), st.integers(0, 130)), max_size=5),
)
def test_any_part_of_the_file_is_read(
    segments: list[tuple[bool, bytes]], reads: list[tuple[int, int]]
) -> None:
    pieces = Pieces()
    text = written(pieces, segments)
    whole = b"".join(content for _, content in segments)

    with rebuilding.rebuilt(io.BytesIO(text), pieces.open) as file:
        for begin, size in reads:
            file.seek(begin)
            assert file.read(size) == whole[begin : begin + size]
        assert file.seek(0, os.SEEK_END) == len(whole)
        file.seek(0)
        assert file.read() == whole


def test_closing_the_file_closes_what_it_is_made_of() -> None:
    pieces = Pieces()
    text = io.BytesIO(written(pieces, [(True, b"hello")]))

    with rebuilding.rebuilt(text, pieces.open) as file:
        file.read(1)

    assert text.closed


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "cut short"])
def test_a_piece_that_is_not_whole_is_data_loss(*, is_lost: bool) -> None:
    pieces = Pieces()
    text = written(pieces, [(False, b"he"), (True, b"llo")])
    sha256 = hashlib.sha256(b"llo").hexdigest()
    if is_lost:
        del pieces.kept[sha256]
    else:
        pieces.kept[sha256] = b"l"

    with (
        rebuilding.rebuilt(io.BytesIO(text), pieces.open) as file,
        pytest.raises(DataLossError, match=sha256),
    ):
        file.read()


@hypothesis.given(
    segments=SEGMENTS, cut=st.integers(0), change=st.none() | st.integers(0, 255)
)
def test_a_damaged_skeleton_is_data_loss_or_of_the_same_length(
    segments: list[tuple[bool, bytes]], cut: int, change: int | None
) -> None:
    text = written(Pieces(), segments)
    cut %= len(text)
    damaged = text[:cut]
    if change is not None:
        damaged += bytes([change]) + text[cut + 1 :]

    try:
        found = skeleton.read(io.BytesIO(damaged))
    except DataLossError:
        return

    assert change is not None
    sizes = [segment.size_bytes for segment in found.segments]
    assert sum(sizes) == found.whole.size_bytes
