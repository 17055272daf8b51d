"""Traffic that was, brought back by the command line and over REST."""

import json
import pathlib
import re
import shlex
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


def test_a_version_without_traffic_takes_over_step_by_step(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    homeport(server, "deploy", str(mlp_archive))

    waiting = homeport(server, "deploy", str(mlp_archive), "--traffic", "0")
    default = homeport(server, "models", "describe", "mlp", "--output=json")
    command = re.search(r"without traffic: `homeport (traffic .* v2=100)`", waiting)
    assert command
    partly = command_line.run("traffic", "mlp", "v2=10", url=server.url)
    shifted = command_line.run(*shlex.split(command[1]))
    left = homeport(server, "undeploy", "mlp", "v2")

    assert re.search(r"^deployed    \S+ as \d+, 0 %$", waiting, re.MULTILINE)
    assert "undeployed" not in waiting
    assert json.loads(default)["versionId"] == "1"
    assert partly.code == 1
    assert "add up to 100, as with v1=90 v2=10" in partly.err
    assert "(version 2), 100 %" in shifted.out
    assert re.search(
        r"^serving     (\d+) \(version 1\), 100 %\n"
        r" +\1 had no traffic and has all of it now$",
        left,
        re.MULTILINE,
    )


def test_the_first_version_gets_everything_also_if_no_traffic_was_asked_for(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    printed = homeport(server, "deploy", str(mlp_archive), "--traffic", "0")

    assert re.search(r"^deployed    \S+ as \d+, 100 %$", printed, re.MULTILINE)
    assert "nothing else has traffic there: it gets everything" in printed
    assert "without traffic" not in printed


def test_a_rollback_leaves_the_default_version(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    for _ in range(2):
        homeport(server, "deploy", str(mlp_archive))

    homeport(server, "endpoints", "rollback", "mlp")

    found = json.loads(homeport(server, "models", "describe", "mlp", "--output=json"))
    assert found["versionId"] == "2"
    assert "default" in found["versionAliases"]


def test_the_log_of_what_is_undeployed_goes(
    server: Server, mlp_archive: pathlib.Path
) -> None:
    homeport(server, "deploy", str(mlp_archive))
    homeport(server, "deploy", str(mlp_archive), "--traffic", "20")
    before = homeport(server, "logs", "mlp")

    homeport(server, "undeploy", "mlp", "v1")

    after = homeport(server, "logs", "mlp")
    assert before.count("== deployed model ") == 2
    assert after.count("== deployed model ") == 1


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
