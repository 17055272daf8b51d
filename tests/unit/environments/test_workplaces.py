"""Where uv ran is empty before, gone afterwards, and cleared away after a kill."""

import pathlib
import signal
import subprocess
import sys
import tempfile

import pytest

from homeport.environments import workplaces


@pytest.fixture(autouse=True)
def temporary(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The system's place for temporary files, of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_it_is_empty_and_goes_with_what_is_in_it(temporary: pathlib.Path) -> None:
    with workplaces.workplace() as place:
        before = list(place.iterdir())
        (place / "pylock.toml").touch()

    assert place.parent == temporary
    assert before == []
    assert list(temporary.iterdir()) == []


WORKS = (
    "import signal\n"
    "from homeport.environments import workplaces\n"
    "with workplaces.workplace() as place:\n"
    "    print(place.name, flush=True)\n"
    "    signal.pause()\n"
)


def test_what_a_killed_process_left_goes_and_what_one_works_in_stays(
    temporary: pathlib.Path,
) -> None:
    (temporary / "homeport-uv-link").symlink_to(temporary / "elsewhere")
    (temporary / "elsewhere").mkdir()
    with subprocess.Popen(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", WORKS], stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        place = temporary / worker.stdout.readline().strip()
        workplaces.clear()
        at_work = place.exists()
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        left = place.exists()

    workplaces.clear()

    assert (at_work, left) == (True, True)
    assert sorted(path.name for path in temporary.iterdir()) == [
        "elsewhere",
        "homeport-uv-link",
    ]
