"""`homeport pack` as a process: what it imports, what it draws."""

import pathlib
import subprocess
import sys

import pytest

import terminals

_IMPORTED = """
import sys
from homeport.cli import main
main(["pack", "-s", "weights.bin", "--handler", "handler.py"], standalone_mode=False)
assert not {"torch", "rich", "httpx", "sqlalchemy"} & sys.modules.keys()
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand among a handler and weights of 60 MB."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("handler.py").write_text("def handle(data, context): ...\n")
    with pathlib.Path("weights.bin").open("wb") as file:
        file.truncate(60_000_000)


def test_packing_a_file_imports_neither_torch_nor_what_draws() -> None:
    subprocess.run([sys.executable, "-c", _IMPORTED], check=True)  # noqa: S603  # ours

    assert pathlib.Path("weights.mar").stat().st_size > 60_000_000


def test_a_terminal_sees_a_bar() -> None:
    status, drawn = terminals.drawn_by(
        "pack", "-s", "weights.bin", "--handler", "handler.py"
    )

    assert status == 0
    assert b"Packing" in drawn
