"""An environment is built once, whole or not at all, and found again."""

import concurrent.futures
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import wheels
from homeport.environments import folders, lock
from homeport.environments.build import Environment, Environments
from homeport.environments.eviction import Limits
from homeport.errors import (
    DataLossError,
    FailedPreconditionError,
    NotFoundError,
    UnavailableError,
)
from homeport.worker import occupancy

DEADLINE_S = 60.0


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "environments"


@pytest.fixture
def alpha(packages: pathlib.Path) -> lock.Lock:
    """The lock of one package."""
    wheels.make(packages, "alpha", "1.0", source="def boom():\n    raise OSError\n")
    return lock.resolve(["alpha"])


def output_of(environment: Environment, code: str) -> str:
    done = subprocess.run(  # noqa: S603  # an interpreter of our own making
        [environment.python, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def names_in(directory: pathlib.Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition was never met"
        time.sleep(0.01)


def test_an_environment_has_the_locked_packages_and_nothing_of_ours(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    built = Environments(directory).build(alpha)

    assert not built.was_there
    packages = f"lib/python{alpha.python}/site-packages"
    assert output_of(built, "import alpha; print(alpha.__file__)") == str(
        directory / alpha.digest / packages / "alpha.py"
    )
    assert (
        output_of(
            built, "import importlib.util; print(importlib.util.find_spec('homeport'))"
        )
        == "None"
    )
    assert names_in(directory) == [alpha.digest]


def test_it_is_compiled_and_its_code_knows_where_it_lies_in_the_end(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    built = Environments(directory).build(alpha)

    code = "import alpha; print(alpha.__cached__, alpha.boom.__code__.co_filename)"
    compiled, source = output_of(built, code).split()
    assert pathlib.Path(compiled).is_file()
    assert source == str(pathlib.Path(compiled).parents[1] / "alpha.py")


def test_the_second_time_it_is_there(directory: pathlib.Path, alpha: lock.Lock) -> None:
    environments = Environments(directory)
    assert environments.find(alpha) is None
    built = environments.build(alpha)
    os.utime(directory / alpha.digest, (0, 0))

    again = Environments(directory).build(alpha)

    assert again == Environment(built.python, alpha.digest, was_there=True)
    assert environments.find(alpha) == again
    assert (directory / alpha.digest).stat().st_mtime > 0


def test_nothing_in_it_is_writable(directory: pathlib.Path, alpha: lock.Lock) -> None:
    Environments(directory).build(alpha)

    writable = [
        path
        for path in (directory / alpha.digest).rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o222
    ]
    assert writable == []


def test_many_at_once_build_it_one_time(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        # Each with an Environments of its own, as in processes of their own.
        built = list(
            threads.map(lambda _: Environments(directory).build(alpha), range(8))
        )

    assert [one.was_there for one in built].count(False) == 1
    assert names_in(directory) == [alpha.digest]


def test_a_lock_that_cannot_be_installed_leaves_nothing(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    gone = lock.parse(alpha.text.partition("alpha")[0] + "alpha==7.0\n")
    changed = lock.parse(
        f"{alpha.text.partition('alpha')[0]}alpha==1.0 --hash=sha256:{'0' * 64}\n"
    )

    with pytest.raises(NotFoundError, match=r"there is no alpha==7\.0"):
        Environments(directory).build(gone)
    with pytest.raises(DataLossError, match=r"alpha==1\.0 is not the file that was"):
        Environments(directory).build(changed)

    assert names_in(directory) == []


def test_a_package_is_built_from_source_only_where_that_is_allowed(
    directory: pathlib.Path, packages: pathlib.Path
) -> None:
    wheels.make_source(packages, "delta", "1.0")
    with pytest.raises(FailedPreconditionError, match=r"delta 1\.0 has no wheel"):
        lock.resolve(["delta==1.0"])

    locked = lock.resolve(["delta==1.0"], allow_build=True)

    with pytest.raises(FailedPreconditionError, match=r"delta 1\.0 has no wheel"):
        Environments(directory).build(locked)
    built = Environments(directory, allow_build=True).build(locked)
    assert output_of(built, "import delta; print(delta.VERSION)") == "1.0"


def test_a_lock_for_another_python_is_refused_before_anything_is_made(
    directory: pathlib.Path,
) -> None:
    other = lock.parse("# python: 3.9\n# platform: linux-x86_64\nidna==3.10\n")

    with pytest.raises(FailedPreconditionError, match=r"lock is for Python 3\.9"):
        Environments(directory).build(other)

    assert not directory.exists()


def test_a_build_that_is_stopped_leaves_nothing(
    directory: pathlib.Path, alpha: lock.Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = Environments(directory)
    begun = threading.Event()
    with wheels.silent() as url, concurrent.futures.ThreadPoolExecutor(1) as threads:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        building = threads.submit(environments.build, alpha, lambda _line: begun.set())
        assert begun.wait(DEADLINE_S)

        environments.stop()

        with pytest.raises(UnavailableError, match="the server is stopping"):
            building.result(DEADLINE_S)
    assert names_in(directory) == []


@contextlib.contextmanager
def a_build_in_another_process(
    directory: pathlib.Path, wanted: lock.Lock
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield it when it waits for an index that does not answer."""
    script = (
        "import pathlib, sys\n"
        "from homeport.environments import build, lock\n"
        "build.Environments(pathlib.Path(sys.argv[1]))"
        ".build(lock.parse(sys.argv[2]), print)\n"
    )
    with (
        wheels.silent() as url,
        subprocess.Popen(  # noqa: S603  # our own interpreter
            [sys.executable, "-u", "-c", script, str(directory), wanted.text],
            env={**os.environ, "UV_DEFAULT_INDEX": url, "UV_HTTP_TIMEOUT": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        staging = directory / f".staging.{wanted.digest}"
        wait_until((staging / "requirements.txt").exists)
        yield process


def test_what_a_killed_build_left_is_removed_by_the_next(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    with a_build_in_another_process(directory, alpha) as process:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        left = names_in(directory)

    built = Environments(directory).build(alpha)

    assert left == [f".lock.{alpha.digest}", f".staging.{alpha.digest}"]
    assert not built.was_there
    assert names_in(directory) == [alpha.digest]


def test_a_build_that_is_interrupted_leaves_nothing(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    with a_build_in_another_process(directory, alpha) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)

    assert process.returncode == -signal.SIGINT
    assert names_in(directory) == []


def test_what_other_killed_builds_left_goes_with_the_next_build_that_works(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    (directory / ".staging.dead/bin").mkdir(parents=True)
    (directory / ".lock.dead").touch()
    (directory / ".staging.alive").mkdir()
    with folders.turn(directory, "alive", 1.0, lambda: None):
        Environments(directory).build(alpha)

        left = names_in(directory)

    assert left == [".lock.alive", ".staging.alive", alpha.digest]


def test_an_environment_that_lost_bytes_is_built_anew(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    built = Environments(directory).build(alpha)
    module = pathlib.Path(output_of(built, "import alpha; print(alpha.__file__)"))
    module.chmod(0o600)
    module.write_text("")

    again = Environments(directory).build(alpha)

    assert not again.was_there
    assert "boom" in output_of(again, "import alpha; print(dir(alpha))")


def test_byte_code_that_a_wheel_brought_and_uv_compiled_anew_is_no_loss(
    directory: pathlib.Path, packages: pathlib.Path
) -> None:
    wheels.make(packages, "alpha", "1.0", bytecode="of the machine it was built on")
    wanted = lock.resolve(["alpha"])
    Environments(directory).build(wanted)

    again = Environments(directory).build(wanted)

    assert again.was_there


def test_a_file_that_two_packages_bring_is_no_loss(
    directory: pathlib.Path, packages: pathlib.Path
) -> None:
    wheels.make(packages, "alpha", "1.0", common="")
    wheels.make(packages, "beta", "1.0", common="NAME = 'beta'\n")
    wanted = lock.resolve(["alpha", "beta"])
    Environments(directory).build(wanted)

    again = Environments(directory).build(wanted)

    assert again.was_there


def test_one_whose_interpreter_is_gone_is_built_anew(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    environments = Environments(directory)
    built = environments.build(alpha)
    built.python.parent.chmod(0o700)
    built.python.unlink()
    built.python.symlink_to("/nonexistent/python")

    assert environments.find(alpha) is None
    assert not environments.build(alpha).was_there
    assert output_of(built, "print(1)") == "1"


NOTHING = Limits(max_age_s=0.0, max_bytes=0)


def test_what_is_beyond_the_limits_goes_after_a_build_and_not_what_was_built(
    directory: pathlib.Path, alpha: lock.Lock, packages: pathlib.Path
) -> None:
    wheels.make(packages, "beta", "1.0")
    beta = lock.resolve(["beta"])
    environments = Environments(directory, limits=NOTHING)
    first = environments.build(alpha)

    second = environments.build(beta)

    assert (first.was_there, second.was_there) == (False, False)
    assert names_in(directory) == [beta.digest]
    assert output_of(second, "import beta; print(beta.VERSION)") == "1.0"


def test_who_wants_a_new_one_has_it_before_others_go(
    directory: pathlib.Path, alpha: lock.Lock, packages: pathlib.Path
) -> None:
    wheels.make(packages, "beta", "1.0")
    beta = lock.resolve(["beta"])
    environments = Environments(directory, limits=NOTHING)
    environments.build(alpha)

    with environments.using(beta):
        meanwhile = names_in(directory)

    assert meanwhile == sorted([alpha.digest, beta.digest])
    assert names_in(directory) == [beta.digest]


def test_one_that_was_stopped_removes_nothing(directory: pathlib.Path) -> None:
    unused = directory / ("0" * 64)
    unused.mkdir(parents=True)
    os.utime(unused, (0, 0))
    environments = Environments(directory, limits=NOTHING)

    environments.stop()
    environments.tidy()

    assert unused.is_dir()


def test_a_stay_that_fails_keeps_what_it_had_and_lets_go_of_those_before(
    directory: pathlib.Path,
) -> None:
    before, now = directory / ("0" * 64), directory / ("1" * 64)
    for path in (before, now):
        path.mkdir(parents=True)
    environments = Environments(directory)
    environments.stay_in([before.name])

    with pytest.raises(OSError, match="name too long"):
        environments.stay_in([now.name, "2" * 300])
    alone = occupancy.enter_alone(before)
    kept = occupancy.enter_alone(now)
    environments.stay_in(())
    free = occupancy.enter_alone(now)

    assert alone is not None
    assert kept is None
    assert free is not None
    os.close(alone)
    os.close(free)


def test_what_is_used_stays_and_goes_when_nobody_uses_it_any_more(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    environments = Environments(directory, limits=NOTHING)
    with environments.using(alpha):
        # As another process, which knows nothing of this one.
        Environments(directory, limits=NOTHING).tidy()
        used = names_in(directory)
    with environments.kept(alpha) as found:
        Environments(directory, limits=NOTHING).tidy()
        again = names_in(directory)

    Environments(directory, limits=NOTHING).tidy()

    assert found is not None
    assert used == again == [alpha.digest]
    assert names_in(directory) == []


def test_one_that_was_removed_or_never_looked_through_is_not_kept(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    builder, other = Environments(directory), Environments(directory)
    builder.build(alpha)
    with other.kept(alpha) as unknown:
        pass
    Environments(directory, limits=NOTHING).tidy()

    with builder.kept(alpha) as removed:
        pass

    assert (unknown, removed) == (None, None)
    assert not builder.build(alpha).was_there


def test_builders_and_those_who_remove_get_along(
    directory: pathlib.Path, alpha: lock.Lock, packages: pathlib.Path
) -> None:
    wheels.make(packages, "beta", "1.0")
    wanted = (alpha, lock.resolve(["beta"]))
    ended = threading.Event()

    def remove() -> None:
        while not ended.is_set():
            Environments(directory, limits=NOTHING).tidy()

    def use(number: int) -> str:
        # Each with an Environments of its own, as in processes of their own.
        with Environments(directory).using(wanted[number % 2]) as environment:
            return output_of(environment, "import sys; print(sys.prefix)")

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        removing = threads.submit(remove)
        try:
            prefixes = list(threads.map(use, range(4)))
        finally:
            ended.set()
        removing.result(DEADLINE_S)

    assert prefixes == [str(directory / one.digest) for one in wanted] * 2


def test_one_that_a_program_in_it_locks_for_itself_is_refused(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    environments = Environments(directory)
    environments.build(alpha)
    held = occupancy.enter_alone(directory / alpha.digest)
    assert held is not None

    with pytest.raises(UnavailableError, match="locked by a program that runs in it"):
        environments.build(alpha)

    os.close(held)
    assert environments.build(alpha).was_there


def test_progress_is_told_without_places(
    directory: pathlib.Path, alpha: lock.Lock
) -> None:
    lines: list[str] = []

    Environments(directory).build(alpha, lines.append)

    assert lines[0] == "building an environment of 1 packages"
    assert " + alpha==1.0" in lines
    assert str(directory) not in "".join(lines)
