"""Traffic that was, brought back by the command line and over REST."""

import json
import pathlib
import subprocess
import sys

import pytest

import command_line
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


def test_states_of_one_version_are_told_apart_by_the_deployed_models(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    homeport(server, "deploy", str(mlp_archive))
    homeport(server, "deploy", "mlp@1")
    homeport(server, "deploy", str(mlp_archive))

    told = json.loads(homeport(server, "endpoints", "states", "mlp", "--output=json"))
    states = homeport(server, "endpoints", "states", "mlp").splitlines()

    (second,) = {id_ for id_, share in told[1]["trafficSplit"].items() if share}
    (first,) = {id_ for id_, share in told[2]["trafficSplit"].items() if share}
    assert first != second
    assert states[1].endswith("@2=100")
    assert states[2].endswith(f"@1[{second}]=100")
    assert states[3].endswith(f"@1[{first}]=100")


def test_what_a_plain_name_means_is_told_beside_what_serves(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    for _ in range(2):
        homeport(server, "deploy", str(mlp_archive))
    homeport(server, "endpoints", "rollback", "mlp")
    homeport(server, "storage", "mb", "gs://rows")

    made = command_line.run(
        *("batch", "create", "--async", "--display-name", "rows"),
        *("--model", "mlp"),
        *("--gcs-source", "gs://rows/in.jsonl"),
        *("--gcs-destination-prefix", "gs://rows/out"),
        url=server.url,
    )
    unnamed = command_line.run("undeploy", "mlp", url=server.url)

    assert "version     2, the default of mlp" in made.err
    assert "version 1 has traffic at an endpoint: --model mlp@1" in made.err
    assert made.out.startswith("projects/homeport/")
    assert unnamed.code == 2
    assert "name what leaves mlp: it has " in unnamed.err
    assert "(v1)" in unnamed.err


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
