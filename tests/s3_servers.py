"""moto's S3 server as a process on loopback, in an environment of its own."""

import contextlib
import os
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from typing import Final

import storage_clients

REQUIREMENTS: Final = ("moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5")
START_TIMEOUT_S: Final = 90.0
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "key-of-a-test",
    "AWS_SECRET_ACCESS_KEY": "secret-of-a-test",
    "AWS_REGION": "us-east-1",
}


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Yield the URL of a server that has no bucket."""
    command = storage_clients.prepare(REQUIREMENTS) / "moto_server"
    process = subprocess.Popen(  # noqa: S603
        [command, "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    watchdog = threading.Timer(START_TIMEOUT_S, process.kill)
    watchdog.start()
    assert process.stderr is not None
    try:
        found = (re.search(r"http://127\.0\.0\.1:\d+", one) for one in process.stderr)
        match = next(filter(None, found), None)
        watchdog.cancel()
        assert match, "moto's server did not start"
        # It writes a line for each request.
        reader = threading.Thread(target=process.stderr.read, daemon=True)
        reader.start()
        yield match[0]
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stderr.close()


def create_bucket(url: str, name: str) -> None:
    """Make a bucket, as nobody: moto asks for no signature there."""
    request = urllib.request.Request(f"{url}/{name}", method="PUT")  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        answer.read()
