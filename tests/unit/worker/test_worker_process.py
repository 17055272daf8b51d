"""What a worker's parent makes of its environment and its end."""

import pathlib

import pytest

from homeport.worker import process


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
