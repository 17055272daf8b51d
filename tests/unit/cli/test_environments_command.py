"""`homeport environments` shows and removes what was built and nobody uses."""

import json
import os
import pathlib
import time

import pytest

import command_line
from homeport.worker import occupancy

USED, UNUSED = "a" * 64, "b" * 64


@pytest.fixture
def data_dir(tmp_path: pathlib.Path) -> pathlib.Path:
    """A data directory with two environments, both last used 10 days ago."""
    for digest in (USED, UNUSED):
        path = tmp_path / "environments" / digest
        path.mkdir(parents=True)
        (path / "requirements.txt").write_text("alpha==1.0\n")
        (path / "alpha.py").write_bytes(bytes(1_600_000))
        then_s = time.time() - 10 * 86400
        os.utime(path, (then_s, then_s))
    return tmp_path


def left_in(data_dir: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (data_dir / "environments").iterdir())


def test_a_list_tells_of_each(data_dir: pathlib.Path) -> None:
    held = occupancy.enter(data_dir / "environments" / USED)
    assert held is not None
    words = ("environments", "list", "--data-dir", str(data_dir))

    shown, told = command_line.run(*words), command_line.run(*words, "--output=json")

    os.close(held)
    header, first, second = shown.out.splitlines()
    assert header.split() == ["ENVIRONMENT", "PACKAGES", "MB", "LAST", "USE", "STATE"]
    assert (first.split()[0], first.split()[-1]) == ("bbbbbbbbbbbb", "UNUSED")
    assert second.split()[0] == "aaaaaaaaaaaa"
    assert second.endswith("IN USE")
    assert shown.err == "2 environments of 3.2 MB are there.\n"
    unused, used = json.loads(told.out)
    assert (unused["name"], unused["packages"]) == (UNUSED, ["alpha==1.0"])
    assert unused["sizeBytes"] == 1_600_011
    assert (unused["inUse"], used["inUse"]) == (False, True)


def test_what_would_go_is_shown_before_it_goes(data_dir: pathlib.Path) -> None:
    held = occupancy.enter(data_dir / "environments" / USED)
    assert held is not None
    words = ("environments", "prune", "--data-dir", str(data_dir), "--output=name")

    would_go = command_line.run(*words, "--older-than", "9d", "--dry-run")
    before = left_in(data_dir)
    gone = command_line.run(*words, "--older-than", "9d")

    os.close(held)
    assert would_go.out == gone.out == f"{UNUSED}\n"
    assert would_go.err == "1 environment of 1.6 MB would go.\n"
    assert before == [USED, UNUSED]
    assert left_in(data_dir) == [USED]


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        pytest.param((), 2, id="as a server does"),
        pytest.param(("--older-than", "2w"), 2, id="not so old"),
        pytest.param(("--older-than", "12h"), 0, id="older"),
        pytest.param(("--max-size", "4M"), 2, id="not so large"),
        pytest.param(("--max-size", "2M"), 1, id="until it fits"),
        pytest.param(("--older-than", "2w", "--max-size", "0"), 0, id="either"),
    ],
)
def test_the_options_say_how_much_goes(
    data_dir: pathlib.Path, limits: tuple[str, ...], left: int
) -> None:
    words = ("environments", "prune", "--data-dir", str(data_dir))

    ended = command_line.run(*words, *limits)

    assert ended.code == 0
    assert len(left_in(data_dir)) == left


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(
            ("--older-than", "7"), 2, "'7' is no age: write a number and s", id="age"
        ),
        pytest.param(
            ("--max-size", "2X"), 2, "'2X' is no size: write bytes", id="size"
        ),
        pytest.param(
            ("--data-dir", "/nonexistent"), 1, "name the server's", id="directory"
        ),
    ],
)
def test_what_is_no_value_is_refused_with_what_to_write(
    words: tuple[str, ...], code: int, said: str
) -> None:
    ended = command_line.run("environments", "prune", *words)

    assert ended.code == code
    assert said in ended.err


@pytest.mark.parametrize("command", ["list", "prune"])
def test_what_cannot_be_looked_through_is_told(
    tmp_path: pathlib.Path, command: str
) -> None:
    (tmp_path / "environments").touch()

    ended = command_line.run("environments", command, "--data-dir", str(tmp_path))

    assert ended.code == 1
    assert "cannot be looked through and changed (Not a directory)" in ended.err


def test_those_of_checks_are_in_the_users_cache(data_dir: pathlib.Path) -> None:
    (data_dir / "cache/homeport").mkdir(parents=True)
    (data_dir / "environments").rename(data_dir / "cache/homeport/environments")

    ended = command_line.run(
        *("environments", "list", "--checks", "--output=name"),
        XDG_CACHE_HOME=str(data_dir / "cache"),
    )

    assert ended.out == f"{USED}\n{UNUSED}\n"
