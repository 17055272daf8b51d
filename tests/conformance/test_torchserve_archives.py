"""TorchServe serves what Homeport packs, Homeport what torch-model-archiver packs.

Both predict the same from it.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import torch
from torchserve import TorchServe

import comparisons
import pictures
from comparisons import Record
from homeport.archive import golden, lockfile
from homeport.packing import pack as packing
from homeport.packing.containers import ArchiveFormat
from homeport.packing.pack import PackSpec
from servers import Server

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]
ROWS: Final = [[1.0, 2.0, 3.0, 4.0], [-1.0, 0.5, 0.25, 8.0]]
NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, rows):
        return torch.tanh(self.layer(rows))
"""
SUBCLASS = """
import json
import os

import torch
from ts.torch_handler.base_handler import BaseHandler


class Labelled(BaseHandler):
    def initialize(self, context):
        super().initialize(context)
        folder = context.system_properties["model_dir"]
        with open(os.path.join(folder, "words.txt")) as words:
            self.words = words.read().split()
        self.scale = context.model_yaml_config["scale"]

    def preprocess(self, data):
        return torch.tensor([row["features"] for row in data])

    def inference(self, data):
        return super().inference(data) * self.scale

    def postprocess(self, data):
        return [
            {
                "name": self.mapping[str(row.argmax().item())],
                "words": self.words,
                "scores": row.tolist(),
                "version": self.context.manifest["model"]["modelVersion"],
            }
            for row in data
        ]
"""
FUNCTIONS = """
def handle(data, context):
    raise RuntimeError("the other function is the entry")


def entry(data, context):
    if data is None:
        return None
    return [{"sum": sum(row), "model": context.model_name} for row in data]
"""
MODULE_LEVEL = """
loaded = 0


def handle(data, context):
    global loaded
    if data is None:
        loaded += 1
        return None
    return [{"row": row, "loaded": loaded} for row in data]
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """One kind of archive.

    Attributes:
        spec: What goes into it.
        instances: What is predicted.
    """

    spec: PackSpec
    instances: list[Any]


def torchscript(folder: pathlib.Path, traced: pathlib.Path) -> Case:
    spec = PackSpec(model_name=folder.name, serialized_file=traced)
    return Case(spec, ROWS)


def state_dict(folder: pathlib.Path, traced: pathlib.Path) -> Case:
    weights = torch.jit.load(str(traced)).state_dict()  # type: ignore[no-untyped-call]  # torch's own
    torch.save(
        {f"layer.{key}": value for key, value in weights.items()}, folder / "w.pt"
    )
    (folder / "net.py").write_text(NET)
    spec = PackSpec(
        model_name=folder.name,
        serialized_file=folder / "w.pt",
        model_file=folder / "net.py",
    )
    return Case(spec, ROWS)


def subclass(folder: pathlib.Path, traced: pathlib.Path) -> Case:
    (folder / "labelled.py").write_text(SUBCLASS)
    (folder / "index_to_name.json").write_text('{"0": "cat", "1": "dog"}')
    (folder / "more").mkdir()
    (folder / "more" / "words.txt").write_text("a b c")
    (folder / "requirements.txt").write_text("numpy>=1.26\n")
    (folder / "model-config.yaml").write_text("scale: -2.5\nminWorkers: 1\n")
    spec = PackSpec(
        model_name=folder.name,
        version="2.0.1",
        handler=str(folder / "labelled.py"),
        serialized_file=traced,
        extra_files=(str(folder / "index_to_name.json"), str(folder / "more")),
        requirements_file=folder / "requirements.txt",
        lock=False,
        config_file=folder / "model-config.yaml",
    )
    return Case(spec, [{"features": row} for row in ROWS])


def function(folder: pathlib.Path, _: pathlib.Path) -> Case:
    (folder / "functions.py").write_text(FUNCTIONS)
    handler = f"{folder / 'functions.py'}:entry"
    return Case(PackSpec(model_name=folder.name, handler=handler), ROWS)


def module_level(folder: pathlib.Path, _: pathlib.Path) -> Case:
    (folder / "level.py").write_text(MODULE_LEVEL)
    spec = PackSpec(model_name=folder.name, handler=str(folder / "level.py"))
    return Case(spec, [{"a": 1}, {"b": [None, "c"]}])


KINDS: Final[dict[str, Callable[[pathlib.Path, pathlib.Path], Case]]] = {
    "TorchScript with base_handler": torchscript,
    "state dict and model file with base_handler": state_dict,
    "handler class, extra files, configuration, requirements": subclass,
    "file and function": function,
    "module-level handle": module_level,
}


@dataclasses.dataclass(frozen=True)
class Both:
    """Homeport and the TorchServe that answers as Vertex AI's image does."""

    homeport: Server
    torchserve: TorchServe
    record: Record

    def serve(
        self,
        packed_by: str,
        archive: str,
        case: Case,
        mar: pathlib.Path,
        *packed: pathlib.Path,
    ) -> None:
        """Predict from one archive; TorchServe may have another form of it."""
        ours = from_homeport(self.homeport, mar, case.instances)
        theirs = from_torchserve(self.torchserve, (*packed, mar)[0], case)
        assert len(ours) == len(case.instances)
        self.record.same_predictions(packed_by, archive, ours, theirs)


@pytest.fixture
def both(
    homeport: Server,
    start_torchserve: Callable[[str], TorchServe],
    record: Record,
) -> Both:
    return Both(homeport, start_torchserve("json"), record)


@pytest.fixture
def case(kind: str, tmp_path: pathlib.Path, mlp_torchscript: pathlib.Path) -> Case:
    folder = tmp_path / KINDS[kind].__name__
    folder.mkdir()
    return KINDS[kind](folder, mlp_torchscript)


