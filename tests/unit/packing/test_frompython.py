"""`homeport.pack` packs what a notebook holds; importing homeport imports no torch."""

import pathlib
import subprocess
import sys
import types
from typing import Any

import pytest
import torch

import homeport
from homeport.archive import golden, mar, reading
from homeport.archive.golden import Golden
from homeport.errors import InvalidArgumentError
from homeport.worker import handler
from homeport.worker.basehandler import BaseHandler

NET = """import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x)
"""
SAMPLE = torch.tensor([[1.0, 2.0]])
BATCH = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def net_module(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> types.ModuleType:
    """A module of the author's, training_net.py, with a class Net."""
    (tmp_path / "training_net.py").write_text(NET)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "training_net", raising=False)
    return __import__("training_net")


def loaded(archive: pathlib.Path, directory: pathlib.Path) -> Any:
    mar.extract(archive, directory)
    base = BaseHandler()
    base.initialize(handler.make_context(handler.open_archive(directory), None))
    return base.model


@pytest.mark.parametrize(
    ("options", "serialized_file"),
    [
        pytest.param({"sample": SAMPLE}, "model.pt", id="traced with a sample"),
        pytest.param({"sample": [[1.0, 2.0]]}, "model.pt", id="a sample of lists"),
        pytest.param({}, "model.pt", id="scripted without one"),
        pytest.param({"how": "export", "sample": SAMPLE}, "model.pt2", id="exported"),
        pytest.param({"how": "state_dict"}, "model.pth", id="state dict"),
    ],
)
def test_a_module_is_saved_and_packed(
    options: Any,
    serialized_file: str,
    net_module: types.ModuleType,
    tmp_path: pathlib.Path,
) -> None:
    model = net_module.Net().train()

    packed = homeport.pack(model, output=tmp_path / "store", **options)

    assert packed.path == tmp_path / "store" / "Net.mar"
    assert mar.check(packed.path).manifest.serialized_file == serialized_file
    assert model.training
    answer = loaded(packed.path, tmp_path / "out")(BATCH)
    assert torch.allclose(answer, model(BATCH))


def test_script_and_program_objects_are_packed_as_they_are(
    tmp_path: pathlib.Path,
) -> None:
    layer = torch.nn.Linear(2, 1).eval()
    program = torch.export.export(layer, (SAMPLE,))

    script = homeport.pack(torch.jit.script(layer), name="s", output=tmp_path)
    exported = homeport.pack(program, name="e", output=tmp_path)

    for packed in (script, exported):
        answer = loaded(packed.path, tmp_path / packed.path.stem)(SAMPLE)
        assert torch.allclose(answer, layer(SAMPLE))


def test_a_path_is_packed_as_the_command_line_does(tmp_path: pathlib.Path) -> None:
    (tmp_path / "handler.py").write_text("def handle(data, context): ...\n")
    (tmp_path / "weights.bin").write_bytes(b"w")
    (tmp_path / "labels.txt").write_text("a")

    packed = homeport.pack(
        str(tmp_path / "weights.bin"),
        handler=tmp_path / "handler.py",
        output=tmp_path,
        version="7",
        extra_files=[tmp_path / "labels.txt"],
        archive_format="tgz",
    )

    inventory = reading.check(packed.path)
    assert packed.path.name == "weights.tar.gz"
    assert inventory.manifest.version == "7"
    assert "labels.txt" in {member.path for member in inventory.members}


class InThisTest(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> object:
        return {"kind": eval("x"), "shape": x.shape}  # noqa: S307  # no compiler takes it


def test_one_extra_file_may_be_given_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "handler.py").write_text("def handle(data, context): ...\n")
    (tmp_path / "weights.bin").write_bytes(b"w")
    (tmp_path / "labels.txt").write_text("a")

    packed = homeport.pack(
        tmp_path / "weights.bin",
        handler=tmp_path / "handler.py",
        output=tmp_path,
        extra_files=str(tmp_path / "labels.txt"),
    )

    members = reading.check(packed.path).members
    assert "labels.txt" in {member.path for member in members}


def test_an_option_that_there_is_not_is_an_error() -> None:
    options: Any = {"versoin": "7"}

    with pytest.raises(TypeError, match="no option 'versoin'"):
        homeport.pack("saved.pt", **options)


