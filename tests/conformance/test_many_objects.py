"""Ten thousand objects in one bucket, listed by google-cloud-storage."""

import datetime as dt
import time
from typing import Any

import google.auth.credentials
import google.cloud.storage
import pytest

from homeport.metadata import tables
from homeport.metadata.database import Database
from servers import Server

pytestmark = pytest.mark.service

SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
MD5 = "5d41402abc4b2a76b9719d911017c592"


def fill(database: Database) -> None:
    """Write rows of 10,000 objects in 100 folders, all of the same bytes."""
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    same = {
        "bucket": "models",
        "metageneration": 1,
        "properties": {},
        "create_time": moment,
        "update_time": moment,
        "size_bytes": 5,
        "sha256": SHA256,
        "crc32c": 0x9A71BB4C,
        "md5": MD5,
    }
    rows = [
        {
            **same,
            "name": f"runs/{number // 100:02}/part-{number % 100:02}",
            "generation": number + 1,
        }
        for number in range(10_000)
    ]
    with database.transaction() as transaction:
        transaction.execute(tables.objects.insert(), rows)


def test_ten_thousand_objects_are_listed_by_page_prefix_and_folder(
    server: Server, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    server.call("POST", "/storage/v1/b?project=p", {"name": "models"})
    server.upload("runs", b"hello")
    database = Database(f"sqlite:///{server.data_dir / 'homeport.db'}")
    fill(database)
    database.close()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    client = google.cloud.storage.Client(
        project="p", credentials=google.auth.credentials.AnonymousCredentials()
    )

    began = time.monotonic()
    pages = [[blob.name for blob in page] for page in client.list_blobs("models").pages]
    record_property("seconds to list 10,000 objects", time.monotonic() - began)
    folders = client.list_blobs("models", prefix="runs/", delimiter="/", page_size=30)
    direct = [blob.name for blob in folders]
    one = [blob.name for blob in client.list_blobs("models", prefix="runs/42/")]
    names = client.list_blobs(
        "models", fields="items(name),nextPageToken", page_size=20, max_results=50
    )
    last = client.list_blobs("models", start_offset="runs/99/part-98")

    assert [len(page) for page in pages] == [1000] * 10 + [1]
    listed = [name for page in pages for name in page]
    assert len(set(listed)) == 10_001
    assert listed == sorted(listed)
    assert direct == []
    assert folders.prefixes == {f"runs/{number:02}/" for number in range(100)}
    assert one == [f"runs/42/part-{number:02}" for number in range(100)]
    assert [blob.name for blob in names] == listed[:50]
    assert [blob.name for blob in last] == ["runs/99/part-98", "runs/99/part-99"]
    client.close()
