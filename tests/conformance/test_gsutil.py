"""gsutil works over HTTPS, told of the server by its configuration file alone.

Each command takes it seconds to begin, so `make check` runs few of them.
"""

import datetime as dt
import os
import pathlib
import random
import subprocess
from collections.abc import Callable, Iterator

import pytest

import storage_clients
from homeport.identity import certificates
from servers import Server, running

pytestmark = pytest.mark.service

BIG = random.Random(0).randbytes(9_000_001)  # noqa: S311  # test bytes
Gsutil = Callable[..., str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir = tmp_path_factory.mktemp("gsutil") / "data"
    certificates.initialize(data_dir / "tls", [], dt.datetime.now(dt.UTC))
    with running(Server(data_dir, ("--tls-port", "0"))) as started:
        yield started


@pytest.fixture(scope="module")
def gsutil(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Gsutil:
    """Return a function that runs a command of gsutil and returns what it says."""
    folder = tmp_path_factory.mktemp("boto")
    boto = folder / "boto"
    boto.write_text(f"""\
[Credentials]
gs_json_host = localhost
gs_json_port = {server.tls_url.rpartition(":")[2]}
[Boto]
ca_certificates_file = {server.data_dir}/tls/bundle.pem
[GSUtil]
default_project_id = p
state_dir = {folder}
software_update_check_period = 0
parallel_composite_upload_threshold = 6M
parallel_composite_upload_component_size = 3M
check_hashes = always
[OAuth2]
""")
    command = str(storage_clients.prepare() / "gsutil")

    def run(*words: str) -> str:
        ended = subprocess.run(  # noqa: S603
            [command, "-q", *words],
            env={**os.environ, "BOTO_CONFIG": str(boto)},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


@pytest.fixture(scope="module")
def bucket(gsutil: Gsutil) -> str:
    gsutil("mb", "gs://gsutil-bucket")
    return "gs://gsutil-bucket"


def test_files_go_up_are_shown_and_come_down(
    gsutil: Gsutil, bucket: str, tmp_path: pathlib.Path
) -> None:
    small, large = tmp_path / "größe 1@2:3.txt", tmp_path / "large"
    small.write_text("hello")
    large.write_bytes(BIG)

    gsutil("cp", str(small), f"{bucket}/first/")
    gsutil("cp", str(large), f"{bucket}/first/large")
    gsutil("cp", f"{bucket}/first/large", str(tmp_path / "back"))

    assert gsutil("ls", f"{bucket}/first/") == (
        f"{bucket}/first/größe 1@2:3.txt\n{bucket}/first/large\n"
    )
    assert gsutil("cat", "-r", "1-3", f"{bucket}/first/größe 1@2:3.txt") == "ell"
    # It went up in pieces, which were composed.
    assert "Component-Count:        3" in gsutil("ls", "-L", f"{bucket}/first/large")
    assert (tmp_path / "back").read_bytes() == BIG
    gsutil("rm", f"{bucket}/first/large")
    assert "large" not in gsutil("ls", f"{bucket}/first/")


@pytest.mark.clients
def test_files_are_copied_moved_and_described_in_the_cloud(
    gsutil: Gsutil, bucket: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "a").write_text("hello")

    gsutil("cp", str(tmp_path / "a"), f"{bucket}/second/a")
    gsutil("cp", f"{bucket}/second/a", f"{bucket}/second/b")
    gsutil("mv", f"{bucket}/second/b", f"{bucket}/second/c")
    gsutil("setmeta", "-h", "x-goog-meta-team:vision", f"{bucket}/second/c")

    shown = gsutil("ls", "-L", f"{bucket}/second/c")
    assert "vision" in shown
    assert "XUFAKrxLKna5cZ2REBfFkg==" in shown
    assert gsutil("du", "-s", f"{bucket}/second").split()[0] == "10"


@pytest.mark.clients
def test_a_folder_is_synchronised_and_removed(
    gsutil: Gsutil, bucket: str, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("hello")
    (folder / "file").write_text("hello")

    gsutil("rsync", "-r", str(folder), f"{bucket}/third")
    (folder / "file").unlink()
    gsutil("rsync", "-r", "-d", str(folder), f"{bucket}/third")

    assert gsutil("ls", f"{bucket}/third/**") == f"{bucket}/third/deep/file\n"
    gsutil("-m", "rm", "-r", f"{bucket}/third")
    assert "third" not in gsutil("ls", f"{bucket}/**")


@pytest.mark.clients
def test_a_bucket_goes_with_what_is_in_it(
    gsutil: Gsutil, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "a").write_text("hello")

    gsutil("mb", "gs://gsutil-second")
    gsutil("cp", "-r", str(tmp_path), "gs://gsutil-second/")
    gsutil("rm", "-r", "gs://gsutil-second")

    assert "gsutil-second" not in gsutil("ls")
