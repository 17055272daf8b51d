"""gcsfs's calls. Run by test_storage_libraries.py."""

import pathlib
import random
import sys

import gcsfs

from client_calls import failing, run

BIG = random.Random(0).randbytes(12_000_001)  # noqa: S311  # test bytes
BUCKET = "gcsfs-bucket"

files = gcsfs.GCSFileSystem(endpoint_url=sys.argv[1], token="anon")  # noqa: S106
folder = pathlib.Path(sys.argv[2])


def small_files() -> None:
    for name in ("plain", "a b", "größe/模型", "23:46:12@1", "+&=?#"):
        path = f"{BUCKET}/small/{name}"
        files.pipe(path, name.encode())
        assert files.cat(path) == name.encode(), name


def a_large_file_in_chunks() -> None:
    path = f"{BUCKET}/large/x y"
    with files.open(path, "wb", block_size=5 << 20) as file:
        file.write(BIG)
    assert files.cat(path) == BIG
    with files.open(path, "rb") as file:
        file.seek(7_000_000)
        assert file.read(5) == BIG[7_000_000:7_000_005]


def files_of_the_disk() -> None:
    (folder / "there").write_bytes(BIG)
    files.put(str(folder / "there"), f"{BUCKET}/disk/file")
    files.get(f"{BUCKET}/disk/file", str(folder / "back"))
    assert (folder / "back").read_bytes() == BIG


def folders() -> None:
    for name in ("a", "b/c", "b/d"):
        files.pipe(f"{BUCKET}/tree/{name}", b"12")
    assert files.ls(f"{BUCKET}/tree") == [f"{BUCKET}/tree/a", f"{BUCKET}/tree/b"]
    assert files.find(f"{BUCKET}/tree") == [
        f"{BUCKET}/tree/a",
        f"{BUCKET}/tree/b/c",
        f"{BUCKET}/tree/b/d",
    ]
    assert files.glob(f"{BUCKET}/tree/*/d") == [f"{BUCKET}/tree/b/d"]
    assert files.du(f"{BUCKET}/tree") == 6
    files.rm(f"{BUCKET}/tree", recursive=True)
    assert not files.exists(f"{BUCKET}/tree")


def copies_moves_and_merges() -> None:
    path = f"{BUCKET}/made"
    files.pipe(f"{path}/one", b"1")
    files.cp(f"{path}/one", f"{path}/two")
    files.mv(f"{path}/two", f"{path}/moved")
    files.merge(f"{path}/merged", [f"{path}/one", f"{path}/moved"])
    assert files.cat(f"{path}/merged") == b"11"
    assert not files.exists(f"{path}/two")


def attributes_and_conditions() -> None:
    path = f"{BUCKET}/attributed"
    files.pipe(path, b"1")
    files.setxattrs(path, team="vision")
    assert files.getxattr(path, "team") == "vision"
    again = failing(lambda: files.pipe(path, b"2", mode="create"))
    assert again is FileExistsError, again


def buckets() -> None:
    files.mkdir("gcsfs-second")
    assert files.exists("gcsfs-second")
    files.rmdir("gcsfs-second")
    assert not files.exists("gcsfs-second")


run(
    {
        call.__name__: call
        for call in (
            small_files,
            a_large_file_in_chunks,
            files_of_the_disk,
            folders,
            copies_moves_and_merges,
            attributes_and_conditions,
            buckets,
        )
    }
)
