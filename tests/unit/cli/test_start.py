"""A command starts at once: what it does not need is not imported."""

import subprocess
import sys

import pytest

# What reads, draws, computes or checks; none of it is for printing a list.
HEAVY = {
    "certifi.core",
    "crc32c",
    "homeport.packing",
    "homeport.resources.model",
    "homeport.wiring",
    "importlib.metadata",
    "numpy",
    "orjson",
    "pydantic",
    "rich",
    "yaml",
}
LOADS = """
import sys
import click
from homeport.cli import main
if sys.argv[1:]:
    main.get_command(click.Context(main), sys.argv[1])
print(*sys.modules)
"""


def loaded(*command: str) -> set[str]:
    """Return the modules there are once a command could be run."""
    ended = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", LOADS, *command],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(ended.stdout.split())


@pytest.mark.parametrize("command", ["models", "endpoints", "operations", "logs"])
def test_a_command_that_asks_a_server_loads_nothing_heavy(command: str) -> None:
    assert loaded(command) & HEAVY == set()


def test_the_list_of_commands_loads_no_client() -> None:
    assert loaded() & (HEAVY | {"httpx", "homeport.client"}) == set()
