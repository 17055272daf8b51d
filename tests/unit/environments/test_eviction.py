"""Unused environments go by age and size; one that somebody is in never does."""

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from homeport.environments import eviction, folders
from homeport.environments.eviction import Limits
from homeport.worker import occupancy

DAY_S = 86400.0
NOW_S = 1_800_000_000.0
KEEP_ALL = Limits(max_age_s=1000 * DAY_S, max_bytes=1 << 40)
KEEP_NOTHING = Limits(max_age_s=0.0, max_bytes=0)
Made = Callable[..., pathlib.Path]


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "environments"


@pytest.fixture
def made(directory: pathlib.Path) -> Made:
    """Return a function that makes what an environment is, with no Python in it."""

    def make(
        digit: str, *, age_days: float = 0.0, size_bytes: int = 200
    ) -> pathlib.Path:
        path = directory / (digit * 64)
        (path / "bin").mkdir(parents=True)
        (path / "bin/python").symlink_to(sys.executable)
        text = f"alpha==1.{digit} \\\n    --hash=sha256:{'0' * 64}\nbeta==2.0\n"
        (path / "requirements.txt").write_text(text)
        (path / "module.py").write_bytes(bytes(size_bytes - len(text)))
        folders.protect(path)
        used_s = NOW_S - age_days * DAY_S
        os.utime(path, (used_s, used_s))
        return path

    return make


def names_in(directory: pathlib.Path) -> list[str]:
    return sorted(path.name[:10] for path in directory.iterdir())


def test_what_is_there_is_told_the_one_used_last_at_the_end(
    directory: pathlib.Path, made: Made
) -> None:
    made("a", age_days=1, size_bytes=300)
    made("b", age_days=2, size_bytes=200)
    (directory / "notes").mkdir()

    found = eviction.survey(directory, NOW_S)

    assert found == (
        eviction.Kept(
            "b" * 64, ("alpha==1.b", "beta==2.0"), 200, NOW_S - 2 * DAY_S, in_use=False
        ),
        eviction.Kept(
            "a" * 64, ("alpha==1.a", "beta==2.0"), 300, NOW_S - DAY_S, in_use=False
        ),
    )


def test_where_nothing_was_built_there_is_nothing(directory: pathlib.Path) -> None:
    assert eviction.survey(directory, NOW_S) == ()
    assert eviction.evict(directory, KEEP_NOTHING, NOW_S) == ()
    assert not directory.exists()


def test_what_was_not_used_for_too_long_goes(
    directory: pathlib.Path, made: Made
) -> None:
    made("a", age_days=31)
    made("b", age_days=29)

    gone = eviction.evict(directory, Limits(30 * DAY_S, 1 << 40), NOW_S)

    assert [one.digest[0] for one in gone] == ["a"]
    assert names_in(directory) == ["b" * 10]


def test_beyond_the_size_those_used_longest_ago_go_until_the_rest_fits(
    directory: pathlib.Path, made: Made
) -> None:
    for age_days, digit in enumerate("dcba"):
        made(digit, age_days=age_days, size_bytes=1000)

    gone = eviction.evict(directory, Limits(1000 * DAY_S, 2000), NOW_S)

    assert [one.digest[0] for one in gone] == ["a", "b"]
    assert names_in(directory) == ["c" * 10, "d" * 10]


def test_a_dry_run_says_the_same_and_removes_nothing(
    directory: pathlib.Path, made: Made
) -> None:
    made("a", age_days=40)
    made("b", age_days=3)

    would_go = eviction.evict(directory, KEEP_NOTHING, NOW_S, dry_run=True)

    assert [one.digest[0] for one in would_go] == ["a", "b"]
    assert names_in(directory) == ["a" * 10, "b" * 10]


