"""What a worker's parent makes of its environment and its end."""

import asyncio
import errno
import os
import pathlib
import site
import socket
from collections.abc import Awaitable, Callable
from typing import NoReturn

import pytest
import uvloop

from homeport.errors import UnavailableError
from homeport.worker import process
from homeport.worker.process import Order, Origin


def test_nothing_of_the_servers_environment_but_path_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site, "ENABLE_USER_SITE", False)
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


def test_packages_of_the_servers_user_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site, "getuserbase", lambda: "/home/server/.local")

    def made() -> dict[str, str]:
        return process.make_environment({}, pathlib.Path("/private"), {})

    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
    assert made()["PYTHONUSERBASE"] == "/home/server/.local"
    monkeypatch.setattr(site, "ENABLE_USER_SITE", False)
    assert "PYTHONUSERBASE" not in made()


def test_an_environment_of_its_own_has_its_commands_and_no_packages_of_a_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site, "ENABLE_USER_SITE", True)

    environment = process.make_environment(
        {}, pathlib.Path("/private"), {"PATH": "/bin"}, pathlib.Path("/env/bin/python")
    )

    assert environment["PATH"] == "/env/bin:/bin"
    assert environment["PYTHONNOUSERSITE"] == "1"
    assert "PYTHONUSERBASE" not in environment


def open_descriptors() -> int:
    return len(list(pathlib.Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("tempfile.mkdtemp", id="no private directory"),
        pytest.param("os.pipe", id="no pipe"),
    ],
)
def test_a_refusal_of_the_system_is_a_sentence_and_leaves_no_descriptor(
    where: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path))

    async def scenario() -> None:
        ours, childs = socket.socketpair()
        before = open_descriptors()
        with ours, monkeypatch.context() as patch:
            patch.setattr(where, refuse)
            with pytest.raises(UnavailableError, match="No space left") as caught:
                await process.start(
                    childs, {}, Origin(tmp_path), on_log=print, on_exit=print
                )
            assert childs.fileno() == -1
            assert open_descriptors() == before - 1
        assert str(tmp_path) not in caught.value.message

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_start_that_is_cancelled_anywhere_is_cancelled_and_leaves_nothing(
    run: Callable[[Awaitable[None]], None], tmp_path: pathlib.Path
) -> None:
    async def never(order: Order) -> None:
        del order
        await asyncio.Event().wait()

    async def cancelled_after(steps: int) -> None:
        ours, childs = socket.socketpair()
        with ours, childs:
            starting = asyncio.create_task(
                process.start(
                    childs,
                    {},
                    Origin(tmp_path, fork=never),
                    on_log=print,
                    on_exit=print,
                )
            )
            for _ in range(steps):
                await asyncio.sleep(0)
            starting.cancel()
            await asyncio.wait({starting})
            assert starting.cancelled()

    async def scenario() -> None:
        await cancelled_after(20)
        before = open_descriptors()

        for steps in range(1, 20):
            await cancelled_after(steps)

        assert open_descriptors() == before

    run(scenario())
    assert list(tmp_path.iterdir()) == []
