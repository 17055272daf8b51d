"""An archive is refused before anything of it is written, and extracted whole."""

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.archive import mar
from homeport.archive.mar import Limits, Member
from homeport.errors import (
    AlreadyExistsError,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
)

MANIFEST: Final = (
    b'{"runtime": "python", "model": {"modelName": "m", "modelVersion": "1.0", '
    b'"handler": "handler.py", "serializedFile": "model.pt"}}'
)
FILES: Final[Mapping[str, bytes]] = {
    "MAR-INF/MANIFEST.json": MANIFEST,
    "handler.py": b"def handle(data, context): ...\n",
    "model.pt": b"weights" * 100,
}


def _zip(
    files: Mapping[str, bytes] = FILES,
    *extra: tuple[zipfile.ZipInfo, bytes],
    deflated: bool = False,
) -> bytes:
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        for entry, content in extra:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
                archive.writestr(entry, content)
    return buffer.getvalue()


def _entry(path: str, *, mode: int = 0, method: int = 0) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path)
    entry.filename = entry.orig_filename = path  # as written, not as ZipInfo tidies
    entry.external_attr = mode << 16
    entry.compress_type = method
    return entry


def _with(path: str, content: bytes = b"x", **kind: int) -> bytes:
    return _zip(FILES, (_entry(path, **kind), content))


def _without(path: str) -> bytes:
    return _zip({key: value for key, value in FILES.items() if key != path})


def _replaced(old: bytes, new: bytes) -> bytes:
    archive = _zip()
    assert old in archive
    return archive.replace(old, new, 1)


def _with_flag(flag: int) -> bytes:
    """Return the archive with a flag set in both headers of its first member."""
    archive = bytearray(_zip())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        offset = archive.index(signature) + at
        struct.pack_into("<H", archive, offset, flag)
    return bytes(archive)


def test_inspect_tells_what_is_inside() -> None:
    inventory = mar.inspect(io.BytesIO(_zip()))

    assert inventory.manifest.model_name == "m"
    assert [member.path for member in inventory.members] == [
        "MAR-INF/MANIFEST.json",
        "handler.py",
        "model.pt",
    ]
    assert inventory.members[2] == Member(
        path="model.pt",
        size_bytes=700,
        compressed_bytes=700,
        stored=True,
        crc32=0x12BB7670,
    )
    assert inventory.total_bytes == inventory.compressed_bytes == 859
    assert inventory.stored


def test_some_members_are_read_and_the_others_are_not_missed() -> None:
    found = mar.read(io.BytesIO(_zip(deflated=True)), {"handler.py", "none.py"}, 31)

    assert found == {"handler.py": b"def handle(data, context): ...\n"}


@pytest.mark.parametrize(
    ("archive", "problem"),
    [
        pytest.param(_zip(), "handler.py has 31 bytes, the limit is 30", id="long"),
        pytest.param(
            _replaced(b"def handle", b"def hundle"),
            "'handler.py' is damaged",
            id="damaged",
        ),
        pytest.param(_with("../x"), "x", id="hostile elsewhere"),
    ],
)
def test_a_member_that_cannot_be_read_is_refused(archive: bytes, problem: str) -> None:
    limit = 31 if "damaged" in problem else 30

    with pytest.raises(InvalidArgumentError, match=problem):
        mar.read(io.BytesIO(archive), {"handler.py"}, limit)


def test_a_deflated_archive_is_understood_too() -> None:
    inventory = mar.check(io.BytesIO(_zip(deflated=True)))

    assert inventory.total_bytes == 859
    assert inventory.compressed_bytes < 859
    assert not inventory.stored


def test_an_open_file_stays_open() -> None:
    file = io.BytesIO(_zip())

    mar.inspect(file)

    assert not file.closed


def test_extract_publishes_everything_read_only(tmp_path: Path) -> None:
    archive = tmp_path / "m.mar"
    archive.write_bytes(_with("package/deep/module.py", b"x = 1\n", method=8))
    directory = tmp_path / "out" / "m"

    mar.extract(archive, directory)

    modes = {
        path.relative_to(directory).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in directory.rglob("*")
    }
    assert modes == {
        "MAR-INF": 0o555,
        "MAR-INF/MANIFEST.json": 0o444,
        "handler.py": 0o444,
        "model.pt": 0o444,
        "package": 0o555,
        "package/deep": 0o555,
        "package/deep/module.py": 0o444,
    }
    assert stat.S_IMODE(directory.stat().st_mode) == 0o555
    assert (directory / "model.pt").read_bytes() == b"weights" * 100
    assert (directory / "package/deep/module.py").read_text() == "x = 1\n"
    assert [path.name for path in directory.parent.iterdir()] == ["m"]


