"""An input file is cut into records, whatever is in it and wherever reading begins."""

import gzip
import io
import itertools
import struct
from collections.abc import Callable, Iterator

import crc32c
import hypothesis
import pytest
from hypothesis import strategies as st

from homeport.jobs import records
from homeport.jobs.records import Block
from homeport.resources.batch_job import InstancesFormat

LINES = InstancesFormat.JSONL
TF_RECORDS = InstancesFormat.TF_RECORD
LONGEST_BYTES = 40


def read(
    kind: InstancesFormat, content: bytes, start: int = 0, longest_bytes: int = 1 << 20
) -> list[Block]:
    return list(records.blocks(kind, io.BytesIO(content), start, longest_bytes))


def contents(blocks: list[Block]) -> list[bytes]:
    return list(itertools.chain.from_iterable(block.records for block in blocks))


def masked(content: bytes) -> bytes:
    found = crc32c.crc32c(content)
    rotated = ((found >> 15) | (found << 17)) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


def tf_record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + masked(length) + content + masked(content)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param(b"", [], id="empty"),
        pytest.param(b"1\n2\n", [b"1", b"2"], id="every line ended"),
        pytest.param(b"1\n2", [b"1", b"2"], id="last line not ended"),
        pytest.param(b"1\n\n2\n", [b"1", b"", b"2"], id="an empty line between"),
    ],
)
def test_lines_are_records(content: bytes, lines: list[bytes]) -> None:
    assert contents(read(LINES, content)) == lines


def test_lines_may_be_longer_than_what_is_read_at_a_time() -> None:
    long = b"x" * (3 << 20)

    blocks = read(LINES, b"a\n" + long + b"\nb\n", longest_bytes=4 << 20)

    assert contents(blocks) == [b"a", long, b"b"]


@pytest.mark.parametrize("size", [41, 3 << 20], ids=["a little", "by far"])
@pytest.mark.parametrize("last", [b"\nb\n", b"\n", b""], ids=["", "last", "unended"])
def test_a_line_that_is_too_long_is_a_problem_of_its_own(
    size: int, last: bytes
) -> None:
    content = b"a\n" + b"x" * size + last

    blocks = read(LINES, content, longest_bytes=LONGEST_BYTES)

    problems = [block for block in blocks if block.problem]
    assert [block.problem for block in problems] == [
        f"the line has {size} bytes: at most 40 are sent"
    ]
    assert problems[0].records == [b""]
    assert problems[0].start == 2
    sound = [block for block in blocks if not block.problem]
    assert contents(sound) == [b"a", *([b"b"] if b"b" in last else [])]


@hypothesis.given(
    st.lists(st.binary(max_size=60).filter(lambda line: b"\n" not in line)),
    st.booleans(),
)
def test_reading_goes_on_behind_any_record(lines: list[bytes], ended: bool) -> None:  # noqa: FBT001
    content = b"\n".join(lines) + (b"\n" if ended else b"")
    whole = read(LINES, content, longest_bytes=LONGEST_BYTES)

    for block in whole:
        for count in range(len(block.records) + 1):
            first = block.part(0, count, block.start)
            rest = block.part(count, len(block.records), first.end)
            again = read(LINES, content, first.end, LONGEST_BYTES)
            behind = [rest, *whole[whole.index(block) + 1 :]]
            assert contents(again) == contents(behind)


@pytest.mark.parametrize("kind", [TF_RECORDS, InstancesFormat.TF_RECORD_GZIP])
def test_records_of_tensorflow_are_read_packed_or_not(kind: InstancesFormat) -> None:
    content = b"".join(map(tf_record, [b"a", b"", b"c" * 2_000_000]))
    if kind is InstancesFormat.TF_RECORD_GZIP:
        content = gzip.compress(content)

    blocks = read(kind, content, longest_bytes=4 << 20)

    assert contents(blocks) == [b"a", b"", b"c" * 2_000_000]
    assert blocks[0].end == 33
    assert contents(read(kind, content, blocks[0].end, 4 << 20)) == [b"c" * 2_000_000]


def test_a_record_of_tensorflow_that_is_too_long_is_skipped() -> None:
    content = tf_record(b"a") + tf_record(b"x" * 41) + tf_record(b"b")

    blocks = read(TF_RECORDS, content, longest_bytes=LONGEST_BYTES)

    assert [(block.records, block.problem) for block in blocks] == [
        ([b"a"], ""),
        ([b""], "the record has 41 bytes: at most 40 are sent"),
        ([b"b"], ""),
    ]


def flipped(content: bytes) -> bytes:
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(lambda whole: whole[:-1], "it ends within a record", id="cut"),
        pytest.param(lambda whole: whole[:19], "it ends within a record", id="header"),
        pytest.param(flipped, "the checksum of a record does not hold", id="a bit"),
        pytest.param(
            lambda whole: whole[:17] + struct.pack("<Q", 1 << 63) + bytes(4),
            "the checksum of a record does not hold",
            id="length",
        ),
    ],
)
def test_behind_damage_nothing_is_found(
    damage: Callable[[bytes], bytes], said: str
) -> None:
    content = damage(tf_record(b"a") + tf_record(b"bbbb"))

    first, last = read(TF_RECORDS, content)

    assert first.records == [b"a"]
    assert last.problem == f"the file cannot be read from byte 17 on: {said}"
    # It is told once, wherever reading goes on.
    assert read(TF_RECORDS, content, last.end) == []


def test_a_length_that_no_file_has_is_survived() -> None:
    length = struct.pack("<Q", (1 << 64) - 1)

    blocks = read(TF_RECORDS, tf_record(b"a") + length + masked(length))

    assert blocks[0].records == [b"a"]
    assert blocks[1].problem.startswith("the file cannot be read from byte 17 on")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"no gzip", id="not packed"),
        pytest.param(gzip.compress(tf_record(b"a"))[:-9], id="cut short"),
    ],
)
def test_broken_packing_is_a_problem(content: bytes) -> None:
    blocks = read(InstancesFormat.TF_RECORD_GZIP, content)

    assert blocks[-1].problem.startswith("the file cannot be read from byte ")


def test_a_block_is_about_a_mebibyte() -> None:
    content = (b"x" * 999 + b"\n") * 5000

    blocks = read(LINES, content)

    assert max(sum(map(len, block.records)) for block in blocks) <= 1 << 20
    assert len(contents(blocks)) == 5000


class Counted(io.BytesIO):
    """Counts what is read of it."""

    read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self.read_bytes += len(content)
        return content


def test_no_more_is_read_than_is_asked_for() -> None:
    file = Counted(b"1\n" * (4 << 20))

    blocks: Iterator[Block] = records.blocks(LINES, file, 0, 10)
    next(blocks)

    assert file.read_bytes == 1 << 20
