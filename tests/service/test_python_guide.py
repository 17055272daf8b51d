"""The Python guide's code runs from top to bottom, and tells of every verb."""

import inspect
import pathlib
import re
from typing import Any

import pytest
import torch

import homeport
from homeport.packing import pack
from servers import Server

ROOT = pathlib.Path(__file__).parents[2]
GUIDE = (ROOT / "docs/python.md").read_text("utf-8")
SOURCE = ROOT / "tests/archives/many_sided"
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def verbs(of: type) -> list[str]:
    return [
        name
        for name, _ in inspect.getmembers(of, inspect.isfunction)
        if not name.startswith("_")
    ]


@pytest.mark.parametrize(
    "verb",
    [
        *verbs(homeport.ModelRegistry),
        *verbs(homeport.Endpoints),
        *verbs(homeport.BatchPredictions),
    ],
)
def test_each_verb_has_an_example(verb: str) -> None:
    assert f".{verb}(" in "".join(BLOCKS)


@pytest.mark.service
@pytest.mark.timeout(300)
def test_the_guide_runs(
    shared_server: Server, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights.pt"
    torch.save({"weight": torch.ones(())}, weights)
    spec = pack.PackSpec(
        model_name="scores",
        handler=str(SOURCE / "handler.py"),
        serialized_file=weights,
        model_file=SOURCE / "model.py",
    )
    pack.pack(spec, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_URL", shared_server.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names: dict[str, Any] = {}

    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), names)  # noqa: S102  # that is the test

    assert names["first_row"] == [1.0, 1.0, 1.0]
    assert (tmp_path / "exported/scores.mar").exists()
