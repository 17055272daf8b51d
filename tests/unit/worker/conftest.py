"""Archives on disk, as an extraction leaves them, and a clean import state."""

import json
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator

import pytest

SOURCES = pathlib.Path(__file__).parents[2] / "archives"
MakeArchive = Callable[..., pathlib.Path]


@pytest.fixture
def make_archive(tmp_path: pathlib.Path) -> MakeArchive:
    """Copy the files of tests/archives/<name>, and write a manifest."""

    def make(name: str, **model: str) -> pathlib.Path:
        model_dir = tmp_path / name
        if (SOURCES / name).is_dir():
            shutil.copytree(SOURCES / name, model_dir)
        manifest = {"modelName": name, "modelVersion": "1.0", "handler": "handler.py"}
        (model_dir / "MAR-INF").mkdir(parents=True)
        (model_dir / "MAR-INF/MANIFEST.json").write_text(
            json.dumps({"runtime": "python", "model": manifest | model})
        )
        return model_dir

    return make


@pytest.fixture
def child_imports(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> Iterator[None]:
    """Undo what a child does to its process: path, modules, current directory."""
    modules = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    yield
    for name in set(sys.modules) - modules:
        module = sys.modules[name]
        origin = getattr(module, "__file__", None) or ""
        if name.partition(".")[0] == "ts" or origin.startswith(str(tmp_path)):
            del sys.modules[name]
