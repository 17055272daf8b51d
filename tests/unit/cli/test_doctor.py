"""`homeport doctor` names what is wrong, and each remedy."""

import json
import pathlib
import socket

import pytest

import command_line
from homeport.cli import diagnoses
from homeport.cli.diagnoses import Finding, State

GIB = 1 << 30
NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        pytest.param(
            diagnoses.of_torch(""), State.WARNING, "homeport[torch]", id="none"
        ),
        pytest.param(diagnoses.of_torch("2.14.1"), State.WARNING, "<2.14", id="new"),
        pytest.param(diagnoses.of_torch("2.6.0+cpu"), State.GOOD, "", id="tested"),
        pytest.param(diagnoses.of_uv(""), State.BAD, "pip install uv", id="no uv"),
        pytest.param(diagnoses.of_disk(GIB // 2), State.BAD, "make room", id="full"),
        pytest.param(diagnoses.of_disk(5 * GIB), State.WARNING, "make room", id="less"),
        pytest.param(diagnoses.of_disk(50 * GIB), State.GOOD, "", id="room"),
        pytest.param(diagnoses.of_files(256), State.WARNING, "ulimit", id="files"),
        pytest.param(
            diagnoses.of_environment({"HOMEPORT_LOCATION": "x"}),
            State.WARNING,
            "HOMEPORT_REGION",
            id="a variable of nobody",
        ),
        pytest.param(
            diagnoses.of_environment({"HOMEPORT_SERVE_PORT": "1"}),
            State.GOOD,
            "",
            id="a variable of serve",
        ),
    ],
)
def test_a_finding_has_its_remedy(found: Finding, state: State, words: str) -> None:
    assert found.state is state
    assert words in found.remedy
    assert bool(found.remedy) == (state is not State.GOOD)


def test_a_port_that_is_taken_is_wrong() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ended = command_line.run("doctor", "--port", str(port), url=NOWHERE)

    assert ended.code == 1
    assert f"{port} cannot be had" in ended.out
    assert "homeport serve --port 0" in ended.out


def test_a_folder_that_is_a_file_is_wrong(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")

    (found,) = diagnoses.of_data_dir(tmp_path / "file" / "data")

    assert found.state is State.BAD
    assert "--data-dir" in found.remedy


def test_programs_read_the_same(tmp_path: pathlib.Path) -> None:
    ended = command_line.run(
        *("doctor", "--port", "0", "--output", "json", "--data-dir", str(tmp_path)),
        url=NOWHERE,
    )

    found = {one["subject"]: one for one in json.loads(ended.out)}
    assert {"platform", "uv", "containers", "disk", "server", "port"} <= found.keys()
    assert found["server"]["state"] == "warning"
    assert "homeport serve" in found["server"]["detail"]
