"""A file reaches the store whole or not at all, and goes on where it broke off."""

import pathlib
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from homeport.client import staging, uploading
from homeport.client.connection import Address, Connection
from homeport.client.uploading import Target
from homeport.errors import (
    FailedPreconditionError,
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from servers import Server, running, wait_until

MIB = 1 << 20
LOCATION = ("p", "us-central1")

pytestmark = pytest.mark.service


@pytest.fixture(autouse=True)
def notes(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Where the notes of uploads under way are, for this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/homeport/uploads"


@pytest.fixture
def connection(shared_server: Server) -> Iterator[Connection]:
    with Connection(Address(shared_server.url, *LOCATION)) as opened:
        staging.make_bucket(opened)
        yield opened


def made(path: pathlib.Path, size_bytes: int) -> pathlib.Path:
    block = bytes(range(256)) * 4096
    with path.open("wb") as file:
        while size_bytes > 0:
            file.write(block[: min(size_bytes, MIB)])
            size_bytes -= MIB
    return path


def stored(server: Server, name: str) -> bytes:
    url = f"{server.url}/storage/v1/b/{staging.BUCKET}/o/{name}?alt=media"
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310
        content: bytes = response.read()
        return content


class Stop(Exception):  # noqa: N818  # no error: how a test ends an upload
    """Ends an upload in its midst, as a key on the keyboard does."""


def stopping_at(limit: int) -> Callable[[int, int], None]:
    def on_progress(sent: int, total: int) -> None:
        del total
        if sent >= limit:
            raise Stop

    return on_progress


def quiet(sent: int, total: int) -> None:
    del sent, total


@pytest.mark.parametrize(
    "size_bytes",
    [
        pytest.param(0, id="nothing"),
        pytest.param(1, id="one byte"),
        pytest.param(4 * MIB, id="one stretch"),
        pytest.param(4 * MIB + 1, id="one stretch and a byte"),
        pytest.param(9 * MIB + 7, id="several"),
    ],
)
def test_a_file_of_any_length_arrives(
    shared_server: Server,
    connection: Connection,
    tmp_path: pathlib.Path,
    notes: pathlib.Path,
    size_bytes: int,
) -> None:
    file = made(tmp_path / "model.bin", size_bytes)
    told: list[tuple[int, int]] = []

    uploading.upload(
        connection,
        file,
        Target(staging.BUCKET, f"any-{size_bytes}"),
        lambda sent, total: told.append((sent, total)),
    )

    assert stored(shared_server, f"any-{size_bytes}") == file.read_bytes()
    assert told[-1] == (size_bytes, size_bytes)
    assert [sent for sent, _ in told] == sorted(sent for sent, _ in told)
    assert list(notes.iterdir()) == []


def test_an_upload_that_was_ended_goes_on_where_it_was(
    shared_server: Server, connection: Connection, tmp_path: pathlib.Path
) -> None:
    file = made(tmp_path / "model.bin", 24 * MIB)
    target = Target(staging.BUCKET, "gone-on")
    with pytest.raises(Stop):
        uploading.upload(connection, file, target, stopping_at(16 * MIB))
    told: list[int] = []

    uploading.upload(connection, file, target, lambda sent, _: told.append(sent))

    assert told[0] > 0
    assert stored(shared_server, "gone-on") == file.read_bytes()


def test_ctrl_c_says_how_to_go_on(
    connection: Connection, tmp_path: pathlib.Path
) -> None:
    file = made(tmp_path / "model.bin", 12 * MIB)

    def interrupt(sent: int, total: int) -> None:
        del total
        if sent == 2 * MIB:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupted:
        uploading.upload(
            connection, file, Target(staging.BUCKET, "interrupted"), interrupt
        )

    assert interrupted.value.__notes__ == [
        f"{2 * MIB} of {12 * MIB} bytes of {file} were sent: upload it again to go on "
        "from there"
    ]


def test_another_process_goes_on_after_a_kill(
    shared_server: Server, connection: Connection, tmp_path: pathlib.Path
) -> None:
    file = made(tmp_path / "model.bin", 24 * MIB)
    code = (
        "import os, pathlib, signal, sys\n"
        "from homeport.client import uploading\n"
        "from homeport.client.connection import Address, Connection\n"
        "url, file, bucket = sys.argv[1:]\n"
        "def die(sent, total):\n"
        "    if sent >= 16 << 20:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "with Connection(Address(url, 'p', 'us-central1')) as connection:\n"
        "    target = uploading.Target(bucket, 'killed')\n"
        "    uploading.upload(connection, pathlib.Path(file), target, die)\n"
    )
    killed = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, shared_server.url, str(file), staging.BUCKET],
        check=False,
    )
    told: list[int] = []

    target = Target(staging.BUCKET, "killed")
    uploading.upload(connection, file, target, lambda sent, _: told.append(sent))

    assert killed.returncode == -signal.SIGKILL
    assert told[0] > 0
    assert stored(shared_server, "killed") == file.read_bytes()


