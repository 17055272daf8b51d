"""What `homeport env` prints is sourced by a shell as it stands."""

import os
import pathlib
import subprocess

import command_line

URL = "http://127.0.0.1:9"


def sourced(text: str, folder: pathlib.Path, *names: str) -> list[str]:
    """Return what variables are worth in a shell that has sourced a text."""
    shown = "".join(f'; printf "%s\\n" "${name}"' for name in names)
    ended = subprocess.run(  # noqa: S603  # a shell and our own text
        ["/bin/sh", "-euc", f'eval "$EXPORTS"{shown}'],
        env={"EXPORTS": text, "HOME": str(folder), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return ended.stdout.splitlines()


def test_a_shell_that_sources_them_knows_the_server(tmp_path: pathlib.Path) -> None:
    project = "it's $HOME; `id`"

    ended = command_line.run("env", "--project", project, url=URL)

    assert ended.code == 0
    names = (
        "HOMEPORT_URL",
        "HOMEPORT_PROJECT",
        "HOMEPORT_REGION",
        "STORAGE_EMULATOR_HOST",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE",
        "CLOUDSDK_CORE_PROJECT",
    )
    assert sourced(ended.out, tmp_path, *names) == [
        URL,
        project,
        "us-central1",
        URL,
        f"{URL}/",
        f"{URL}/storage/v1/",
        project,
    ]
    assert (tmp_path / ".cache/homeport/gcloud").is_dir()
    assert f"api_endpoint='{URL}'" in ended.out


def test_the_boto_file_is_written_by_the_shell(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data/tls").mkdir(parents=True)
    bundle = tmp_path / "data/tls/bundle.pem"
    bundle.write_text("certificates")

    ended = command_line.run(
        *("env", "gsutil", "--tls-url", "https://localhost:8443"),
        *("--data-dir", str(tmp_path / "data")),
        url=URL,
    )

    (boto,) = sourced(ended.out, tmp_path, "BOTO_CONFIG")
    assert pathlib.Path(boto).read_text() == (
        "[Credentials]\ngs_json_host = localhost\ngs_json_port = 8443\n"
        f"[Boto]\nca_certificates_file = {bundle}\n"
        "[GSUtil]\ndefault_project_id = homeport\n[OAuth2]\n"
    )


def test_gsutil_without_https_is_told_how_to_get_it(tmp_path: pathlib.Path) -> None:
    plain = command_line.run("env", "gsutil", url=URL)
    untrusted = command_line.run(
        *("env", "gsutil", "--tls-url", "https://localhost:8443"),
        *("--data-dir", str(tmp_path)),
        url=URL,
    )

    assert (plain.code, untrusted.code) == (1, 1)
    assert "no --tls-url is given" in plain.err
    assert "--tls-port 8443" in plain.err
    assert "homeport tls init" in untrusted.err
