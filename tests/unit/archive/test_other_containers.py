"""A tar and a folder are as hostile as a zip, and refused for the same reasons."""

import gzip
import io
import json
import os
import pathlib
import tarfile
from collections.abc import Callable

import pytest

from homeport.archive import folder, reading, tgz
from homeport.archive.members import Limits
from homeport.errors import InvalidArgumentError, NotFoundError

MANIFEST = json.dumps({"model": {"modelName": "m", "handler": "h.py"}}).encode()
GOOD = {"m/MAR-INF/MANIFEST.json": MANIFEST, "m/h.py": b"def handle(): ...\n"}
Change = Callable[[tarfile.TarFile], None]


def nothing(archive: tarfile.TarFile) -> None:
    del archive


def write(
    path: pathlib.Path,
    change: Change = nothing,
    files: dict[str, bytes] = GOOD,
    **options: int,
) -> pathlib.Path:
    with tarfile.open(
        path, "w:gz", format=options.get("format", tarfile.PAX_FORMAT)
    ) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mtime = 1.5 if options.get("fraction") else 0
            archive.addfile(entry, io.BytesIO(content))
        change(archive)
    return path


def add(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0
) -> Change:
    def change(archive: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo(name)
        entry.type = kind
        entry.linkname = link
        entry.size = size
        archive.addfile(entry, io.BytesIO(bytes(size)))

    return change


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="pax"),
        pytest.param({"fraction": 1}, id="pax with headers"),
        pytest.param({"format": tarfile.GNU_FORMAT}, id="GNU"),
        pytest.param({"format": tarfile.USTAR_FORMAT}, id="ustar"),
    ],
)
def test_each_kind_of_tar_is_read(
    options: dict[str, int], tmp_path: pathlib.Path
) -> None:
    far = (
        {}
        if "format" in options and options["format"] == tarfile.USTAR_FORMAT
        else {"m/" + "d/" * 20 + "n" * 120: b"far"}
    )
    path = write(
        tmp_path / "m.tar.gz", add("m/empty", tarfile.DIRTYPE), GOOD | far, **options
    )

    inventory = reading.check(path)

    assert inventory.manifest.model_name == "m"
    assert [member.path for member in inventory.members] == sorted(
        name.removeprefix("m/") for name in GOOD | far
    )
    assert not inventory.stored


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(add("m/../x"), "points outside", id="traversal"),
        pytest.param(add("/m/x"), "absolute path", id="absolute"),
        pytest.param(add("m/a\\b"), "backslash", id="backslash"),
        pytest.param(add("m/a\nb"), "control character", id="control"),
        pytest.param(add("m/./b"), "empty or '.' part", id="dot"),
        pytest.param(add("m/a\udcffb"), "control character", id="no UTF-8"),
        pytest.param(
            add("m/l", tarfile.SYMTYPE, "/etc"), "link, device", id="symbolic link"
        ),
        pytest.param(add("m/l", tarfile.LNKTYPE, "m/h.py"), "link, device", id="link"),
        pytest.param(add("m/d", tarfile.CHRTYPE), "link, device", id="device"),
        pytest.param(add("m/f", tarfile.FIFOTYPE), "link, device", id="pipe"),
        pytest.param(
            add("m/s", tarfile.GNUTYPE_SPARSE), "link, device", id="sparse file"
        ),
        pytest.param(add("m/h.py"), "is there twice", id="twice"),
        pytest.param(add("m/H.py"), "only by case", id="case"),
        pytest.param(add("m/h.py/x"), "a file and a directory", id="file below file"),
        pytest.param(add("other/x"), "does not lie in", id="two roots"),
        pytest.param(add("m"), "lies beside", id="a file as root"),
        pytest.param(add("m/" + "d/" * 40 + "x"), "directories deep", id="deep"),
        pytest.param(add("m/big", size=3 << 20), "200 times its size", id="a bomb"),
    ],
)
def test_a_hostile_tar_is_refused(
    change: Change, problem: str, tmp_path: pathlib.Path
) -> None:
    path = write(tmp_path / "m.tar.gz", change)

    with pytest.raises(InvalidArgumentError, match=problem):
        tgz.check(path)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        pytest.param(Limits(max_members=1), "the limit is 1", id="members"),
        pytest.param(Limits(max_total_bytes=600), "unpacks to", id="bytes"),
    ],
)
def test_limits_hold(limits: Limits, problem: str, tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "m.tar.gz")

    with pytest.raises(InvalidArgumentError, match=problem):
        tgz.check(path, limits)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(gzip.compress(b"no tar" * 200), "no tar in it", id="no tar"),
        pytest.param(gzip.compress(b"x"), "cut short or damaged", id="a byte"),
        pytest.param(b"\x1f\x8bnonsense", "cut short or damaged", id="no gzip"),
        pytest.param(gzip.compress(bytes(1024)), "has no MAR-INF", id="empty tar"),
    ],
)
def test_what_is_no_tar_is_told(
    text: bytes, problem: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "m.tar.gz").write_bytes(text)

    with pytest.raises(InvalidArgumentError, match=problem):
        reading.check(tmp_path / "m.tar.gz")


