"""A check runs in a process of its own, and nothing of it outlives whoever asked."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from homeport.archive import mar
from homeport.archive.golden import Golden
from homeport.checking.apart import ApartChecker, CheckError, Subject, Terms
from homeport.checking.ending import Ending
from homeport.checking.report import Batching, StageName, Verdict
from homeport.errors import (
    CancelledError,
    Code,
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
)
from homeport.worker.sandbox import Level, Sandbox
from liveness import is_running
from servers import wait_until

pytestmark = pytest.mark.service
ECHO = "def handle(data, context):\n    return data\n"
# Tells its process id, and that of a process it has started, then hangs.
HANGS = """
import os
import subprocess
import time

child = subprocess.Popen(["sleep", "3600"])
with open(os.environ["TOLD"] + ".partial", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename(os.environ["TOLD"] + ".partial", os.environ["TOLD"])
time.sleep(3600)
"""
# Starts a process that is neither in its group nor, soon, anybody's child.
HIDES = """
import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(os.environ["TOLD"] + ".partial", "w") as file:
            file.write(str(os.getpid()))
        os.rename(os.environ["TOLD"] + ".partial", os.environ["TOLD"])
        time.sleep(3600)
    os._exit(0)
while not os.path.exists(os.environ["TOLD"]):
    time.sleep(0.01)
"""
# That is after the sample, and its two instances alone.
FAILS_THE_FOURTH_TIME = """
calls = 0


def handle(data, context):
    global calls
    calls += bool(data)
    if data and calls == 4:
        raise RuntimeError("x" * 1_000_000 + "end")
    return data
"""
NOTHING = Subject({}, "", 1)
Lay = Callable[[str], pathlib.Path]


@pytest.fixture
def lay_out(archived: Callable[..., pathlib.Path], tmp_path: pathlib.Path) -> Lay:
    """Return a function that packs a handler and lays the archive out."""

    def lay(source: str) -> pathlib.Path:
        laid_out = tmp_path / "laid-out"
        handled = source if "def handle" in source else f"{source}\n\n{ECHO}"
        mar.extract(archived(handled), laid_out)
        return laid_out

    return lay


def _checker(
    tmp_path: pathlib.Path,
    timeout_s: float = 60.0,
    load_timeout_s: float = 60.0,
    level: Level = Level.AUTO,
) -> ApartChecker:
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return ApartChecker(
        Terms(
            tmp_path / "environments",
            tmp_path / "scratch",
            allow_build=False,
            load_timeout_s=load_timeout_s,
            timeout_s=timeout_s,
            sandbox=Sandbox(level, write=(tmp_path,)),
        )
    )


def _told(path: pathlib.Path) -> list[int]:
    wait_until(path.exists)
    return [int(pid) for pid in path.read_text().split()]


def test_a_handler_that_loads_passes(lay_out: Lay, tmp_path: pathlib.Path) -> None:
    model_dir = lay_out(ECHO)

    report = _checker(tmp_path).check(lambda: model_dir, NOTHING, Ending())

    assert report.passed
    assert report.model_name == "model"
    assert [stage.name for stage in report.stages] == list(StageName)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_variables_and_the_file_beside_reach_the_handler(
    lay_out: Lay, tmp_path: pathlib.Path
) -> None:
    model_dir = lay_out(
        "import os\n\n\ndef handle(data, context):\n"
        '    raise RuntimeError(os.environ["MOOD"].upper())\n'
    )

    checker = _checker(tmp_path)
    report = checker.check(
        lambda: model_dir, Subject({"MOOD": "dark"}, "", 1), Ending()
    )
    beside = checker.check(
        lambda: model_dir, Subject({}, "default_response_timeout=x", 1), Ending()
    )

    assert report.failure is not None
    assert "raised RuntimeError: DARK" in report.failure.cause
    assert beside.failure is not None
    assert "config.properties beside the archive" in beside.failure.cause


def test_an_archive_that_cannot_be_laid_out_fails_in_the_first_stage(
    tmp_path: pathlib.Path,
) -> None:
    def read() -> pathlib.Path:
        raise InvalidArgumentError("handler.py is damaged: copy the archive again")

    report = _checker(tmp_path).check(read, NOTHING, Ending())

    assert report.failure is not None
    assert report.failure.name is StageName.READ
    assert "handler.py is damaged" in report.failure.cause


def test_a_full_disk_is_no_fault_of_the_archive(tmp_path: pathlib.Path) -> None:
    def read() -> pathlib.Path:
        raise ResourceExhaustedError("the disk is full: free some of it")

    with pytest.raises(CheckError, match="the disk is full") as caught:
        _checker(tmp_path).check(read, NOTHING, Ending())

    assert caught.value.code == Code.RESOURCE_EXHAUSTED


def test_a_check_that_has_no_room_is_no_fault_of_the_archive(
    lay_out: Lay, tmp_path: pathlib.Path
) -> None:
    model_dir, checker = lay_out(ECHO), _checker(tmp_path)
    (tmp_path / "scratch").rmdir()

    with pytest.raises(CheckError, match="free disk space") as caught:
        checker.check(lambda: model_dir, NOTHING, Ending())

    assert caught.value.code == Code.RESOURCE_EXHAUSTED
    assert str(tmp_path) not in caught.value.message


def test_what_an_author_says_at_length_is_cut(
    lay_out: Lay, tmp_path: pathlib.Path
) -> None:
    model_dir = lay_out('raise RuntimeError("begin" + "x" * 10_000_000 + "end")\n')

    report = _checker(tmp_path).check(lambda: model_dir, NOTHING, Ending())

    assert report.failure is not None
    assert "RuntimeError: beginxxx" in report.failure.cause
    assert report.failure.cause.endswith("xxxend")
    assert len(report.failure.cause) < 20_000
    assert len(report.failure.traceback) < 20_000


def test_why_requests_do_not_go_together_is_cut_too(
    archived: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    laid_out = tmp_path / "laid-out"
    golden = Golden({"instances": [1, 2]})
    mar.extract(archived(FAILS_THE_FOURTH_TIME, golden=golden), laid_out)

    report = _checker(tmp_path).check(lambda: laid_out, NOTHING, Ending())

    assert report.batching.verdict is Batching.REFUTED
    assert report.batching.reason.startswith("a call with two requests fails: ")
    assert report.batching.reason.endswith("xxxend")
    assert len(report.batching.reason) < 20_000


def test_a_check_that_does_not_end_in_time_fails_where_it_was(
    lay_out: Lay, tmp_path: pathlib.Path
) -> None:
    model_dir, told = lay_out(HANGS), tmp_path / "told"
    subject = Subject({"TOLD": str(told)}, "", 1)

    report = _checker(tmp_path, timeout_s=3.0).check(
        lambda: model_dir, subject, Ending()
    )

    assert report.failure is not None
    assert report.failure.name is StageName.IMPORT
    assert report.failure.cause == "the check did not end within 3 s"
    assert "--check-timeout" in report.failure.remedy
    assert report.stages[0].verdict is Verdict.PASSED
    assert [stage.name for stage in report.stages] == list(StageName)
    for pid in _told(told):
        wait_until(lambda pid=pid: not is_running(pid))  # type: ignore[misc]


def test_a_handler_that_takes_too_long_is_told_what_the_server_allows(
    lay_out: Lay, tmp_path: pathlib.Path
) -> None:
    model_dir = lay_out("import time\n\ntime.sleep(3600)\n")

    report = _checker(tmp_path, load_timeout_s=1.5).check(
        lambda: model_dir, NOTHING, Ending()
    )

    assert report.failure is not None
    assert report.failure.cause == "importing the handler did not end within 1.5 s"
    assert "homeport serve --load-timeout" in report.failure.remedy


def test_a_check_whose_process_is_killed_fails_and_says_how(
    lay_out: Lay, tmp_path: pathlib.Path
) -> None:
    model_dir = lay_out(
        "import os\nimport signal\n\n"
        'with open(f"/proc/{os.getppid()}/cmdline") as file:\n'
        '    assert "homeport.checking" in file.read()\n'
        "os.kill(os.getppid(), signal.SIGKILL)\n"
    )

    checker = _checker(tmp_path, level=Level.NONE)
    report = checker.check(lambda: model_dir, NOTHING, Ending())

    assert report.failure is not None
    assert report.failure.name is StageName.IMPORT
    assert report.failure.cause == "the process of the check was killed by SIGKILL"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_check_that_is_killed_in_the_middle_of_a_word_says_how(
    lay_out: Lay, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nread order\nprintf '{\"rep'\nkill -9 $$\n")
    python.chmod(0o700)
    model_dir = lay_out(ECHO)
    monkeypatch.setattr(sys, "executable", str(python))

    report = _checker(tmp_path).check(lambda: model_dir, NOTHING, Ending())

    assert report.failure is not None
    assert report.failure.name is StageName.READ
    assert report.failure.cause == "the process of the check was killed by SIGKILL"


def test_what_is_stopped_raises_and_leaves_no_process(
    lay_out: Lay, tmp_path: pathlib.Path
) -> None:
    model_dir, told = lay_out(HANGS), tmp_path / "told"
    checker = _checker(tmp_path)

    def stop_when_it_hangs() -> None:
        wait_until(told.exists)
        checker.stop()

    stopping = threading.Thread(target=stop_when_it_hangs)
    stopping.start()
    with pytest.raises(FailedPreconditionError, match="send the request again"):
        checker.check(lambda: model_dir, Subject({"TOLD": str(told)}, "", 1), Ending())
    stopping.join()

    for pid in _told(told):
        wait_until(lambda pid=pid: not is_running(pid))  # type: ignore[misc]
    with pytest.raises(FailedPreconditionError, match="the server stopped"):
        checker.check(lambda: model_dir, NOTHING, Ending())


def test_what_hides_from_its_worker_ends_with_the_check(
    lay_out: Lay, tmp_path: pathlib.Path
) -> None:
    told = tmp_path / "told"
    model_dir = lay_out(HIDES)

    report = _checker(tmp_path).check(
        lambda: model_dir, Subject({"TOLD": str(told)}, "", 1), Ending()
    )

    assert report.passed, report.failure
    for pid in _told(told):
        assert not is_running(pid)


def test_what_hides_from_its_worker_ends_with_the_command(
    archived: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    told = tmp_path / "told"
    made = archived(f"{HIDES}\n\n{ECHO}")

    done = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "homeport", "check", made, "--env", f"TOLD={told}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    for pid in _told(told):
        assert not is_running(pid)


def test_a_check_that_nobody_waits_for_any_more_ends_at_once(
    lay_out: Lay, tmp_path: pathlib.Path
) -> None:
    model_dir, told, ending = lay_out(HANGS), tmp_path / "told", Ending()
    subject = Subject({"TOLD": str(told)}, "", 1)
    checker = _checker(tmp_path)

    def end_when_it_hangs() -> None:
        wait_until(told.exists)
        ending.end()

    waiting = threading.Thread(target=end_when_it_hangs)
    waiting.start()
    with pytest.raises(CancelledError, match="was ended"):
        checker.check(lambda: model_dir, subject, ending)
    waiting.join()

    for pid in _told(told):
        wait_until(lambda pid=pid: not is_running(pid))  # type: ignore[misc]


def test_a_check_that_nobody_wanted_any_more_when_it_began_ends_at_once(
    lay_out: Lay, tmp_path: pathlib.Path
) -> None:
    model_dir, told, ending = lay_out(HANGS), tmp_path / "told", Ending()
    ending.end()

    with pytest.raises(CancelledError, match="was ended"):
        _checker(tmp_path).check(
            lambda: model_dir, Subject({"TOLD": str(told)}, "", 1), ending
        )

    assert not told.exists()


def test_a_check_ends_with_whoever_asked(lay_out: Lay, tmp_path: pathlib.Path) -> None:
    told = tmp_path / "told"
    (tmp_path / "scratch").mkdir()
    order = {
        "model_dir": str(lay_out(HANGS)),
        "environments_dir": str(tmp_path / "environments"),
        "scratch_dir": str(tmp_path / "scratch"),
        "allow_build": False,
        "load_timeout_s": 60.0,
        "environment": {"TOLD": str(told)},
        "server_config": "",
        "archive_bytes": 1,
        "sandbox": Sandbox(write=(tmp_path,)).to_json(),
        "limits": None,
    }
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "homeport.checking"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        # As a shell's background jobs have it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        pids = _told(told)

        process.stdin.close()

        assert process.wait(30) == 130
    for pid in (*pids, process.pid):
        wait_until(lambda pid=pid: not is_running(pid))  # type: ignore[misc]
    assert os.listdir(tmp_path / "scratch") == []  # noqa: PTH208
