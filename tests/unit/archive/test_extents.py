"""The parts of a stored archive are its members; hostile archives have none."""

import hashlib
import io
import itertools
import struct
import zipfile
from collections.abc import Mapping

import hypothesis
import pytest
from hypothesis import strategies as st

from homeport.archive import extents
from homeport.archive.extents import Extent

LAYER = b"layer" * 200
HEAD = b"head." * 200
# Deflated, they are no shorter.
NOISE = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(50))


def zipped(files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for path, content in files.items():
            file.writestr(zipfile.ZipInfo(path), content, compression)
    return buffer.getvalue()


def found(content: bytes, min_part_bytes: int = 500) -> list[bytes]:
    parts = extents.find(io.BytesIO(content), min_part_bytes)
    return [content[part.begin : part.end] for part in parts]


def members(content: bytes, min_part_bytes: int = 500) -> list[bytes]:
    """Return the parts that are no headers."""
    return [part for part in found(content, min_part_bytes) if b"PK" not in part]


def test_the_stored_members_are_parts() -> None:
    content = zipped({"a": LAYER, "b": HEAD})

    assert members(content) == [LAYER, HEAD]


def test_the_members_of_a_stored_zip_inside_are_parts() -> None:
    inner = zipped({"data/0": LAYER, "data/1": HEAD})

    assert members(zipped({"model.pt": inner, "code": b"c" * 600})) == [
        LAYER,
        HEAD,
        b"c" * 600,
    ]


def test_what_torch_saves_has_its_tensors_as_parts() -> None:
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save({"w": torch.arange(1000.0), "head": torch.ones(1000)}, buffer)
    tensors = [
        torch.arange(1000.0).numpy().tobytes(),
        torch.ones(1000).numpy().tobytes(),
    ]

    parts = found(zipped({"model.pt": buffer.getvalue()}), 2000)

    assert [part for part in parts if part in tensors] == tensors


def test_short_members_together_are_a_part() -> None:
    short = {f"{number}": bytes([number]) * 60 for number in range(4)}
    content = zipped({"a": LAYER, **short, "b": HEAD})

    parts = found(content)

    assert parts.index(HEAD) - parts.index(LAYER) == 2
    assert all(one in parts[parts.index(HEAD) - 1] for one in short.values())


def test_too_many_parts_are_fewer_and_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extents, "MAX_PARTS", 20)
    files = {f"{number}": bytes([number]) * 600 for number in range(30)}
    content = zipped({**files, "long": b"l" * 40000})

    parts = found(content)

    assert 0 < len(parts) <= 20
    assert b"l" * 40000 in parts


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"x" * 5000, id="no zip"),
        pytest.param(zipped({}), id="without members"),
        pytest.param(zipped({"a": b"short"}), id="short members"),
        pytest.param(
            zipped({"a": NOISE}, zipfile.ZIP_DEFLATED),
            id="deflated",
        ),
        pytest.param(b"junk" + zipped({"a": LAYER}), id="bytes in front"),
        pytest.param(zipped({"a": LAYER, "b": HEAD})[:-30], id="cut short"),
        pytest.param(zipped({"a": LAYER}) + b"junk", id="bytes behind"),
    ],
)
def test_what_is_no_stored_archive_has_no_parts(content: bytes) -> None:
    assert found(content) == []


def patched(content: bytes, signature: bytes, offset: int, value: int) -> bytes:
    """Return a zip with a 32-bit number of the last such record changed."""
    at = content.rindex(signature) + offset
    return content[:at] + struct.pack("<L", value) + content[at + 4 :]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            patched(zipped({"a": LAYER, "b": HEAD}), b"PK\1\2", 42, 0),
            id="two members of the same bytes",
        ),
        pytest.param(
            patched(zipped({"a": LAYER, "b": HEAD}), b"PK\1\2", 42, 100),
            id="a header that is none",
        ),
        pytest.param(
            patched(
                patched(zipped({"a": LAYER}), b"PK\1\2", 20, 1 << 30),
                b"PK\1\2",
                24,
                1 << 30,
            ),
            id="a member longer than its archive",
        ),
        pytest.param(
            patched(zipped({"a": LAYER}), b"PK\5\6", 12, 0xFFFFFFF0),
            id="a directory longer than its archive",
        ),
    ],
)
def test_an_archive_that_lies_has_no_parts(content: bytes) -> None:
    assert found(content) == []


class CountedReads(io.BytesIO):
    """A file that counts how often it is read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.count += 1
        return super().read(size)


def test_a_directory_of_one_member_many_times_is_not_followed() -> None:
    content = zipped({"a": LAYER})
    at = content.index(b"PK\1\2")
    entry = content[at : content.index(b"PK\5\6")]
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 5000, 5000, 5000 * len(entry), at, 0)
    file = CountedReads(content[:at] + 5000 * entry + end)

    assert extents.find(file, 500) == ()
    assert file.count < 20


def test_zips_in_zips_are_opened_three_deep() -> None:
    content = LAYER * 10
    for depth in range(6):
        content = zipped({f"{depth}": content})

    parts = found(content)

    # The fourth, behind a header of each around it.
    assert parts[0] == zipped({"2": zipped({"1": zipped({"0": LAYER * 10})})})


@hypothesis.given(
    sizes=st.lists(st.integers(0, 400), max_size=6),
    changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4),
    nested=st.booleans(),
)
def test_parts_are_in_order_and_within_the_file(
    sizes: list[int], changes: list[tuple[int, int]], *, nested: bool
) -> None:
    files = {f"{number}": b"x" * size for number, size in enumerate(sizes)}
    content = zipped({"model.pt": zipped(files)} if nested else files)
    hostile = bytearray(content)
    for place, value in changes:
        hostile[place % len(hostile)] = value

    parts = extents.find(io.BytesIO(bytes(hostile)), 64)

    assert all(part.size_bytes > 0 for part in parts)
    ends = [Extent(0, 0), *parts, Extent(len(hostile), 0)]
    assert all(one.end <= then.begin for one, then in itertools.pairwise(ends))
