"""One application on two ports: HTTPS beside HTTP, with certificates made here."""

import pathlib
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator

import certifi
import httpx
import pytest

import command_line
from servers import Server, running

pytestmark = pytest.mark.service


def homeport(folder: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "homeport", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def variables(printed: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in printed.splitlines())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("https")


@pytest.fixture(scope="module")
def printed(folder: pathlib.Path) -> str:
    made = homeport(folder, "tls", "init", "--data-dir", "data")
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.fixture(scope="module")
def server(folder: pathlib.Path, printed: str) -> Iterator[Server]:
    del printed
    with running(Server(folder / "data", ("--tls-port", "0"))) as started:
        yield started


def test_the_same_buckets_are_there_over_both(server: Server, printed: str) -> None:
    server.call("POST", "/storage/v1/b?project=p", {"name": "models"})
    trusted = variables(printed)["SSL_CERT_FILE"]

    with httpx.Client(verify=ssl.create_default_context(cafile=trusted)) as client:
        found = client.get(f"{server.tls_url}/storage/v1/b/models").json()

    assert found["name"] == "models"
    assert found["selfLink"] == f"{server.tls_url}/storage/v1/b/models"


def test_the_printed_lines_are_all_that_a_client_is_told(
    folder: pathlib.Path, server: Server, tmp_path: pathlib.Path
) -> None:
    script = (
        f"export $({sys.executable} -m homeport tls env --data-dir {folder}/data) && "
        f"{sys.executable} -c '"
        "import os, requests, sys; "
        'assert os.path.isfile(os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"]); '
        "print(requests.get(sys.argv[1], timeout=60).status_code)"
        f"' {server.tls_url}/healthz"
    )

    told = subprocess.run(  # noqa: S603
        ["sh", "-c", script],  # noqa: S607
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (told.stdout, told.stderr) == ("200\n", "")


def test_a_client_that_was_not_told_does_not_connect(server: Server) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{server.tls_url}/healthz")


def test_the_command_line_asks_over_https_once_it_was_told(
    folder: pathlib.Path, server: Server, printed: str
) -> None:
    url = server.tls_url
    bundle = variables(printed)["SSL_CERT_FILE"]

    told = command_line.run("models", "list", url=url, SSL_CERT_FILE=bundle)
    untold = command_line.run("models", "list", url=url, SSL_CERT_FILE=certifi.where())
    missing = command_line.run("models", "list", url=url, SSL_CERT_FILE=str(folder))
    plain = url.replace(str(httpx.URL(url).port), str(httpx.URL(server.url).port))
    no_https = command_line.run("models", "list", url=plain)

    assert (told.code, told.err) == (0, "")
    assert (untold.code, missing.code, no_https.code) == (4, 1, 4)
    assert "homeport tls env" in untold.err
    assert "cannot be read" in missing.err
    assert "speaks no HTTPS" in no_https.err


def test_foreign_hosts_are_refused_there_too(server: Server, printed: str) -> None:
    trusted = variables(printed)["SSL_CERT_FILE"]

    with httpx.Client(verify=ssl.create_default_context(cafile=trusted)) as client:
        url = f"{server.tls_url}/healthz"
        answer = client.get(url, headers={"host": "evil.example"})

    assert answer.status_code == 403


def test_the_variables_are_printed_again(folder: pathlib.Path, printed: str) -> None:
    again = homeport(folder, "tls", "env", "--data-dir", "data")

    assert again.stdout == printed
    assert list(variables(printed)) == [
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    ]


def serve_once(folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    words = ("--data-dir", "data", "--port", "0", "--tls-port", "0")
    return homeport(folder, "serve", *words)


def test_without_certificates_the_remedy_is_said(tmp_path: pathlib.Path) -> None:
    ended = serve_once(tmp_path)

    assert ended.returncode == 1
    assert "make them with homeport tls init" in ended.stderr


def opened(data_dir: pathlib.Path) -> None:
    (data_dir / "tls" / "server.pem").chmod(0o644)


def damaged(data_dir: pathlib.Path) -> None:
    server = data_dir / "tls" / "server.pem"
    text = server.read_text()
    server.write_text(text[text.index("-----BEGIN CERT") :])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        pytest.param(opened, "open to other accounts (mode 0644)", id="mode"),
        pytest.param(damaged, "homeport tls init", id="without its key"),
    ],
)
def test_a_key_that_is_not_good_is_refused(
    tmp_path: pathlib.Path, harm: Callable[[pathlib.Path], None], message: str
) -> None:
    homeport(tmp_path, "tls", "init", "--data-dir", "data")
    harm(tmp_path / "data")

    ended = serve_once(tmp_path)

    assert ended.returncode == 1
    assert message in ended.stderr
