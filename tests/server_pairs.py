"""Two real servers on one PostgreSQL database and one bucket."""

import contextlib
import pathlib
from collections.abc import Iterator

import pytest

import s3_servers
from databases import Databases
from servers import Server, running


@contextlib.contextmanager
def pair(
    s3: str, databases: Databases, folder: pathlib.Path
) -> Iterator[tuple[Server, Server]]:
    """Yield two servers that are one registry; the first checks archives.

    Args:
        s3: The URL of an S3 server with the bucket `blobs`.
        databases: Where they get theirs.
        folder: For their data directories; its name is that of their blobs.
    """
    store = f"s3://blobs/{folder.name}?endpoint={s3}"
    options = (
        *("--private-endpoint", s3.removeprefix("http://"), "--blob-store", store),
        *("--database-url", databases.create()),
    )
    with pytest.MonkeyPatch.context() as variables, contextlib.ExitStack() as stack:
        for name, value in s3_servers.CREDENTIALS.items():
            variables.setenv(name, value)
        servers = []
        for name, policy in (("a", "warn"), ("b", "none")):
            (folder / name).mkdir()
            server = Server(folder / name / "data", options, policy)
            servers.append(stack.enter_context(running(server)))
        yield servers[0], servers[1]
