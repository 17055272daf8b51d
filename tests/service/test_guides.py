"""The tutorial and the guide for those who move are run, block by block.

A Python block is code of one notebook, or a file if its first line says so; what a
shell is told are our own commands, run as they stand.
"""

import dataclasses
import json
import pathlib
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import command_line
import kfp_environments
from homeport.resources import images
from servers import Server

pytestmark = pytest.mark.service

DOCS = pathlib.Path(__file__).parents[2] / "docs"
_BLOCK_RE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE_RE = re.compile(r"# (\w+\.\w+)\n")
Run = Callable[[list[str]], str]
HANDLER = """
def handle(data, context):
    return [len(row["pixels"]) for row in data or []]
"""
Archived = Callable[..., pathlib.Path]


@dataclasses.dataclass(slots=True)
class Guide:
    """A guide, as far as somebody has followed it.

    Attributes:
        text: Of its document.
        run: Runs a command that is not ours; what it says.
        told: What each command printed, by its words.
        names: Of the notebook.
    """

    text: str
    run: Run
    told: dict[str, str] = dataclasses.field(default_factory=dict)
    names: dict[str, Any] = dataclasses.field(default_factory=dict)

    def follow(self, url: str) -> None:
        """Do all of it, in the current folder."""
        for number, (language, block) in enumerate(_BLOCK_RE.findall(self.text)):
            file = _FILE_RE.match(block)
            if file:
                pathlib.Path(file[1]).write_text(block)
            elif language == "python":
                exec(compile(block, f"block {number}", "exec"), self.names)  # noqa: S102  # that is the test
            elif language == "sh":
                for line in block.splitlines():
                    self._command(shlex.split(line, comments=True), url)

    def _command(self, words: list[str], url: str) -> None:
        if words[0] != "homeport":
            self.told[" ".join(words)] = self.run(words)
            return
        ended = command_line.run(*words[1:], url=url)
        assert ended.code == 0, f"{words}: {ended.err}"
        self.told.setdefault(" ".join(words[1:]), ended.out)


@pytest.fixture
def place(
    shared_server: Server, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> pathlib.Path:
    """A folder of one's own, and a notebook that is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HOMEPORT_URL", shared_server.url)
    # What the worker's check compiles, it compiles for every worker.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return tmp_path


@pytest.mark.timeout(300)
def test_the_guide_for_those_who_move_is_followed(
    shared_server: Server, place: pathlib.Path, archived: Archived
) -> None:
    archive = archived(HANDLER, "parcels").read_bytes()
    for folder, name in (("model-store", "parcels.mar"), ("parcels", "model.mar")):
        (place / folder).mkdir()
        (place / folder / name).write_bytes(archive)
    (place / "config.properties").write_text("load_models=all\n")
    (place / "request.json").write_text('{"instances": [{"pixels": [1, 2]}]}')
    guide = Guide((DOCS / "migrating.md").read_text("utf-8"), run=nobody)

    guide.follow(shared_server.url)

    answers = [
        guide.told[f"endpoints predict {endpoint} --json-request request.json"]
        for endpoint in ("parcels", "from-vertex")
    ]
    assert [json.loads(one)["predictions"] for one in answers] == [[2], [2]]


def table_of_images() -> list[tuple[str, str]]:
    text = (DOCS / "migrating.md").read_text("utf-8")
    below = text.partition("| image | here |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \| (.+) \|$", below, re.MULTILINE)


@pytest.mark.parametrize(("image", "here"), table_of_images())
def test_the_table_of_images_is_true(image: str, here: str) -> None:
    framework = images.prebuilt_framework(image.lower())

    assert here.startswith("our worker") == (framework == "PyTorch")
    assert ("refused" in here) == (framework not in {"", "PyTorch"})


def test_the_table_of_images_has_all_kinds() -> None:
    kinds = {images.prebuilt_framework(image) for image, _ in table_of_images()}

    assert kinds == {"", "PyTorch", "TensorFlow", "scikit-learn", "XGBoost"}


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_tutorial_is_followed_from_the_notebook_to_vertex_ai(
    shared_server: Server, place: pathlib.Path, one_thread: None
) -> None:
    del one_thread

    def run(words: list[str]) -> str:
        assert words == ["python", "weekly_pipeline.py"]
        ended = kfp_environments.run(*words[1:], cwd=place)
        assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
        return ended.stdout

    guide = Guide((DOCS / "tutorial.md").read_text("utf-8"), run)

    try:
        guide.follow(shared_server.url)
    finally:
        sys.modules.pop("digit_network", None)

    assert guide.names["answer"].version_id in {"1", "2"}
    for endpoint in ("handwriting", "handwriting-weekly"):
        assert '"digit"' in guide.told[f"predict {endpoint} --json request.json"]
    (told,) = [out for words, out in guide.told.items() if "publish" in words]
    assert "aiplatform.Model.upload(display_name='handwriting'" in told


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Many threads wait for each other on a machine that has no core for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def nobody(words: list[str]) -> str:
    pytest.fail(f"the guide has a command that no test can run: {words}")
