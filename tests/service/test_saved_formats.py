"""What `pack` takes, a real worker loads: every way to save a model."""

import asyncio
import json
import pathlib
import shutil
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from homeport.archive import mar
from homeport.packing.pack import PackSpec, pack
from homeport.worker.replica import Replica, ReplicaLoadError, ReplicaSpec

DEADLINE_S = 60.0
pytestmark = [
    pytest.mark.service,
    pytest.mark.timeout(400),  # the C++ compiler, on a busy machine
    # torch 2.13 deprecates parts of itself while it exports and compiles.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
NET = """import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x.float())
"""


@pytest.fixture
def net(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """A network of a module of its own, saved_net.py: twice the first plus 1."""
    (tmp_path / "saved_net.py").write_text(NET)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "saved_net", raising=False)
    model: torch.nn.Module = __import__("saved_net").Net()
    with torch.no_grad():
        for name, value in (("weight", [[2.0, 0.0]]), ("bias", [1.0])):
            model.get_parameter(f"layer.{name}").copy_(torch.tensor(value))
    return model.eval()


def save_traced(model: torch.nn.Module, path: pathlib.Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(model, torch.zeros(1, 2)).save(str(path))  # type: ignore[no-untyped-call]  # torch's own


def save_scripted(model: torch.nn.Module, path: pathlib.Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(model).save(str(path))  # type: ignore[no-untyped-call]  # torch's own


def save_state(model: torch.nn.Module, path: pathlib.Path) -> None:
    torch.save(model.state_dict(), path)


def save_checkpoint(model: torch.nn.Module, path: pathlib.Path) -> None:
    torch.save({"epoch": 1, "state_dict": model.state_dict()}, path)


def save_safetensors(model: torch.nn.Module, path: pathlib.Path) -> None:
    library = pytest.importorskip("safetensors.torch")
    library.save_file(model.state_dict(), path)


def program_of(model: torch.nn.Module) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", max=64)
    return torch.export.export(
        model, (torch.zeros(2, 2),), dynamic_shapes=({0: batch},)
    )


def save_program(model: torch.nn.Module, path: pathlib.Path) -> None:
    torch.export.save(program_of(model), path)


def save_compiled(model: torch.nn.Module, path: pathlib.Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("AOTInductor needs a C++ compiler")
    torch._inductor.aoti_compile_and_package(  # noqa: SLF001  # documented
        program_of(model), package_path=str(path)
    )


def whole(model: torch.nn.Module, path: pathlib.Path) -> None:
    torch.save(model, path)


def packed(tmp_path: pathlib.Path, file_name: str, **options: Any) -> pathlib.Path:
    spec = PackSpec(model_name="net", serialized_file=tmp_path / file_name, **options)
    archive = pack(spec, tmp_path / "store").path
    mar.extract(archive, tmp_path / "laid_out")
    return tmp_path / "laid_out"


async def predicted(model_dir: pathlib.Path) -> object:
    spec = ReplicaSpec(model_dir, {}, load_timeout_s=DEADLINE_S)
    replica = await Replica.start(spec, on_log=print)
    try:
        reply = await asyncio.wait_for(
            replica.predict(json.dumps({"instances": [[1.5, 9.0], [0, 1]]}).encode()),
            DEADLINE_S,
        )
    finally:
        await replica.stop(5.0)
    assert reply.code == 0, reply.payload
    return json.loads(reply.payload)


@pytest.mark.parametrize(
    ("save", "file_name", "with_class", "trust_pickle"),
    [
        pytest.param(save_traced, "m.pt", False, False, id="traced"),
        pytest.param(save_scripted, "m.pt", False, False, id="scripted"),
        pytest.param(save_state, "m.pth", True, False, id="state dict"),
        pytest.param(save_checkpoint, "m.ckpt", True, False, id="checkpoint"),
        pytest.param(save_safetensors, "m.safetensors", True, False, id="safetensors"),
        pytest.param(save_program, "m.pt2", False, False, id="torch.export"),
        pytest.param(
            save_compiled,
            "m.pt2",
            False,
            False,
            id="AOTInductor",
            marks=pytest.mark.long,
        ),
        pytest.param(whole, "m.pt", True, True, id="whole module with its file"),
    ],
)
def test_a_worker_loads_what_was_packed(
    save: Callable[[torch.nn.Module, pathlib.Path], None],
    file_name: str,
    with_class: bool,  # noqa: FBT001  # a column of the table
    trust_pickle: bool,  # noqa: FBT001  # a column of the table
    net: torch.nn.Module,
    tmp_path: pathlib.Path,
) -> None:
    save(net, tmp_path / file_name)
    model_file = tmp_path / "saved_net.py" if with_class else None

    model_dir = packed(
        tmp_path, file_name, model_file=model_file, trust_pickle=trust_pickle
    )

    assert asyncio.run(predicted(model_dir)) == [[4.0], [1.0]]


def test_a_trusted_module_finds_its_class_among_the_extra_files(
    net: torch.nn.Module, tmp_path: pathlib.Path
) -> None:
    torch.save(net, tmp_path / "m.pt")

    model_dir = packed(
        tmp_path,
        "m.pt",
        extra_files=(str(tmp_path / "saved_net.py"),),
        trust_pickle=True,
    )

    assert asyncio.run(predicted(model_dir)) == [[4.0], [1.0]]


def test_a_trusted_module_without_its_class_says_what_is_missing(
    net: torch.nn.Module, tmp_path: pathlib.Path
) -> None:
    torch.save(net, tmp_path / "m.pt")
    model_dir = packed(tmp_path, "m.pt", trust_pickle=True)
    (model_dir / "saved_net.py").unlink()  # which was pulled in

    with pytest.raises(ReplicaLoadError) as caught:
        asyncio.run(predicted(model_dir))

    assert "No module named 'saved_net'" in caught.value.cause
    assert "--extra-files" in caught.value.remedy