def test_an_upload_survives_a_kill_of_the_server(tmp_path: pathlib.Path) -> None:
    file = made(tmp_path / "model.bin", 24 * MIB)
    first = Server(tmp_path / "data", ("--no-access-log",))
    with running(first):
        port = first.url.rpartition(":")[2]
        again = Server(tmp_path / "data", ("--no-access-log", "--port", port))
        killed: list[int] = []

        def kill_once(sent: int, total: int) -> None:
            del total
            if sent >= 12 * MIB and not killed:
                killed.append(sent)
                first.stop(signal.SIGKILL)
                again.start()

        try:
            with Connection(Address(first.url, *LOCATION)) as connection:
                staging.make_bucket(connection)
                target = Target(staging.BUCKET, "survived")
                uploading.upload(connection, file, target, kill_once)

            assert killed
            assert stored(again, "survived") == file.read_bytes()
        finally:
            if again.process is not None:
                again.stop()


def test_a_file_that_is_written_meanwhile_is_not_stored(
    shared_server: Server, connection: Connection, tmp_path: pathlib.Path
) -> None:
    file = made(tmp_path / "model.bin", 12 * MIB)

    def rewrite(sent: int, total: int) -> None:
        del total
        if sent == 2 * MIB:
            with file.open("r+b") as stream:
                stream.write(b"other")

    with pytest.raises(FailedPreconditionError, match="changed while it was uploaded"):
        uploading.upload(connection, file, Target(staging.BUCKET, "torn"), rewrite)

    assert shared_server.call("GET", f"/storage/v1/b/{staging.BUCKET}/o/torn")[0] == 404


def test_a_file_that_becomes_shorter_meanwhile_is_not_stored(
    shared_server: Server, connection: Connection, tmp_path: pathlib.Path
) -> None:
    file = made(tmp_path / "model.bin", 12 * MIB)

    def cut(sent: int, total: int) -> None:
        del total
        if sent == 2 * MIB:
            with file.open("r+b") as stream:
                stream.truncate(3 * MIB)

    with pytest.raises(FailedPreconditionError, match="changed while it was uploaded"):
        uploading.upload(connection, file, Target(staging.BUCKET, "cut"), cut)

    assert shared_server.call("GET", f"/storage/v1/b/{staging.BUCKET}/o/cut")[0] == 404


def test_a_file_that_changed_since_begins_again(
    shared_server: Server, connection: Connection, tmp_path: pathlib.Path
) -> None:
    file = made(tmp_path / "model.bin", 12 * MIB)
    target = Target(staging.BUCKET, "anew")
    with pytest.raises(Stop):
        uploading.upload(connection, file, target, stopping_at(8 * MIB))
    file.write_bytes(b"trained again")

    uploading.upload(connection, file, target, quiet)

    assert stored(shared_server, "anew") == b"trained again"


def test_a_session_that_the_server_forgot_begins_again(
    shared_server: Server,
    connection: Connection,
    tmp_path: pathlib.Path,
    notes: pathlib.Path,
) -> None:
    file = made(tmp_path / "model.bin", 12 * MIB)
    target = Target(staging.BUCKET, "forgotten")
    with pytest.raises(Stop):
        uploading.upload(connection, file, target, stopping_at(8 * MIB))
    (note,) = notes.iterdir()
    note.write_text(note.read_text().replace("upload_id=", "upload_id=other"))

    uploading.upload(connection, file, target, quiet)

    assert stored(shared_server, "forgotten") == file.read_bytes()


def test_a_server_that_is_away_says_how_to_go_on(tmp_path: pathlib.Path) -> None:
    file = made(tmp_path / "model.bin", 12 * MIB)
    server = Server(tmp_path / "data", ("--no-access-log",))
    with running(server), Connection(Address(server.url, *LOCATION)) as connection:
        staging.make_bucket(connection)

        def kill(sent: int, total: int) -> None:
            del sent, total
            server.stop(signal.SIGKILL)

        with pytest.raises(UnavailableError, match="upload it again to go on from"):
            uploading.upload(
                connection,
                file,
                Target(staging.BUCKET, "away"),
                kill,
                patience_s=0.2,
            )


def test_what_cannot_be_uploaded_is_said(
    connection: Connection, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "empty").mkdir()
    file = made(tmp_path / "model.bin", 1)

    refused: dict[str, Callable[[], object]] = {
        "no such bucket": lambda: uploading.upload(
            connection, file, Target("nowhere-at-all", "x"), quiet
        ),
        "no such file": lambda: staging.stage(connection, tmp_path / "none", quiet),
        "empty folder": lambda: staging.stage(connection, tmp_path / "empty", quiet),
    }
    said: dict[str, HomeportError] = {}
    for what, refuse in refused.items():
        with pytest.raises(HomeportError) as raised:
            refuse()
        said[what] = raised.value

    assert isinstance(said["no such bucket"], NotFoundError)
    assert isinstance(said["no such file"], InvalidArgumentError)
    assert "has 0 files" in said["empty folder"].message


def test_a_folder_keeps_its_paths(
    shared_server: Server, connection: Connection, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "saved model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables/data").write_bytes(b"numbers")

    uri = staging.stage(connection, folder, quiet)

    prefix = uri.removeprefix(f"gs://{staging.BUCKET}/")
    wait_until(
        lambda: (
            stored(shared_server, f"{prefix}/variables/data".replace("/", "%2F"))
            == b"numbers"
        )
    )