def test_once_it_is_stopped_nothing_more_is_measured_or_removed(
    directory: pathlib.Path, made: Made
) -> None:
    made("a", age_days=40)
    asked: list[bool] = []

    def is_stopped() -> bool:
        # Not when it comes to the environment, but in the middle of it.
        asked.append(bool(asked))
        return asked[-1]

    found = eviction.survey(directory, NOW_S, is_stopped)
    asked.clear()
    gone = eviction.evict(directory, KEEP_NOTHING, NOW_S, is_stopped=is_stopped)

    assert [one.size_bytes for one in found] == [0]
    assert gone == ()
    assert names_in(directory) == ["a" * 10]


def test_once_it_is_stopped_what_was_killed_is_left_for_the_next_time(
    directory: pathlib.Path,
) -> None:
    half_built = folders.staging(directory, "c" * 64)
    half_built.mkdir(parents=True)

    eviction.clear(directory, lambda: True)
    left = names_in(directory)
    eviction.clear(directory)

    assert left == [".staging.c"]
    assert names_in(directory) == []


def test_one_that_is_used_stays_counts_and_was_used_now(
    directory: pathlib.Path, made: Made
) -> None:
    used = made("a", age_days=400, size_bytes=1000)
    made("b", age_days=1, size_bytes=1000)
    held = occupancy.enter(used)
    assert held is not None

    gone = eviction.evict(directory, Limits(300 * DAY_S, 1000), NOW_S)

    assert [one.digest[0] for one in gone] == ["b"]
    assert names_in(directory) == ["a" * 10]
    os.close(held)
    (left,) = eviction.survey(directory, NOW_S + DAY_S)
    assert (left.last_use_s, left.in_use) == (NOW_S, False)


USES = (
    "import pathlib, signal, sys\n"
    "from homeport.worker import occupancy\n"
    "assert occupancy.enter(pathlib.Path(sys.argv[1])) is not None\n"
    "print('in it', flush=True)\n"
    "signal.pause()\n"
)


def test_what_another_process_uses_stays_until_that_is_killed(
    directory: pathlib.Path, made: Made
) -> None:
    path = made("a")
    with subprocess.Popen(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", USES, str(path)], stdout=subprocess.PIPE
    ) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == b"in it\n"
        while_used = eviction.evict(directory, KEEP_NOTHING, NOW_S + DAY_S)
        user.send_signal(signal.SIGKILL)
        user.wait()

    gone = eviction.evict(directory, KEEP_NOTHING, NOW_S + 2 * DAY_S)

    assert while_used == ()
    assert [one.digest[0] for one in gone] == ["a"]
    assert names_in(directory) == []


def test_one_that_is_being_built_anew_stays(
    directory: pathlib.Path, made: Made
) -> None:
    path = made("a", age_days=400)
    with folders.turn(directory, path.name, 1.0, lambda: None):
        gone = eviction.evict(directory, KEEP_NOTHING, NOW_S)
        left = path.exists()

    assert gone == ()
    assert left


def test_one_that_is_going_lets_nobody_in(directory: pathlib.Path, made: Made) -> None:
    path = made("a")
    alone = occupancy.enter_alone(path)
    assert alone is not None

    while_it_goes = occupancy.enter(path)
    folders.remove(directory, path.name)
    os.close(alone)

    assert while_it_goes is None
    assert occupancy.enter(path) is None


def test_a_removal_that_was_killed_in_the_middle_is_carried_on(
    directory: pathlib.Path, made: Made
) -> None:
    kept = made("a")
    half_gone = made("b")
    half_gone.rename(folders.staging(directory, half_gone.name))
    (directory / f".lock.{half_gone.name}").touch()
    half_built = folders.staging(directory, "c" * 64)
    half_built.mkdir()
    being_built = folders.staging(directory, "d" * 64)
    being_built.mkdir()

    seen = eviction.survey(directory, NOW_S)
    with folders.turn(directory, "d" * 64, 1.0, lambda: None):
        eviction.clear(directory)
        left = names_in(directory)

    assert [one.digest for one in seen] == [kept.name]
    assert left == [".lock.dddd", ".staging.d", "a" * 10]
