"""Records: an input file cut into what becomes one instance each.

Cut block by block, so memory does not grow with the file, and many records at a time,
so a million of them cost little; a block knows where it begins, so that reading can go
on in the middle of a file. What is no record (too long, damaged) is one that says why.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple, cast

import crc32c

from homeport.resources.batch_job import InstancesFormat

_BLOCK_BYTES: Final = 1024 * 1024
# TFRecord: length, its checksum, the bytes, theirs; both checksums are masked CRC-32C.
_HEADER: Final = struct.Struct("<QI")
_FOOTER: Final = struct.Struct("<I")
_LENGTH_BYTES: Final = 8
_AROUND: Final = _HEADER.size + _FOOTER.size
_MASK_DELTA: Final = 0xA282EAD8
_WORD: Final = 0xFFFFFFFF
# No file is so long: where reading goes on behind damage.
_NOWHERE: Final = 1 << 62


class Block(NamedTuple):
    """Records that follow each other in a file.

    Attributes:
        records: The bytes of each, without what separates it from the next.
        start: Where the first begins, in bytes of the (unpacked) file.
        between: How many bytes of the file belong to each beside its own.
        problem: Why the one record that it has cannot be an instance, "" if all can.
    """

    records: list[bytes]
    start: int
    between: int
    problem: str = ""

    @property
    def end(self) -> int:
        """Where the next block begins."""
        own = sum(map(len, self.records))
        return self.start + own + self.between * len(self.records)

    def part(self, first: int, count: int, start: int) -> "Block":
        """Return the block of some of the records, of which the first begins there."""
        return self._replace(records=self.records[first : first + count], start=start)


def blocks(
    kind: InstancesFormat, file: BinaryIO, start: int, longest_bytes: int
) -> Iterator[Block]:
    """Yield the blocks of a file, about a MiB each.

    Args:
        kind: The format; of csv, the lines.
        file: Its bytes from the first, seekable.
        start: Where to begin: 0, or the end of a block.
        longest_bytes: Longer records are problems, and are not kept in memory.
    """
    if kind is InstancesFormat.TF_RECORD_GZIP:
        unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=file))
        return _tf_records(unpacked, start, longest_bytes)
    if kind is InstancesFormat.TF_RECORD:
        return _tf_records(file, start, longest_bytes)
    return _lines(file, start, longest_bytes)


def _lines(file: BinaryIO, start: int, longest_bytes: int) -> Iterator[Block]:
    """Yield lines; the last may lack its line feed."""
    file.seek(start)
    rest, dropped = b"", 0
    while content := file.read(_BLOCK_BYTES):
        *lines, rest = (rest + content).split(b"\n")
        if lines and dropped:
            size = dropped + len(lines[0])
            yield _too_long("line", start, size, 1, longest_bytes)
            start += size + 1
            dropped = 0
            del lines[0]
        for block in _sound(lines, start, longest_bytes):
            yield block
            start = block.end
        if len(rest) + dropped > longest_bytes:
            dropped += len(rest)
            rest = b""
    if dropped:
        yield _too_long("line", start, dropped + len(rest), 1, longest_bytes)
    elif rest:
        yield from _sound([rest], start, longest_bytes)


def _sound(lines: list[bytes], start: int, longest_bytes: int) -> Iterator[Block]:
    """Yield lines as one block, or around those that are too long."""
    while lines:
        if max(map(len, lines)) <= longest_bytes:
            yield Block(lines, start, 1)
            return
        index = next(
            index for index, line in enumerate(lines) if len(line) > longest_bytes
        )
        before = Block(lines[:index], start, 1)
        if index:
            yield before
        long = _too_long("line", before.end, len(lines[index]), 1, longest_bytes)
        yield long
        lines, start = lines[index + 1 :], long.end


def _tf_records(file: BinaryIO, start: int, longest_bytes: int) -> Iterator[Block]:
    """Yield TensorFlow's records, about a MiB together."""
    together: list[bytes] = []
    begin = start
    for one in _each_tf_record(file, start, longest_bytes):
        if together and (one.problem or one.end - begin > _BLOCK_BYTES):
            yield Block(together, begin, _AROUND)
            together, begin = [], one.start
        if one.problem:
            yield one
            begin = one.end
        else:
            together += one.records
    if together:
        yield Block(together, begin, _AROUND)


def _each_tf_record(file: BinaryIO, start: int, longest_bytes: int) -> Iterator[Block]:
    """Yield each record; behind a damaged one nothing can be found any more."""
    if start >= _NOWHERE:
        return
    try:
        file.seek(start)
        while header := file.read(_HEADER.size):
            length, check = _HEADER.unpack(_whole(header, _HEADER.size))
            _check(header[:_LENGTH_BYTES], check)
            if length > longest_bytes:
                block = _too_long("record", start, length, _AROUND, longest_bytes)
                file.seek(block.end)
            else:
                block = Block([_content(file, length)], start, _AROUND)
            yield block
            start = block.end
    except (EOFError, OSError, OverflowError, ValueError, zlib.error) as error:
        said = " ".join(str(error).split())
        problem = f"the file cannot be read from byte {start} on: {said}"
        yield Block([b""], start, _NOWHERE - start, problem)


def _content(file: BinaryIO, length: int) -> bytes:
    content = _whole(file.read(length), length)
    (check,) = _FOOTER.unpack(_whole(file.read(_FOOTER.size), _FOOTER.size))
    _check(content, check)
    return content


def _whole(content: bytes, size: int) -> bytes:
    if len(content) < size:
        raise EOFError("it ends within a record")
    return content


def _check(content: bytes, masked: int) -> None:
    found = crc32c.crc32c(content)
    rotated = (found >> 15 | found << 17) & _WORD
    if (rotated + _MASK_DELTA) & _WORD != masked:
        raise ValueError("the checksum of a record does not hold")


def _too_long(
    what: str, start: int, size: int, between: int, longest_bytes: int
) -> Block:
    problem = f"the {what} has {size} bytes: at most {longest_bytes} are sent"
    # Its bytes are gone, and still belong to the file.
    return Block([b""], start, size + between, problem)
