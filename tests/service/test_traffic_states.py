"""Traffic that was, brought back by the command line and over REST."""

import pathlib
import subprocess
import sys

import pytest

from servers import Server

pytestmark = pytest.mark.service


def homeport(server: Server, *words: str) -> str:
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "homeport", *words, "--url", server.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_rollback_deploys_again_what_was_undeployed(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    homeport(server, "deploy", str(mlp_archive))
    homeport(server, "deploy", str(mlp_archive))
    row = "[[1, 2, 3, 4]]"

    printed = homeport(server, "endpoints", "rollback", "mlp")

    assert "back at     state " in printed
    assert "(version 1), 100 %" in printed
    assert homeport(server, "predict", "mlp", "--json", row)
    states = homeport(server, "endpoints", "states", "mlp").splitlines()
    assert "@1=100" in states[1]
    assert "@2=100" in states[2]


def test_a_registered_version_is_deployed_without_its_file(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    homeport(server, "deploy", str(mlp_archive), "--description", "first")

    printed = homeport(server, "deploy", "mlp@default", "--endpoint", "other")

    assert "found       projects/" in printed
    assert "@1\n" in printed
    assert homeport(server, "predict", "other", "--json", "[[1, 2, 3, 4]]")
    assert "registered" not in printed


def test_what_is_neither_file_nor_version_is_refused(server: Server) -> None:
    for wanted in ("nothing.mar", "mlp@9"):
        ended = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "homeport", "deploy", wanted, "--url", server.url],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert ended.returncode != 0
        assert wanted.partition("@")[0] in ended.stderr
