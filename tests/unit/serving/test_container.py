"""How a container ended is told as its engine tells it, as far as that is known."""

import asyncio
import json
import pathlib

import pytest

from homeport.errors import FailedPreconditionError, UnavailableError
from homeport.resources.model import ContainerSpec
from homeport.serving.container import Container
from homeport.serving.containercli import Engine
from homeport.serving.containerorder import Order
from homeport.serving.contract import Contract

# Its containers end as soon as they are started.
ENGINE = """#!/bin/sh
if [ "$1" = inspect ]; then
    case "$3" in
        *.State.Pid*) echo "0 null";;
        *) echo '%s';;
    esac
fi
"""
LIMITED = "n1-standard-1"


@pytest.mark.parametrize(
    ("machine_type", "state", "told"),
    [
        pytest.param(
            LIMITED,
            {"OOMKilled": True, "ExitCode": 137},
            "was killed: it took more memory than its machine type has as soon",
            id="over its limit",
        ),
        pytest.param(
            LIMITED,
            {"ExitCode": 137},
            "was killed: it took more memory than its machine type has, or somebody",
            id="over its limit or ended",
        ),
        pytest.param(
            "",
            {"OOMKilled": True, "ExitCode": 137},
            "was killed: this machine had no memory left for it as soon",
            id="without a limit",
        ),
        pytest.param(
            "",
            {"ExitCode": 137},
            "was killed: this machine had no memory left for it, or somebody ended it",
            id="without a limit or ended",
        ),
        pytest.param(LIMITED, {"ExitCode": 3}, "exited with code 3", id="by itself"),
    ],
)
def test_only_what_has_a_limit_took_more_than_that(
    tmp_path: pathlib.Path, machine_type: str, state: dict[str, object], told: str
) -> None:
    program = tmp_path / "docker"
    program.write_text(ENGINE % json.dumps(state))
    program.chmod(0o755)

    with pytest.raises(UnavailableError, match=f"the container {told}"):
        asyncio.run(start(Engine("docker", str(program)), machine_type))


# It cannot start its containers; docker has another exit code for that.
HELPLESS_ENGINE = """#!/bin/sh
case "$1 $3" in
    start*) echo 'exec: "/app/serve": no such file or directory'; exit 125;;
    *.State.Pid*) echo "0 null";;
    inspect*) echo '{"Status": "created", "ExitCode": 0}';;
esac
"""


def test_a_container_that_was_never_started_has_the_engines_reason(
    tmp_path: pathlib.Path,
) -> None:
    program = tmp_path / "podman"
    program.write_text(HELPLESS_ENGINE)
    program.chmod(0o755)

    with pytest.raises(UnavailableError) as told:
        asyncio.run(start(Engine("podman", str(program))))

    assert told.value.message == (
        'the container was never started, podman says: exec: "/app/serve": no such '
        "file or directory: see that the image has what command and args of its "
        "containerSpec ask"
    )


@pytest.mark.parametrize(
    ("command", "host_commands", "instead"),
    [
        pytest.param((), True, "", id="no command"),
        pytest.param(("serve",), False, "", id="not allowed"),
        pytest.param(
            ("serve",),
            True,
            "; podman comes before the host command while it answers, "
            "--container-engine none runs that",
            id="a command that might run here",
        ),
    ],
)
def test_an_image_that_is_not_there_may_leave_a_host_command(
    tmp_path: pathlib.Path,
    *,
    command: tuple[str, ...],
    host_commands: bool,
    instead: str,
) -> None:
    program = tmp_path / "podman"
    program.write_text("#!/bin/sh\necho image not known >&2\nexit 125\n")
    program.chmod(0o755)
    engine = Engine("podman", str(program))

    with pytest.raises(FailedPreconditionError) as told:
        asyncio.run(start(engine, command=command, host_commands=host_commands))

    assert told.value.message == (
        "podman has no image example.com/own:1 (image not known): fetch it with "
        "'podman pull example.com/own:1', build it, or start the server with "
        f"--pull-images{instead}"
    )


def test_a_container_that_ends_without_a_word_is_told_as_that(
    tmp_path: pathlib.Path,
) -> None:
    program = tmp_path / "podman"
    program.write_text(ENGINE % json.dumps({"ExitCode": 3}))
    program.chmod(0o755)

    with pytest.raises(UnavailableError, match="it printed nothing"):
        asyncio.run(start(Engine("podman", str(program))))


async def start(
    engine: Engine,
    machine_type: str = "",
    *,
    command: tuple[str, ...] = (),
    host_commands: bool = False,
) -> Container:
    order = Order(
        "homeport-1",
        {},
        ContainerSpec("example.com/own:1", command=command),
        Contract(8080, "/p", "/h", command, (), {}),
        None,
        machine_type,
    )
    return await Container.start(
        engine,
        order,
        on_log=lambda _: None,
        remove=forget,
        host_commands=host_commands,
    )


async def forget(name: str) -> None:
    assert name == "homeport-1"
