"""Official clients prove who they are with a key of ours, and nothing else is said."""

import json
import pathlib
import subprocess
import sys
from typing import Any

import google.auth.exceptions
import google.cloud.storage
import httpx
import pytest
from google.auth import jwt
from google.cloud import aiplatform
from google.oauth2 import credentials, service_account

import storage_clients
from servers import Server

pytestmark = pytest.mark.service


def homeport(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "homeport", "keys", words[0],
         "--data-dir", str(server.data_dir), *words[1:]],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


@pytest.fixture
def key(shared_server: Server, tmp_path: pathlib.Path) -> pathlib.Path:
    """The file of a new key."""
    path = tmp_path / "key.json"
    made = homeport(
        shared_server, "create", "--url", shared_server.url, "--output", str(path)
    )
    assert made.stdout == f"GOOGLE_APPLICATION_CREDENTIALS={path}\n", made.stderr
    return path


@pytest.fixture
def use_store(shared_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", shared_server.url)


def bearer(server: Server, token: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.get(f"{server.url}/storage/v1/b?project=p", headers=headers)


def own_token(key: pathlib.Path) -> str:
    """Return what gapic and obstore send: a token that the account signed itself."""
    signed = jwt.Credentials.from_service_account_file(
        str(key), audience="https://storage.googleapis.com/"
    )
    signed.refresh(None)
    return str(signed.token.decode())


@pytest.mark.usefixtures("use_store")
def test_the_storage_client_exchanges_its_key(key: pathlib.Path) -> None:
    client = google.cloud.storage.Client.from_service_account_json(str(key))

    client.create_bucket("with-a-key").blob("a").upload_from_string(b"1")

    assert client.bucket("with-a-key").blob("a").download_as_bytes() == b"1"
    assert client._credentials.token.startswith("homeport-")  # noqa: SLF001


def test_the_key_is_a_file_for_its_owner(
    key: pathlib.Path, shared_server: Server
) -> None:
    again = homeport(shared_server, "create", "--output", str(key))

    assert key.stat().st_mode & 0o777 == 0o600
    assert again.returncode == 1
    assert "choose another --output" in again.stderr


@pytest.mark.usefixtures("use_store")
def test_the_sdk_signs_its_own_tokens(key: pathlib.Path, shared_server: Server) -> None:
    aiplatform.init(
        project="p",
        location="us-central1",
        api_endpoint=shared_server.url,
        api_transport="rest",
        credentials=service_account.Credentials.from_service_account_file(str(key)),
    )

    assert aiplatform.Model.list() == []
    homeport(shared_server, "delete", json.loads(key.read_text())["private_key_id"])
    with pytest.raises(Exception, match="not signed with a key of this server"):
        aiplatform.Model.list()


def test_a_deleted_key_gets_no_token(key: pathlib.Path, shared_server: Server) -> None:
    homeport(shared_server, "delete", json.loads(key.read_text())["private_key_id"])

    with pytest.raises(google.auth.exceptions.RefreshError, match="invalid_grant"):
        from_key(key, shared_server).get_bucket("any")


def from_key(key: pathlib.Path, server: Server) -> Any:
    client = google.cloud.storage.Client.from_service_account_json(
        str(key), client_options={"api_endpoint": server.url}
    )
    assert isinstance(client, google.cloud.storage.Client)
    return client


def test_a_forged_token_is_refused_on_every_surface(
    key: pathlib.Path, shared_server: Server
) -> None:
    token = own_token(key)
    assert bearer(shared_server, token).status_code == 200
    forged = token[:-8] + "AAAAAAAA"

    for path in (
        "/storage/v1/b?project=p",
        "/v1/projects/p/locations/us-central1/models",
    ):
        answer = httpx.get(
            shared_server.url + path, headers={"authorization": f"Bearer {forged}"}
        )
        assert answer.status_code == 401
        assert answer.json()["error"]["status"] == "UNAUTHENTICATED"


def test_nobody_needs_a_token_on_loopback(shared_server: Server) -> None:
    opaque = credentials.Credentials("an-opaque-token")

    assert httpx.get(f"{shared_server.url}/storage/v1/b?project=p").status_code == 200
    assert bearer(shared_server, opaque.token).status_code == 200


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        (
            {
                "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
                "assertion": "nonsense",
            },
            "invalid_grant",
        ),
    ],
)
def test_the_token_endpoint_refuses_as_oauth_says(
    shared_server: Server, form: dict[str, str], error: str
) -> None:
    answer = httpx.post(f"{shared_server.url}/token", data=form)

    assert answer.status_code == 400
    assert answer.json()["error"] == error


def test_obstore_shows_a_token_that_it_signed(
    key: pathlib.Path, shared_server: Server
) -> None:
    shared_server.call("POST", "/storage/v1/b?project=p", {"name": "obstore-key"})
    source = (
        "import sys, obstore; from obstore.store import GCSStore\n"
        "store = GCSStore('obstore-key', service_account=sys.argv[1],\n"
        "                 client_options={'allow_http': True})\n"
        "obstore.put(store, 'a', b'1')\n"
        "print(bytes(obstore.get(store, 'a').bytes()))\n"
    )

    ended = subprocess.run(  # noqa: S603
        [storage_clients.prepare() / "python", "-c", source, key],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.stdout == "b'1'\n", ended.stderr