def test_extract_never_writes_over_a_directory(tmp_path: Path) -> None:
    directory = tmp_path / "mine"
    directory.mkdir()
    (directory / "kept.txt").write_text("mine")

    with pytest.raises(AlreadyExistsError, match="exists already"):
        mar.extract(io.BytesIO(_zip()), directory)

    assert [path.name for path in directory.iterdir()] == ["kept.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_missing_archive_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no archive 'm\.mar'"):
        mar.inspect(tmp_path / "m.mar")


def test_a_directory_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="is a directory"):
        mar.inspect(tmp_path)


def test_the_current_directory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidArgumentError, match=r"^'\.' is a directory"):
        mar.inspect(Path())


@pytest.mark.parametrize(
    ("archive", "problem"),
    [
        pytest.param(b"", "is empty", id="empty file"),
        pytest.param(b"hello, world" * 9, "is not a zip", id="text"),
        pytest.param(b"\x1f\x8b\x08" + bytes(40), "gzip file", id="tgz"),
        pytest.param(_zip()[:-40], "is cut short", id="truncated"),
        pytest.param(_zip()[:30], "is cut short", id="first header alone"),
        pytest.param(_zip({}), "is not a zip file with members", id="no members"),
        pytest.param(b"junk" + _zip(), "is not a zip", id="junk in front"),
        pytest.param(
            _zip()[:40] + b"PK" + _zip()[40:], "not where its end record", id="shifted"
        ),
        pytest.param(_zip() + b"junk", "bytes behind its end", id="junk behind"),
        pytest.param(
            _without("MAR-INF/MANIFEST.json"), "has no MAR-INF/MANIFEST", id="plain zip"
        ),
        pytest.param(
            _zip({**FILES, "MAR-INF/MANIFEST.json": b"{"}), "not valid JSON", id="json"
        ),
        pytest.param(
            _zip({**FILES, "MAR-INF/MANIFEST.json": b" " * (2 << 20)}),
            "2097152 bytes, the limit is 1048576",
            id="big manifest",
        ),
        pytest.param(
            _without("handler.py"), "handler names 'handler.py'", id="handler"
        ),
        pytest.param(_without("model.pt"), "serializedFile names 'model", id="weights"),
        pytest.param(_with("/etc/passwd"), "is an absolute path", id="absolute"),
        pytest.param(_with("C:/x"), "is an absolute path", id="drive letter"),
        pytest.param(_with("a/../../x"), "points outside", id="dot dot"),
        pytest.param(_with("a//x"), "empty or '.' part", id="empty part"),
        pytest.param(_with("./x"), "empty or '.' part", id="dot"),
        pytest.param(_with("a\\x"), "has a backslash", id="backslash"),
        pytest.param(_with("a\nx"), "has a control character", id="newline"),
        pytest.param(
            _with("a.py?evil").replace(b"a.py?", b"a.py\0"),
            "has a control character",
            id="NUL",
        ),
        pytest.param(_with("x" * 300), "a name over 255 bytes", id="long name"),
        pytest.param(_with("d/" * 40 + "x"), "over 32 directories", id="deep"),
        pytest.param(_with("l", b"/etc", mode=0o120777), "is a link", id="symlink"),
        pytest.param(_with("f", mode=stat.S_IFIFO), "is a link, device", id="pipe"),
        pytest.param(_with("d", mode=stat.S_IFDIR), "is a link, device", id="odd dir"),
        pytest.param(_with("d/", b"x"), "directory that holds bytes", id="full dir"),
        pytest.param(_with("model.pt"), "is there twice", id="duplicate"),
        pytest.param(_with("Model.pt"), "only by case", id="case"),
        pytest.param(_with("mar-inf/x"), "only by case", id="directory's case"),
        pytest.param(_with("model.pt/x"), "file and a directory", id="file as dir"),
        pytest.param(_with("model.pt/", b""), "file and a directory", id="both"),
        pytest.param(_with("x", method=zipfile.ZIP_LZMA), "method 14", id="lzma"),
        pytest.param(_with("x", method=zipfile.ZIP_BZIP2), "method 12", id="bzip2"),
        pytest.param(_with_flag(1), "is encrypted", id="encrypted"),
        pytest.param(_with_flag(0x40), "is encrypted", id="strongly encrypted"),
        pytest.param(_with_flag(0x20), "compression method", id="patched data"),
        pytest.param(
            _with("zeros", bytes(2 << 20), method=8), "over 200 times", id="bomb"
        ),
    ],
)
def test_what_is_refused_from_the_directory(
    archive: bytes, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        mar.inspect(io.BytesIO(archive))
    with pytest.raises(InvalidArgumentError):
        mar.extract(io.BytesIO(archive), tmp_path / "out")

    assert problem in caught.value.message
    assert list(tmp_path.iterdir()) == []


def _moved_member(offset: int) -> bytes:
    """Return the archive whose last member's directory entry points to `offset`."""
    archive = bytearray(_zip())
    struct.pack_into("<L", archive, archive.rindex(b"PK\x01\x02") + 42, offset)
    return bytes(archive)


def _hidden_member() -> bytes:
    """Return an archive with a member that only a streaming reader sees."""
    archive = bytearray(_with("hidden.py"))
    start = archive.rindex(b"PK\x01\x02")
    end = archive.rindex(b"PK\x05\x06")
    del archive[start:end]
    struct.pack_into(
        "<HHL", archive, start + 8, 3, 3, start - archive.index(b"PK\x01\x02")
    )
    return bytes(archive)


@pytest.mark.parametrize(
    ("archive", "problem"),
    [
        pytest.param(
            _replaced(b"handler.pydef", b"handles.pydef"),  # its data follows
            "disagree",
            id="other name in front",
        ),
        pytest.param(_moved_member(5), "bytes of two members", id="overlap"),
        pytest.param(_hidden_member(), "bytes of no member", id="hidden member"),
    ],
)
def test_what_is_refused_from_the_local_headers(
    archive: bytes, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        mar.check(io.BytesIO(archive))
    with pytest.raises(InvalidArgumentError, match=problem):
        mar.extract(io.BytesIO(archive), tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


def _resized(size_bytes: int) -> bytes:
    """Return a deflated archive whose model.pt declares another uncompressed size."""
    archive = bytearray(_zip(deflated=True))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", archive, archive.rindex(signature) + at, size_bytes)
    return bytes(archive)


@pytest.mark.parametrize(
    ("archive", "problem"),
    [
        pytest.param(
            _replaced(b"weightsweights", b"weightsWEIGHTS"),
            "is damaged",
            id="flipped bytes",
        ),
        pytest.param(_resized(699), "does not hold the 699 bytes", id="longer"),
        pytest.param(_resized(701), "does not hold the 701 bytes", id="shorter"),
    ],
)
def test_bytes_that_are_not_as_declared_leave_nothing(
    archive: bytes, problem: str, tmp_path: Path
) -> None:
    mar.check(io.BytesIO(archive))

    with pytest.raises(InvalidArgumentError, match=problem):
        mar.extract(io.BytesIO(archive), tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        pytest.param(Limits(max_members=2), "the limit is 2 members", id="members"),
        pytest.param(Limits(max_total_bytes=858), "limit is 858", id="bytes"),
        pytest.param(
            Limits(max_ratio=2, ratio_free_bytes=800), "over 2 times", id="all together"
        ),
    ],
)
def test_limits_are_kept(limits: Limits, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        mar.inspect(io.BytesIO(_zip(deflated=True)), limits)


def test_a_streamed_zip_with_data_descriptors_is_read(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise io.UnsupportedOperation

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in FILES.items():
            archive.writestr(path, content)

    mar.extract(io.BytesIO(pipe.getvalue()), tmp_path / "out")

    assert (tmp_path / "out" / "model.pt").read_bytes() == b"weights" * 100


def test_zip64_headers_are_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in FILES.items():
            with archive.open(path, "w", force_zip64=True) as member:
                member.write(content)

    mar.extract(buffer, tmp_path / "out")

    assert (tmp_path / "out" / "model.pt").read_bytes() == b"weights" * 100


@settings(deadline=None, max_examples=150)
@given(
    offset=st.integers(0, len(_zip(deflated=True)) - 1),
    value=st.integers(0, 255),
    cut=st.integers(0, 30),
)
def test_a_flipped_byte_is_refused_or_harmless(
    offset: int, value: int, cut: int
) -> None:
    archive = bytearray(_zip(deflated=True))
    archive[offset] = value
    del archive[len(archive) - cut :]

    try:
        paths = {member.path for member in mar.check(io.BytesIO(archive)).members}
    except HomeportError:
        return

    assert not any(".." in path or path.startswith("/") for path in paths)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        pytest.param(b"PK\x03\x04rest", True, id="zip"),
        pytest.param(b"PK\x05\x06", False, id="empty zip"),
        pytest.param(b"\x1f\x8b\x08\x00", False, id="gzip"),
        pytest.param(b"", False, id="nothing"),
    ],
)
def test_an_archive_is_known_by_its_head(head: bytes, expected: bool) -> None:  # noqa: FBT001
    assert mar.looks_like_archive(head) is expected
