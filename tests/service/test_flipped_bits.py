"""A bit that flips on the disk is DATA_LOSS wherever it would have gone out."""

import dataclasses
import hashlib
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from rooms import archive
from servers import Server, running, wait_until

pytestmark = pytest.mark.service

WEIGHTS: Final = bytes(range(256)) * 1024
# One blob; and one whose weights are a piece.
ARCHIVES: Final = {
    "whole": archive(b"def handle(data, context):\n    return data\n"),
    "divided": archive(files={"weights.bin": WEIGHTS}),
}
DATA_LOSS: Final = 15


def blob(server: Server, content: bytes) -> pathlib.Path:
    sha256 = hashlib.sha256(content).hexdigest()
    return server.data_dir / "blobs" / "sha256" / sha256[:2] / sha256


def flip(path: pathlib.Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


@dataclasses.dataclass(frozen=True)
class Damaged:
    """A server that runs on bytes of which one changed in each archive.

    Attributes:
        server: Nothing is changed on it by tests.
        models: The version of each archive.
        verified: What `homeport verify` said of it.
    """

    server: Server
    models: dict[str, str]
    verified: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Damaged]:
    folder = tmp_path_factory.mktemp("damaged")
    server = Server(folder / "data", ("--no-access-log",))
    models = {}
    with running(server):
        server.call("POST", "/storage/v1/b?project=p", {"name": "models"})
        for kind, content in ARCHIVES.items():
            server.upload(f"{kind}/model.mar", content)
            ended = server.register_at(f"gs://models/{kind}")
            models[kind] = ended["response"]["model"]
        wait_until(lambda: not blob(server, ARCHIVES["divided"]).exists())
    whole = ARCHIVES["whole"]
    flip(blob(server, whole), whole.index(b"return data"))
    flip(blob(server, WEIGHTS), 1000)
    verified = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "homeport", "verify", "--data-dir", server.data_dir],
        capture_output=True,
        text=True,
        check=False,
    )
    with running(server):
        yield Damaged(server, models, verified)


@pytest.mark.parametrize(
    ("kind", "member"), [("whole", "handler.py"), ("divided", "weights.bin")]
)
def test_a_deployment_fails_and_names_member_and_version(
    damaged: Damaged, kind: str, member: str
) -> None:
    server, model = damaged.server, damaged.models[kind]
    endpoint = server.create_endpoint()

    ended = server.wait(server.begin_deploy(endpoint, model, {"0": 100}))

    assert ended["error"]["code"] == DATA_LOSS, ended
    assert f"{model}@1" in ended["error"]["message"]
    assert f"{member} in model.mar" in ended["error"]["message"]


@pytest.mark.parametrize(
    ("kind", "member"), [("whole", "handler.py"), ("divided", "weights.bin")]
)
def test_an_export_fails_and_names_member_and_version(
    damaged: Damaged, kind: str, member: str
) -> None:
    server, model = damaged.server, damaged.models[kind]
    output = {"artifactDestination": {"outputUriPrefix": f"gs://models/out-{kind}"}}

    _, operation = server.call("POST", f"/v1/{model}:export", {"outputConfig": output})
    ended = server.wait(operation)

    assert ended["error"]["code"] == DATA_LOSS, ended
    assert f"{model}@1" in ended["error"]["message"]
    assert f"{member} in model.mar" in ended["error"]["message"]
    _, listed = server.call("GET", f"/storage/v1/b/models/o?prefix=out-{kind}")
    assert "items" not in listed


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_download_never_ends_as_if_it_were_whole(damaged: Damaged, kind: str) -> None:
    url = f"{damaged.server.url}/storage/v1/b/models/o/{kind}%2Fmodel.mar?alt=media"

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url, timeout=60)


def test_verify_names_the_versions_and_objects(damaged: Damaged) -> None:
    told = damaged.verified

    assert told.returncode == 1
    for kind, model in damaged.models.items():
        model_id = model.rpartition("/")[2]
        assert f"gs://models/{kind}/model.mar" in told.stdout
        assert f"model.mar of {model_id}@1" in told.stdout
