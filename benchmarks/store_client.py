"""One transfer by a storage client, in the clients' own environment.

    python store_client.py upload|download-google|download-obstore URL NAME FILE

The program prints the seconds between the call and its return. Downloads are counted
and thrown away, so that no disk of the client is measured.
"""

import json
import os
import pathlib
import sys
import time
from typing import Any

BUCKET = "bench"


class Counted:
    """A file that keeps only how much was written to it."""

    size_bytes = 0

    def write(self, block: bytes) -> int:
        self.size_bytes += len(block)
        return len(block)

    def tell(self) -> int:
        return self.size_bytes

    def flush(self) -> None:
        """There is nothing to flush."""


def google(url: str) -> Any:  # noqa: ANN401  # a library of another environment
    os.environ["STORAGE_EMULATOR_HOST"] = url
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud import storage  # noqa: PLC0415

    client = storage.Client(project="bench", credentials=AnonymousCredentials())
    return client.bucket(BUCKET)


def upload(url: str, name: str, file: str) -> float:
    bucket = google(url)
    begin = time.perf_counter()
    bucket.blob(name).upload_from_filename(file)
    return time.perf_counter() - begin


def download_google(url: str, name: str, file: str) -> float:
    bucket, counted = google(url), Counted()
    begin = time.perf_counter()
    bucket.blob(name).download_to_file(counted)
    taken_s = time.perf_counter() - begin
    return checked(counted.size_bytes, file, taken_s)


def download_obstore(url: str, name: str, file: str) -> float:
    from obstore.store import GCSStore  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

    key = {"gcs_base_url": url, "disable_oauth": True}
    key |= dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    store = GCSStore(
        BUCKET,
        service_account_key=json.dumps(key),
        client_options={"allow_http": True, "timeout": "300s"},
    )
    begin = time.perf_counter()
    size_bytes = sum(len(block) for block in store.get(name).stream())
    return checked(size_bytes, file, time.perf_counter() - begin)


def checked(size_bytes: int, file: str, taken_s: float) -> float:
    wanted_bytes = pathlib.Path(file).stat().st_size
    if size_bytes != wanted_bytes:
        raise SystemExit(f"{size_bytes} bytes came, {wanted_bytes} were stored")
    return taken_s


TRANSFERS = {
    "upload": upload,
    "download-google": download_google,
    "download-obstore": download_obstore,
}


if __name__ == "__main__":
    print(TRANSFERS[sys.argv[1]](*sys.argv[2:]))
