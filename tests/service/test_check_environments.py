"""A check builds the environment that a deployment builds, and runs in it."""

import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import elsewhere
import wheels
from homeport.archive import lockfile, mar
from homeport.archive.golden import Golden
from homeport.archive.lockfile import Pin
from homeport.checking import preflight
from homeport.checking.preflight import Checker
from homeport.checking.report import Report, StageName, Verdict
from homeport.checking.surroundings import Choice
from homeport.environments import lock
from homeport.environments.build import Environments
from homeport.errors import UnavailableError

pytestmark = pytest.mark.service
HANDLER = "import shouting\ndef handle(data, context):\n    return data and [1]\n"
ONE = Golden({"instances": ["a"]}, (1,))
Check = Callable[..., Report]
MakeArchive = Callable[..., pathlib.Path]


@pytest.fixture
def packages(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def index(
    packages: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The only index, with the packages of this test alone."""
    with wheels.served(packages) as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
        yield url


@pytest.fixture
def make_archive(tmp_path: pathlib.Path) -> MakeArchive:
    """Return a function that archives the handler with lines of requirements."""

    def make(*lines: str, source: str = HANDLER) -> pathlib.Path:
        requirements = "".join(f"{line}\n" for line in lines)
        return elsewhere.archive(
            tmp_path / "model.mar",
            {"handler.py": source, elsewhere.REQUIREMENTS: requirements},
        )

    return make


@pytest.fixture
def check(tmp_path: pathlib.Path) -> Check:
    """Return a function that checks an archive."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environments = Environments(tmp_path / "environments")
    laid_out = iter(tmp_path / f"laid-out-{number}" for number in range(9))

    def run(archive: pathlib.Path, choice: Choice = Choice.AUTO) -> Report:
        folder = next(laid_out)

        def read() -> pathlib.Path:
            mar.extract(archive, folder)
            return folder

        options = preflight.Options(choice=choice)
        return Checker(environments, scratch, options).check(read, golden=ONE)

    return run


def details(report: Report) -> dict[StageName, tuple[Verdict, str]]:
    return {stage.name: (stage.verdict, stage.detail) for stage in report.stages}


def test_requirements_are_resolved_built_and_run_in(
    packages: pathlib.Path, make_archive: MakeArchive, check: Check
) -> None:
    wheels.make(packages, "shouting", "1.0")
    archive = make_archive("shouting==1.0")

    first = check(archive)
    again = check(archive)

    assert first.failure is None
    assert details(first)[StageName.RESOLVE] == (
        Verdict.PASSED,
        "1 package, resolved from requirements.txt",
    )
    assert details(first)[StageName.BUILD] == (Verdict.PASSED, "1 package")
    assert details(again)[StageName.BUILD] == (Verdict.PASSED, "it was there")
    assert [pin.name for pin in lock.parse(first.lock).pins] == ["shouting"]
    assert first.lock_digest == again.lock_digest
    assert first.measures.environment_bytes is not None
    assert first.measures.environment_bytes > 0


def test_torch_that_requirements_for_torchserve_leave_out_is_added(
    packages: pathlib.Path,
    make_archive: MakeArchive,
    check: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = importlib.metadata.version("torch").partition("+")[0]
    # Found here alone, where a machine keeps wheels of the real one.
    monkeypatch.setenv("UV_FIND_LINKS", str(packages))
    source = "def set_num_threads(number): pass\n"
    wheels.make(packages, "torch", version, source=source)
    wheels.make(packages, "shouting", "1.0")
    wheels.make(packages, "torch", "99.0")
    archive = make_archive("shouting==1.0", source=f"import torch\n{HANDLER}")

    report = check(archive)

    assert report.failure is None
    pins = [(pin.name, pin.version) for pin in lock.parse(report.lock).pins]
    assert pins == [("shouting", "1.0"), ("torch", version)]


def test_an_import_that_no_requirement_brings_is_named_before_building(
    packages: pathlib.Path, make_archive: MakeArchive, check: Check
) -> None:
    wheels.make(packages, "shouting", "1.0")
    archive = make_archive("shouting==1.0", source=f"import whispering\n{HANDLER}")

    failure = check(archive).failure

    assert failure is not None
    assert failure.name is StageName.RESOLVE
    assert failure.cause == (
        "handler.py line 1 imports whispering, which is neither in the archive nor in "
        "a package of its requirements.txt"
    )
    assert failure.remedy == (
        "If whispering is code of yours, give it with --extra-files; if it is a "
        "package, list whispering==VERSION in the requirements file and pack the "
        "archive again with it."
    )


def test_requirements_that_conflict_are_named_as_a_pair(
    packages: pathlib.Path, make_archive: MakeArchive, check: Check
) -> None:
    wheels.make(packages, "voice", "1.0")
    wheels.make(packages, "voice", "2.0")
    wheels.make(packages, "shouting", "1.0", needs=["voice==2.0"])

    failure = check(make_archive("shouting==1.0", "voice==1.0")).failure

    assert failure is not None
    assert failure.name is StageName.RESOLVE
    assert "shouting 1.0 needs voice==2.0" in failure.cause
    assert "voice==1.0" in failure.cause


def test_an_index_that_does_not_answer_is_no_fault_of_the_archive(
    make_archive: MakeArchive, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")

    with pytest.raises(UnavailableError, match="the package index does not answer"):
        check(make_archive("shouting==1.0"))


def locked(folder: pathlib.Path, *pins: Pin) -> pathlib.Path:
    """Return an archive that brings its own lock."""
    ours = lock.resolve([])
    return with_lock(folder, lockfile.make(ours.python, ours.platform, pins).text)


def with_lock(folder: pathlib.Path, text: str, source: str = HANDLER) -> pathlib.Path:
    manifest = {"model": {"modelName": "m", "handler": "handler.py"}}
    with zipfile.ZipFile(folder / "locked.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr(lockfile.PATH, text)
        archive.writestr("handler.py", source)
    return folder / "locked.mar"


def test_the_lock_in_the_archive_is_built_without_resolving(
    tmp_path: pathlib.Path, packages: pathlib.Path, check: Check
) -> None:
    wheels.make(packages, "shouting", "1.0")
    wheels.make(packages, "shouting", "2.0")

    found = check(locked(tmp_path, Pin("shouting", "1.0")))

    assert found.failure is None
    assert details(found)[StageName.RESOLVE] == (
        Verdict.PASSED,
        "1 package, as locked in the archive",
    )
    assert "shouting==1.0" in found.lock


def test_an_import_that_the_archives_lock_lacks_is_told_of_the_lock(
    tmp_path: pathlib.Path, check: Check
) -> None:
    ours = lock.resolve([])
    text = lockfile.make(ours.python, ours.platform, ()).text

    failure = check(with_lock(tmp_path, text, f"import pydantic\n{HANDLER}")).failure

    assert failure is not None
    assert failure.cause == (
        "handler.py line 1 imports pydantic, which is neither in the archive nor in a "
        "package of its lock; nor shouting"
    )
    assert failure.remedy.startswith("List pydantic==")


def test_a_lock_that_cannot_be_built_fails_that_stage(
    tmp_path: pathlib.Path, packages: pathlib.Path, check: Check
) -> None:
    wheels.make(packages, "shouting", "1.0")

    failure = check(locked(tmp_path, Pin("shouting", "3.0"))).failure

    assert failure is not None
    assert failure.name is StageName.BUILD
    assert "shouting" in failure.cause


def test_a_broken_lock_fails_the_resolution(
    tmp_path: pathlib.Path, check: Check
) -> None:
    broken = with_lock(tmp_path, "--index-url http://user:pw@host\n")

    failure = check(broken).failure

    assert failure is not None
    assert failure.name is StageName.RESOLVE
    assert "MAR-INF/requirements.lock line 1" in failure.cause
    assert "pw" not in failure.cause


@pytest.mark.parametrize(
    ("choice", "stage", "words"),
    [
        (Choice.OWN, StageName.IMPORTS, "Homeport's own environment does not have"),
        (Choice.LOCKED, StageName.RESOLVE, "no package is called"),
    ],
)
def test_the_environment_may_be_chosen(
    make_archive: MakeArchive, check: Check, choice: Choice, stage: Any, words: str
) -> None:
    failure = check(make_archive("shouting==1.0"), choice).failure

    assert failure is not None
    assert failure.name is stage
    assert words in failure.cause


def test_the_command_keeps_environments_in_the_users_cache(
    packages: pathlib.Path, make_archive: MakeArchive, tmp_path: pathlib.Path
) -> None:
    wheels.make(packages, "shouting", "1.0")
    (tmp_path / "sample.json").write_text('{"instances": ["a"]}')

    ended = subprocess.run(  # noqa: S603  # our own command
        [
            *(sys.executable, "-m", "homeport", "check", "--output=json"),
            *(str(make_archive("shouting==1.0")), "--sample", "sample.json"),
        ],
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    digest = json.loads(ended.stdout)["lock_digest"]
    kept = tmp_path / "cache/homeport/environments" / digest
    assert (kept / "bin/python").exists()
