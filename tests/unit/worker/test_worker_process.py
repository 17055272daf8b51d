"""What a worker's parent makes of its environment, its lines and its end."""

import pathlib

import pytest

from homeport.worker import process
from homeport.worker.process import LineCutter


def test_nothing_of_the_servers_environment_but_path_is_passed_on() -> None:
    environment = process.make_environment(
        {"MY_LABEL": "x", "OMP_NUM_THREADS": "2"},
        pathlib.Path("/private"),
        {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "secret", "PYTHONPATH": "/evil"},
    )

    assert environment == {
        "PATH": "/bin",
        "HOME": "/private",
        "TMPDIR": "/private",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MY_LABEL": "x",
    }


def test_chunks_become_lines_wherever_they_are_cut() -> None:
    cutter = LineCutter()

    lines = [*cutter.feed(b"on"), *cutter.feed(b"e\r\n\ntwo\nth\xff"), *cutter.end()]

    assert lines == ["one", "two", "th\ufffd"]


def test_a_line_without_end_keeps_only_its_beginning() -> None:
    cutter = LineCutter()

    for _ in range(100):
        assert cutter.feed(b"x" * 65536) == []

    assert cutter.feed(b"\nnext\n") == ["x" * 8192, "next"]


@pytest.mark.parametrize(
    ("returncode", "said"),
    [
        (0, "exited with code 0"),
        (3, "exited with code 3"),
        (-9, "killed by SIGKILL"),
        (-11, "killed by SIGSEGV"),
        (-77, "killed by signal 77"),
    ],
)
def test_how_a_process_ended(returncode: int, said: str) -> None:
    assert process.describe_exit(returncode) == said
