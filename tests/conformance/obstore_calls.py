"""obstore's calls, all over the XML API. Run by test_storage_libraries.py."""

import datetime as dt
import functools
import json
import random
import sys
from typing import Any

import obstore
from obstore.store import GCSStore

from client_calls import failing, run

BIG = random.Random(0).randbytes(12_000_001)  # noqa: S311  # test bytes
NAMES = [
    "names/plain",
    "names/a b",
    "names/größe/模型",
    "names/2026-11-20-23:46:12.567@1",
    "names/p%2Fq",
    "names/+&=?#",
    "names/x<y>\"'z",
]
PART_BYTES = 5 << 20

store = GCSStore(
    "obstore-bucket",
    service_account_key=json.dumps(
        {
            "gcs_base_url": sys.argv[1],
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
    ),
    client_options={"allow_http": True},
    retry_config={"max_retries": 0},
)


def read(path: str, **options: object) -> bytes:
    asked: Any = options or None
    return bytes(obstore.get(store, path, options=asked).bytes())


def names() -> None:
    for name in NAMES:
        obstore.put(store, name, name.encode(), use_multipart=False)
    for name in NAMES:
        assert read(name) == name.encode(), name
    listed = [one["path"] for page in obstore.list(store, "names") for one in page]
    assert listed == sorted(NAMES), listed


def pages_and_folders() -> None:
    for number in range(5):
        obstore.put(store, f"pages/{number}/file", b"")
    pages = list(obstore.list(store, "pages", chunk_size=2, offset="pages/1/file"))
    assert [one["path"] for page in pages for one in page] == [
        "pages/2/file",
        "pages/3/file",
        "pages/4/file",
    ]
    found = obstore.list_with_delimiter(store, "pages")
    assert found["common_prefixes"] == [f"pages/{number}" for number in range(5)]
    assert found["objects"] == []


def a_large_object_in_parts() -> None:
    first = obstore.put(store, "big", BIG, use_multipart=True, chunk_size=PART_BYTES)
    again = obstore.put(store, "big", BIG, use_multipart=True, chunk_size=PART_BYTES)
    assert read("big") == BIG
    assert first["version"] != again["version"]
    head = obstore.head(store, "big")
    assert (head["size"], head["e_tag"]) == (len(BIG), again["e_tag"])


def ranges() -> None:
    obstore.put(store, "ranged", b"0123456789")
    assert bytes(obstore.get_range(store, "ranged", start=2, end=5)) == b"234"
    assert read("ranged", range={"suffix": 3}) == b"789"
    assert read("ranged", range={"offset": 8}) == b"89"
    several = obstore.get_ranges(store, "ranged", starts=[0, 7], lengths=[2, 2])
    assert [bytes(one) for one in several] == [b"01", b"78"]


def conditional_reads() -> None:
    obstore.put(store, "conditional", b"1")
    etag = obstore.head(store, "conditional")["e_tag"]
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
    before = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    refused: dict[str, list[dict[str, object]]] = {
        "NotModifiedError": [{"if_none_match": etag}, {"if_modified_since": soon}],
        "PreconditionError": [{"if_match": "x"}, {"if_unmodified_since": before}],
    }
    for error, conditions in refused.items():
        for options in conditions:
            got = failing(functools.partial(read, "conditional", **options))
            assert got.__name__ == error, (options, got)
    assert read("conditional", if_match=etag) == b"1"
    assert read("conditional", if_modified_since=before) == b"1"


def conditional_writes() -> None:
    first = obstore.put(store, "once", b"1", mode="create")
    again = failing(lambda: obstore.put(store, "once", b"2", mode="create"))
    assert again.__name__ == "AlreadyExistsError", again
    seen: Any = first  # a mode by its keys; the stubs have a type for each
    obstore.put(store, "once", b"2", mode=seen)
    stale = failing(lambda: obstore.put(store, "once", b"3", mode=seen))
    assert stale.__name__ == "PreconditionError", stale
    assert read("once") == b"2"


def copies_renames_and_deletes() -> None:
    obstore.put(store, "from a", b"1")
    obstore.copy(store, "from a", "to/ü b")
    obstore.rename(store, "to/ü b", "renamed")
    assert read("renamed") == b"1"
    taken = failing(lambda: obstore.copy(store, "from a", "renamed", overwrite=False))
    assert taken.__name__ == "AlreadyExistsError", taken
    obstore.delete(store, ["from a", "renamed"])
    assert failing(lambda: obstore.head(store, "renamed")) is FileNotFoundError


def attributes() -> None:
    said = {"Content-Type": "text/css", "Cache-Control": "no-store", "team": "vision"}
    for in_parts in (False, True):
        content = b"x" * (6 << 20)
        obstore.put(store, "styled", content, attributes=said, use_multipart=in_parts)
        assert dict(obstore.get(store, "styled").attributes) == said


run(
    {
        call.__name__: call
        for call in (
            names,
            pages_and_folders,
            a_large_object_in_parts,
            ranges,
            conditional_reads,
            conditional_writes,
            copies_renames_and_deletes,
            attributes,
        )
    }
)
