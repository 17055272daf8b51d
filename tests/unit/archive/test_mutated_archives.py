"""Valid archives with bytes changed are refused by our errors, or stay harmless."""

import gzip
import io
import pathlib
import tempfile
import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.archive import mar, reading
from homeport.errors import HomeportError
from hostile import CASES, Case, Part, tarred, zipped

FORMATS: Final = pathlib.Path(__file__).parents[2] / "formats"
SEEDS: Final = (
    (FORMATS / "homeport_0.1.0.mar").read_bytes(),
    (FORMATS / "torch_model_archiver_0.12.0.mar").read_bytes(),
    zipped(Part(name=b"d/", text=b""), Part(name=b"d/w", text=b"w" * 50)),
    zipped(Part(name=b"deep/er/x.py", deflated=True, text=b"x = 1\n" * 20)),
)
TAR: Final = gzip.decompress(tarred())
_MAX_MEMORY_BYTES: Final = 8 << 20

Change = Callable[[bytes], bytes]


def _at(fraction: float, text: bytes) -> int:
    return int(fraction * len(text))


def _overwrite(where: float, new: bytes) -> Change:
    return lambda text: (
        text[: _at(where, text)] + new + text[_at(where, text) + len(new) :]
    )


def _insert(where: float, new: bytes) -> Change:
    return lambda text: text[: _at(where, text)] + new + text[_at(where, text) :]


def _cut(begin: float, length: int) -> Change:
    return lambda text: text[: _at(begin, text)] + text[_at(begin, text) + length :]


def _repeat(begin: float, length: int, to: float) -> Change:
    return lambda text: _insert(to, text[_at(begin, text) :][:length])(text)


def _end(length: int) -> Change:
    return lambda text: text[: len(text) - length]


_PLACES = st.floats(0, 1, exclude_max=True)
_LENGTHS = st.integers(1, 80)
# What headers are made of: more of what a reader takes for something.
_BYTES = st.binary(min_size=1, max_size=8) | st.sampled_from(
    [
        *(b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"),
        *(b"\xff" * 4, b"\xff" * 8, bytes(4), b"../", b"/", b"\0", b"8", b"\x01\x00"),
    ]
)
_CHANGES = st.lists(
    st.builds(_overwrite, _PLACES, _BYTES)
    | st.builds(_insert, _PLACES, _BYTES)
    | st.builds(_cut, _PLACES, _LENGTHS)
    | st.builds(_repeat, _PLACES, _LENGTHS, _PLACES)
    | st.builds(_end, _LENGTHS),
    min_size=1,
    max_size=4,
)


def _changed(text: bytes, changes: list[Change]) -> bytes:
    for change in changes:
        text = change(text)
    return text


def _try(text: bytes, suffix: str) -> None:
    """Read an archive in every way; what is written lies where it should."""
    with tempfile.TemporaryDirectory() as folder:
        room = pathlib.Path(folder)
        path = room / f"m{suffix}"
        path.write_bytes(text)
        names = set()
        try:
            names = {member.path for member in reading.check(path).members}
            mar.extract(path, room / "out")
        except HomeportError:
            assert {found.name for found in room.iterdir()} == {path.name}
        else:
            assert {found.name for found in room.iterdir()} == {path.name, "out"}
            files = [found for found in (room / "out").rglob("*") if found.is_file()]
            assert not any(found.is_symlink() for found in files)
            written = {found.relative_to(room / "out").as_posix() for found in files}
            assert written == names


@settings(deadline=None, max_examples=250)
@given(st.sampled_from(SEEDS), _CHANGES)
def test_a_changed_zip_is_refused_or_stays_inside(
    seed: bytes, changes: list[Change]
) -> None:
    _try(_changed(seed, changes), ".mar")


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(SEEDS), st.sampled_from(SEEDS), _PLACES, _PLACES)
def test_two_zips_spliced_are_refused_or_stay_inside(
    one: bytes, other: bytes, head: float, tail: float
) -> None:
    _try(one[: _at(head, one)] + other[_at(tail, other) :], ".mar")


@settings(deadline=None, max_examples=150)
@given(_CHANGES)
def test_a_changed_tar_is_refused_or_read(changes: list[Change]) -> None:
    _try(gzip.compress(_changed(TAR, changes), 1), ".tar.gz")


@settings(deadline=None, max_examples=50)
@given(_CHANGES)
def test_a_changed_gzip_is_refused_or_read(changes: list[Change]) -> None:
    _try(_changed(tarred(), changes), ".tar.gz")


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_not_changed_is_read(seed: bytes, tmp_path: pathlib.Path) -> None:
    mar.extract(io.BytesIO(seed), tmp_path / "out")

    assert (tmp_path / "out" / "MAR-INF" / "MANIFEST.json").is_file()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{case.id}{case.suffix}")
        for case in CASES
        if "bomb" in case.id or "inflates" in case.id or "endless" in case.id
    ],
)
def test_a_bomb_takes_no_memory(case: Case, tmp_path: pathlib.Path) -> None:
    path = tmp_path / f"m{case.suffix}"
    path.write_bytes(case.make())

    tracemalloc.start()
    with pytest.raises(HomeportError):
        reading.check(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < _MAX_MEMORY_BYTES
