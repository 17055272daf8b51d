"""Of the engines that a host has a command for, the first that answers is used."""

import asyncio
import pathlib

import pytest

from homeport.errors import FailedPreconditionError
from homeport.serving import containercli
from homeport.serving.containercli import EngineChoice, EngineError

DEAD = "echo Cannot connect to the daemon >&2; exit 1"
ALIVE = "echo version 4"


@pytest.fixture
def on_path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The only folder where commands are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def command(folder: pathlib.Path, name: str, does: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("choice", "commands", "found"),
    [
        pytest.param(
            "auto", {"docker": ALIVE, "podman": ALIVE}, "docker", id="docker first"
        ),
        pytest.param("auto", {"podman": ALIVE}, "podman", id="podman alone"),
        pytest.param(
            "auto", {"docker": DEAD, "podman": ALIVE}, "podman", id="no daemon"
        ),
        pytest.param(
            "podman", {"docker": ALIVE, "podman": ALIVE}, "podman", id="chosen"
        ),
    ],
)
def test_the_first_that_answers_is_used(
    on_path: pathlib.Path, choice: EngineChoice, commands: dict[str, str], found: str
) -> None:
    for name, does in commands.items():
        command(on_path, name, does)

    engine = asyncio.run(containercli.find(choice))

    assert engine.name == found


def test_an_engine_need_not_describe_its_host_to_be_found(
    on_path: pathlib.Path,
) -> None:
    command(on_path, "podman", '[ "$1" != info ]')

    engine = asyncio.run(containercli.find("podman"))

    assert engine.name == "podman"


def test_where_none_answers_each_is_told_with_its_words(on_path: pathlib.Path) -> None:
    command(on_path, "docker", DEAD)
    command(on_path, "podman", "echo no storage >&2; exit 125")

    with pytest.raises(EngineError) as told:
        asyncio.run(containercli.find("auto"))

    assert told.value.message == (
        "the container engine could not be reached: docker says: Cannot connect to "
        "the daemon; podman says: no storage (start its daemon)"
    )


def test_where_none_is_installed_the_remedy_is_told(on_path: pathlib.Path) -> None:
    assert on_path.is_dir()

    with pytest.raises(FailedPreconditionError, match="containers need docker or po"):
        asyncio.run(containercli.find("auto"))