def test_a_tar_cut_anywhere_is_refused(tmp_path: pathlib.Path) -> None:
    whole = write(tmp_path / "m.tar.gz").read_bytes()

    for length in range(2, len(whole), 7):
        (tmp_path / "cut.tar.gz").write_bytes(whole[:length])
        with pytest.raises(InvalidArgumentError):
            tgz.check(tmp_path / "cut.tar.gz")


def test_bytes_behind_the_end_are_refused(tmp_path: pathlib.Path) -> None:
    plain = gzip.decompress(write(tmp_path / "m.tar.gz").read_bytes())
    (tmp_path / "more.tar.gz").write_bytes(gzip.compress(plain + b"more"))

    with pytest.raises(InvalidArgumentError, match="behind its end"):
        tgz.check(tmp_path / "more.tar.gz")


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b"x path=a\n", id="no length"),
        pytest.param(b"2 path=a\n", id="a length too short"),
        pytest.param(b"\n" * 9, id="no space"),
    ],
)
def test_a_broken_pax_header_is_refused(record: bytes, tmp_path: pathlib.Path) -> None:
    entry = tarfile.TarInfo("m/p")
    entry.type = tarfile.XHDTYPE
    entry.size = len(record)
    text = entry.tobuf() + record.ljust(512, b"\0")
    (tmp_path / "m.tar.gz").write_bytes(gzip.compress(text + bytes(1024)))

    with pytest.raises(InvalidArgumentError, match="pax header"):
        tgz.check(tmp_path / "m.tar.gz")


def test_a_header_of_megabytes_is_refused_before_it_is_read(
    tmp_path: pathlib.Path,
) -> None:
    entry = tarfile.TarInfo("m/p")
    entry.type = tarfile.XHDTYPE
    entry.size = 1 << 30
    (tmp_path / "m.tar.gz").write_bytes(gzip.compress(entry.tobuf()))

    with pytest.raises(InvalidArgumentError, match="header of over 65536 bytes"):
        tgz.check(tmp_path / "m.tar.gz")


def test_a_manifest_that_lies_is_refused(tmp_path: pathlib.Path) -> None:
    files = {"m/MAR-INF/MANIFEST.json": MANIFEST}

    with pytest.raises(InvalidArgumentError, match=r"'h\.py' is not in the archive"):
        tgz.check(write(tmp_path / "m.tar.gz", files=files))


def test_what_is_not_there_is_told(tmp_path: pathlib.Path) -> None:
    for check in (reading.check, tgz.check):
        with pytest.raises(NotFoundError, match="there is no archive"):
            check(tmp_path / "none.tar.gz")


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    """An archive that is a folder."""
    for name, content in GOOD.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "m"


def test_a_folder_is_read(directory: pathlib.Path) -> None:
    inventory = reading.check(directory)

    assert [member.path for member in inventory.members] == [
        "MAR-INF/MANIFEST.json",
        "h.py",
    ]
    assert inventory.stored
    assert inventory.archive_bytes == sum(map(len, GOOD.values()))


def test_what_a_folder_may_not_hold_is_refused(directory: pathlib.Path) -> None:
    (directory / "link").symlink_to("/etc")
    with pytest.raises(InvalidArgumentError, match="'link' is a link, device"):
        folder.check(directory)
    (directory / "link").unlink()

    os.mkfifo(directory / "pipe")
    with pytest.raises(InvalidArgumentError, match="'pipe' is a link, device"):
        folder.check(directory)
    (directory / "pipe").unlink()

    (directory / "H.py").write_text("x")
    with pytest.raises(InvalidArgumentError, match="only by case"):
        folder.check(directory)
    (directory / "H.py").unlink()

    with pytest.raises(InvalidArgumentError, match="the limit is 1"):
        folder.check(directory, Limits(max_members=1))
    (directory / "MAR-INF/MANIFEST.json").unlink()
    with pytest.raises(InvalidArgumentError, match="it is a folder but no model"):
        folder.check(directory)