@pytest.mark.parametrize(
    ("model", "options", "problem"),
    [
        pytest.param(
            torch.nn.Linear(2, 1),
            {"how": "state_dict"},
            "Linear is of an installed package: give a file with a class of yours",
            id="torch's own class",
        ),
        pytest.param(object(), {}, "object is no torch.nn.Module", id="no model"),
        pytest.param(
            torch.nn.Linear(2, 1), {"how": "pickle"}, "how is 'pickle'", id="how"
        ),
        pytest.param(
            torch.nn.Linear(2, 1), {"how": "trace"}, "give sample=", id="no sample"
        ),
        pytest.param(
            torch.nn.Linear(2, 1),
            {"sample": object()},
            "the sample is no tensor",
            id="a sample that is none",
        ),
        pytest.param(
            torch.nn.Linear(2, 1),
            {"sample": torch.zeros(1, 5)},
            "cannot be traced",
            id="a sample of another shape",
        ),
        pytest.param(
            torch.nn.Linear(2, 1),
            {"sample": torch.zeros(1, 5), "how": "export"},
            "cannot be exported",
            id="exporting with another shape",
        ),
        pytest.param(InThisTest(), {}, "cannot be scripted", id="not scriptable"),
        pytest.param("saved.pt", {"sample": SAMPLE}, "is saved already", id="a path"),
        pytest.param(
            torch.nn.Linear(2, 1),
            {"sample": SAMPLE, "archive_format": "rar"},
            "archive_format is 'rar'",
            id="format",
        ),
    ],
)
def test_what_cannot_be_packed_is_told(
    model: object, options: Any, problem: str, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        homeport.pack(model, output=tmp_path / "store", **options)

    assert problem in caught.value.message
    assert not list(tmp_path.glob("store/*"))


def test_a_class_of_the_session_needs_its_file(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InThisTest, "__module__", "__main__")
    (tmp_path / "net.py").write_text(NET)

    with pytest.raises(InvalidArgumentError, match="is defined in this session"):
        homeport.pack(InThisTest(), how="state_dict", output=tmp_path)
    packed = homeport.pack(
        InThisTest(), how="state_dict", output=tmp_path, model_file=tmp_path / "net.py"
    )

    assert mar.check(packed.path).manifest.model_file == "net.py"


def test_importing_homeport_imports_nothing_else() -> None:
    code = (
        "import sys, homeport\n"
        "print(sorted(n for n in sys.modules if n.startswith('homeport')))\n"
        "homeport.pack\n"
        "print('torch' in sys.modules, hasattr(homeport, 'unpack'))\n"
        "try: homeport.pack(3)\n"
        "except Exception as error: print(error)\n"
    )

    result = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert result.stdout == (
        "['homeport']\n"
        "False False\n"
        "int is no model that can be packed: give a torch.nn.Module or the path of a "
        "saved model\n"
    )


class Doubled(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2.0


class TwoOutputs(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


def golden_of(archive: pathlib.Path) -> Golden | None:
    found = mar.read(archive, {golden.PATH}, golden.MAX_BYTES)
    return golden.parse(found[golden.PATH]) if found else None


@pytest.mark.parametrize("how", ["trace", "export"])
def test_the_first_rows_and_the_models_own_answer_travel_along(
    tmp_path: pathlib.Path, how: Any
) -> None:
    packed = homeport.pack(Doubled(), how=how, sample=BATCH, output=tmp_path)

    assert golden_of(packed.path) == Golden(
        {"instances": [[1.0, 2.0], [3.0, 4.0]]}, ([2.0, 4.0], [6.0, 8.0])
    )


def test_an_exported_program_answers_its_sample_too(tmp_path: pathlib.Path) -> None:
    rows = torch.export.Dim("rows", min=2, max=64)
    program = torch.export.export(Doubled(), (BATCH,), dynamic_shapes=({0: rows},))

    packed = homeport.pack(program, sample=BATCH, output=tmp_path)

    found = golden_of(packed.path)
    assert found is not None
    assert found.predictions == ([2.0, 4.0], [6.0, 8.0])


@pytest.mark.parametrize(
    ("model", "sample"),
    [
        pytest.param(TwoOutputs(), SAMPLE, id="two outputs"),
        pytest.param(Doubled(), SAMPLE / 0, id="infinite"),
        pytest.param(Doubled(), torch.tensor(1.0), id="no batch"),
        pytest.param(Doubled(), torch.zeros(2, 200_001), id="very many numbers"),
    ],
)
def test_what_base_handler_could_not_answer_is_no_sample(
    tmp_path: pathlib.Path, model: torch.nn.Module, sample: torch.Tensor
) -> None:
    packed = homeport.pack(model, sample=sample, output=tmp_path)

    assert golden_of(packed.path) is None


def test_a_sample_for_the_authors_handler_is_given_as_a_file(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "handler.py").write_text("def handle(data, context): ...\n")
    (tmp_path / "sample.json").write_text('{"instances": ["text"]}')
    (tmp_path / "expected.json").write_text('["label"]')

    packed = homeport.pack(
        Doubled(),
        handler=tmp_path / "handler.py",
        sample=SAMPLE,
        sample_file=tmp_path / "sample.json",
        expected_file=tmp_path / "expected.json",
        output=tmp_path / "out",
    )

    assert golden_of(packed.path) == Golden({"instances": ["text"]}, ("label",))


def test_an_expected_file_without_a_sample_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidArgumentError, match="give sample_file too"):
        homeport.pack(Doubled(), expected_file="expected.json", output=tmp_path)