@pytest.mark.parametrize("archive_format", list(ArchiveFormat))
@pytest.mark.parametrize("kind", KINDS)
def test_torchserve_serves_what_homeport_packs(
    kind: str,
    archive_format: ArchiveFormat,
    case: Case,
    tmp_path: pathlib.Path,
    both: Both,
) -> None:
    packed = packing.pack(case.spec, tmp_path / "packed", archive_format=archive_format)
    mar = packing.pack(case.spec, tmp_path / "mar")

    both.serve(f"homeport, {archive_format.value}", kind, case, mar.path, packed.path)


@pytest.mark.parametrize("archive_format", ["default", "zip-store"])
@pytest.mark.parametrize("kind", KINDS)
def test_homeport_serves_what_torch_model_archiver_packs(
    kind: str, archive_format: str, case: Case, tmp_path: pathlib.Path, both: Both
) -> None:
    packed = archived(case.spec, tmp_path, archive_format)

    both.serve(f"torch-model-archiver, {archive_format}", kind, case, packed)


def test_torchserve_passes_over_the_sample_and_the_lock(
    tmp_path: pathlib.Path, mlp_torchscript: pathlib.Path, both: Both
) -> None:
    (tmp_path / "extras").mkdir()
    case = subclass(tmp_path / "extras", mlp_torchscript)
    spec = dataclasses.replace(
        case.spec,
        golden=golden.Golden(request={"instances": case.instances}),
        lock=True,
    )

    packed = packing.pack(spec, tmp_path / "packed").path

    with zipfile.ZipFile(packed) as archive:
        assert {golden.PATH, lockfile.PATH} <= set(archive.namelist())
    both.serve("homeport, default", "sample and lock in MAR-INF", case, packed)


@pytest.mark.parametrize("packed_by", ["homeport", "torch-model-archiver"])
def test_both_classify_pictures_alike(
    packed_by: str,
    tmp_path: pathlib.Path,
    homeport: Server,
    torchserve_with_vision: TorchServe,
    record: Record,
) -> None:
    case = pictures_case(tmp_path)
    packed = (
        packing.pack(case.spec, tmp_path / "packed").path
        if packed_by == "homeport"
        else archived(case.spec, tmp_path, "default")
    )
    both = Both(homeport, torchserve_with_vision, record)

    both.serve(f"{packed_by}, default", "image_classifier", case, packed)


def pictures_case(folder: pathlib.Path) -> Case:
    """Pictures of several kinds, for a network that weighs every pixel."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.AvgPool2d(16), torch.nn.Flatten(), torch.nn.Linear(3 * 14 * 14, 7)
    )
    traced = torch.jit.trace(  # type: ignore[no-untyped-call]  # torch's own
        network.eval(), torch.zeros(1, 3, 224, 224)
    )
    traced.save(str(folder / "classes.pt"))
    labels = {str(number): f"class {number}" for number in range(7)}
    (folder / "index_to_name.json").write_text(json.dumps(labels))
    spec = PackSpec(
        model_name="classes",
        handler="image_classifier",
        serialized_file=folder / "classes.pt",
        extra_files=(str(folder / "index_to_name.json"),),
    )
    return Case(
        spec,
        [
            {"data": {"b64": pictures.png_text(make())}}
            for make in pictures.PICTURES.values()
        ],
    )


def archived(spec: PackSpec, folder: pathlib.Path, archive_format: str) -> pathlib.Path:
    """Pack the same files with torch-model-archiver."""
    options = {
        "--model-name": spec.model_name,
        "--version": spec.version,
        # It wants the function behind the name without .py.
        "--handler": spec.handler.replace(".py:", ":"),
        "--serialized-file": spec.serialized_file,
        "--model-file": spec.model_file,
        "--extra-files": ",".join(spec.extra_files),
        "--requirements-file": spec.requirements_file,
        "--config-file": spec.config_file,
        "--archive-format": archive_format,
        "--export-path": folder,
    }
    words = [str(part) for pair in options.items() if pair[1] for part in pair]
    # It stages under $TMPDIR/<model name>.
    stage = folder / "stage"
    stage.mkdir()
    command = pathlib.Path(sys.executable).with_name("torch-model-archiver")
    subprocess.run(  # noqa: S603  # the tool under test
        [command, *words],
        check=True,
        capture_output=True,
        timeout=60,
        env={**os.environ, "TMPDIR": str(stage)},
    )
    return folder / f"{spec.model_name}.mar"


def from_homeport(
    server: Server, archive: pathlib.Path, instances: list[Any]
) -> list[Any]:
    endpoint, operation = server.deploy(archive)
    assert "response" in operation, operation
    try:
        return server.ask(endpoint, *instances)
    finally:
        deployed = operation["response"]["deployedModel"]["id"]
        path = f"/v1/{endpoint}:undeployModel"
        server.wait(server.call("POST", path, {"deployedModelId": deployed})[1])


def from_torchserve(server: TorchServe, archive: pathlib.Path, case: Case) -> list[Any]:
    body = json.dumps({"instances": case.instances}).encode()
    model = case.spec.model_name
    with serving(server, archive, model):
        url = f"{server.inference}/predictions/{model}/{case.spec.version}"
        answer = comparisons.ask(url, body, "application/json")
    assert answer.status == 200, answer
    return list(answer.document["predictions"])


@contextlib.contextmanager
def serving(server: TorchServe, archive: pathlib.Path, model: str) -> Iterator[None]:
    target = server.store / archive.name
    if archive.is_dir():
        shutil.copytree(archive, target)
    else:
        shutil.copy(archive, target)
    try:
        server.register(archive.name)
        yield
        server.unregister(model)
    finally:
        shutil.rmtree(target) if target.is_dir() else target.unlink()
