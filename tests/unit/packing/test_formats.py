"""A saved model's format is told by its content; nothing of it is loaded or run."""

import argparse
import collections
import importlib
import io
import json
import pathlib
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import torch

from homeport.archive import mar
from homeport.errors import InvalidArgumentError
from homeport.packing.formats import pickled, recognition
from homeport.packing.formats.evidence import Evidence
from homeport.packing.pack import PackSpec, pack

NET = """import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x)
"""
HANDLER = "def handle(data, context):\n    return data\n"
Save = Callable[[pathlib.Path], object]


def linear() -> torch.nn.Linear:
    return torch.nn.Linear(2, 1)


def trace(path: pathlib.Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(linear(), torch.zeros(1, 2)).save(str(path))  # type: ignore[no-untyped-call]  # torch's own


def script(path: pathlib.Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(linear()).save(str(path))  # type: ignore[no-untyped-call]  # torch's own


def export(path: pathlib.Path) -> None:
    pt2 = path.with_suffix(".pt2")
    torch.export.save(torch.export.export(linear(), (torch.zeros(1, 2),)), pt2)
    pt2.replace(path)


def zip_of(*names: str) -> Save:
    def save(path: pathlib.Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"{}")

    return save


def saved(made: object, **options: Any) -> Save:
    return lambda path: torch.save(made, path, **options)


def content(data: bytes) -> Save:
    return lambda path: path.write_bytes(data)


def tensors(path: pathlib.Path) -> None:
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    ).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)


def sklearn_pickle() -> bytes:
    linear_model = importlib.import_module("sklearn.linear_model")
    return pickle.dumps(linear_model.LogisticRegression())


def dump_with_joblib(path: pathlib.Path) -> None:
    linear_model = importlib.import_module("sklearn.linear_model")
    fitted = linear_model.LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    importlib.import_module("joblib").dump(fitted, path)


STATE = collections.OrderedDict(w=torch.zeros(2))
CHECKPOINT = {"epoch": 3, "model_state_dict": STATE, "optimizer": {"lr": 0.1}}


@pytest.mark.parametrize(
    ("save", "name"),
    [
        pytest.param(trace, "TorchScript", id="traced"),
        pytest.param(script, "TorchScript", id="scripted"),
        pytest.param(saved(STATE), "state dict", id="state dict"),
        pytest.param(saved(dict(STATE)), "state dict", id="a plain dict"),
        pytest.param(
            saved(STATE, _use_new_zipfile_serialization=False),
            "state dict",
            id="state dict without a zip",
        ),
        pytest.param(saved(STATE, pickle_protocol=4), "state dict", id="protocol 4"),
        pytest.param(saved(CHECKPOINT), "full checkpoint", id="checkpoint"),
        pytest.param(saved(linear()), "pickled module", id="module"),
        pytest.param(
            saved(linear(), pickle_protocol=4), "pickled module", id="module, 4"
        ),
        pytest.param(
            saved(linear(), _use_new_zipfile_serialization=False),
            "pickled module",
            id="module without a zip",
        ),
        pytest.param(saved([1, 2]), "torch.save checkpoint", id="a list"),
        pytest.param(export, "torch.export program", id="torch.export"),
        pytest.param(
            zip_of("m/data/aotinductor/model/x.so", "m/archive_format"),
            "AOTInductor package",
            id="AOTInductor",
        ),
        pytest.param(tensors, "safetensors", id="safetensors"),
        pytest.param(
            zip_of("config.json", "metadata.json", "model.weights.h5"),
            "Keras",
            id="Keras",
        ),
        pytest.param(content(b"\x89HDF\r\n\x1a\n" + b"\0" * 40), "HDF5", id="HDF5"),
        pytest.param(content(b"\x08\x08\x12\x07pytorch"), "ONNX", id="ONNX"),
        pytest.param(content(sklearn_pickle()), "scikit-learn", id="scikit-learn"),
        pytest.param(
            content(b"\x80\x04\x8c\x13joblib.numpy_pickle\x8c\x01N\x93."),
            "joblib",
            id="joblib",
        ),
        pytest.param(dump_with_joblib, "scikit-learn", id="scikit-learn in joblib"),
        pytest.param(content(pickle.dumps({"a": 1})), "pickle", id="pickle"),
        pytest.param(content(b'{"learner":{"attributes"'), "XGBoost", id="JSON"),
        pytest.param(content(b"{L\0\0\0\0\0\0\0\x07learner{"), "XGBoost", id="UBJSON"),
        pytest.param(
            content(b"\x80\x04\x8c\x0cxgboost.core\x8c\x07Booster\x93."),
            "XGBoost",
            id="XGBoost's pickle",
        ),
        pytest.param(content(b"weights"), "", id="anything else"),
        pytest.param(content(b""), "", id="nothing"),
        pytest.param(zip_of("readme.txt"), "", id="a zip"),
        pytest.param(content(b"\x80\x05\xff\xff"), "", id="a broken pickle"),
    ],
)
def test_a_format_is_known_by_its_content(
    save: Save, name: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "model.bin"
    save(path)

    found = recognition.recognize(Evidence(path))

    assert (found.name if found is not None else "") == name


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("1/0",))


def test_looking_at_a_pickle_runs_nothing(tmp_path: pathlib.Path) -> None:
    torch.save(Bomb(), tmp_path / "m.pt")

    found = Evidence(tmp_path / "m.pt").torch_pickle

    assert found is not None
    assert found.imports == ("__builtin__.eval",)


def test_recognition_imports_no_framework(tmp_path: pathlib.Path) -> None:
    torch.save(linear(), tmp_path / "m.pt")
    code = (
        "import sys, pathlib\n"
        "from homeport.packing.formats import evidence, recognition\n"
        f"path = pathlib.Path({str(tmp_path / 'm.pt')!r})\n"
        "print(recognition.recognize(evidence.Evidence(path)).name)\n"
        "print('torch' in sys.modules)\n"
    )

    result = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert result.stdout == "pickled module\nFalse\n"


def test_a_pickle_cut_short_is_none() -> None:
    text = io.BytesIO()
    pickle.dump({"a": [1, 2, 3]}, text)

    assert pickled.scan(text.getvalue()[:-3]) is None


def spec(path: pathlib.Path, **options: Any) -> PackSpec:
    return PackSpec(model_name="m", serialized_file=path, **options)


@pytest.mark.parametrize(
    ("save", "problem"),
    [
        pytest.param(saved(STATE), "give the class's file", id="state dict"),
        pytest.param(saved(CHECKPOINT), "a checkpoint written by", id="checkpoint"),
        pytest.param(tensors, "(safetensors), which base_handler", id="safetensors"),
        pytest.param(
            saved(linear()),
            "imports torch.nn.modules.linear.Linear and can run any code",
            id="module",
        ),
        pytest.param(
            content(b"\x08\x08\x12\x07pytorch"), "is an ONNX model", id="ONNX"
        ),
        pytest.param(
            content(b'{"learner":{'), "comes in a later release", id="XGBoost"
        ),
        pytest.param(
            content(sklearn_pickle()), "is a scikit-learn model", id="sklearn"
        ),
        pytest.param(content(pickle.dumps(1)), "is a pickle", id="pickle"),
        pytest.param(
            zip_of("config.json", "model.weights.h5"), "is a Keras model", id="Keras"
        ),
    ],
)
def test_what_base_handler_does_not_load_is_refused_by_name(
    save: Save, problem: str, tmp_path: pathlib.Path
) -> None:
    save(tmp_path / "model.bin")

    with pytest.raises(InvalidArgumentError) as caught:
        pack(spec(tmp_path / "model.bin"), tmp_path)

    assert problem in caught.value.message
    assert not (tmp_path / "m.mar").exists()


def test_a_handler_of_ones_own_may_load_any_format(tmp_path: pathlib.Path) -> None:
    (tmp_path / "handler.py").write_text(HANDLER)
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08\x12\x07pytorch")

    packed = pack(
        spec(tmp_path / "model.onnx", handler=str(tmp_path / "handler.py")), tmp_path
    )

    assert mar.check(packed.path).manifest.serialized_file == "model.onnx"


INHERITS = """from ts.torch_handler.base_handler import BaseHandler


class H(BaseHandler):
    def postprocess(self, rows):
        return rows
"""
INITIALIZES = INHERITS.replace("postprocess", "initialize")
LOADS = INHERITS.replace("postprocess", "_load_torchscript_model")
UNPICKLES = INHERITS.replace("postprocess", "_load_pickled_model")
BORROWS = INHERITS + "\n    initialize = print\n"
GRAFTS = INHERITS + "\n\nH.initialize = print\n"
IMPORTS = INHERITS + "\n    from json import load as initialize\n"


@pytest.mark.parametrize(
    ("source", "options", "warnings"),
    [
        pytest.param(INHERITS, {}, 1, id="BaseHandler loads it"),
        pytest.param(INITIALIZES, {}, 0, id="the handler loads it"),
        pytest.param(LOADS, {}, 0, id="a hook of BaseHandler loads it"),
        pytest.param(UNPICKLES, {}, 0, id="another hook loads it"),
        pytest.param(BORROWS, {}, 0, id="an assigned function loads it"),
        pytest.param(GRAFTS, {}, 0, id="a function assigned later loads it"),
        pytest.param(IMPORTS, {}, 0, id="an imported function loads it"),
        pytest.param(INHERITS, {"model_file": "net.py"}, 0, id="with its class"),
        pytest.param(HANDLER, {}, 0, id="no class"),
    ],
)
def test_weights_that_an_inherited_initialize_cannot_load_are_warned_of(
    source: str, options: dict[str, str], warnings: int, tmp_path: pathlib.Path
) -> None:
    weights, handler = tmp_path / "w.pth", tmp_path / "h.py"
    torch.save(linear().state_dict(), weights)
    handler.write_text(source)
    (tmp_path / "net.py").write_text(NET)
    paths = {key: tmp_path / name for key, name in options.items()}

    packed = pack(spec(weights, handler=str(handler), **paths), tmp_path)

    told = (
        "h.py has no initialize of its own: w.pth is a checkpoint written by "
        "torch.save, which BaseHandler loads only into a class"
    )
    advice = "save TorchScript instead, or load it in an initialize of your own"
    assert [
        one.startswith(told) and one.endswith(advice) for one in packed.warnings
    ] == [True] * warnings


def test_trust_in_a_pickle_is_recorded(tmp_path: pathlib.Path) -> None:
    torch.save(linear(), tmp_path / "model.pt")
    torch.save(STATE, tmp_path / "state.pt")
    (tmp_path / "net.py").write_text(NET)

    trusted = pack(spec(tmp_path / "model.pt", trust_pickle=True), tmp_path / "a")
    plain = pack(
        spec(tmp_path / "state.pt", model_file=tmp_path / "net.py"), tmp_path / "b"
    )

    assert mar.check(trusted.path).manifest.trust_pickle
    assert not mar.check(plain.path).manifest.trust_pickle


def test_a_pickled_module_is_refused_to_ones_own_handler_too(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "handler.py").write_text(HANDLER)
    torch.save(linear(), tmp_path / "model.pt")

    with pytest.raises(InvalidArgumentError, match="--trust-pickle"):
        pack(
            spec(tmp_path / "model.pt", handler=str(tmp_path / "handler.py")), tmp_path
        )


def test_a_class_of_the_saving_script_cannot_be_packed(tmp_path: pathlib.Path) -> None:
    text = b"\x80\x02c__main__\nNet\n)R."
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", text)

    with pytest.raises(InvalidArgumentError, match=r"needs __main__\.Net, a class of"):
        pack(spec(tmp_path / "model.pt", trust_pickle=True), tmp_path)


def test_objects_beside_the_weights_need_trust(tmp_path: pathlib.Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    torch.save(
        {"state_dict": STATE, "args": argparse.Namespace(lr=1)}, tmp_path / "c.pt"
    )
    model_file = tmp_path / "net.py"

    with pytest.raises(InvalidArgumentError, match=r"\(argparse\.Namespace\)"):
        pack(spec(tmp_path / "c.pt", model_file=model_file), tmp_path)
    pack(spec(tmp_path / "c.pt", model_file=model_file, trust_pickle=True), tmp_path)


@pytest.fixture
def bert(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory as `save_pretrained` leaves it, in a clone."""
    directory = tmp_path / "bert"
    (directory / ".git").mkdir(parents=True)
    (directory / ".git/config").write_text("x")
    (directory / "onnx").mkdir()
    (directory / "onnx/model.onnx").write_bytes(b"x")
    for name in ("config.json", "tokenizer.json", "vocab.txt", ".gitattributes"):
        (directory / name).write_text("{}")
    tensors(directory / "model.safetensors")
    (directory / "pytorch_model.bin").write_bytes(b"PK")
    return directory


def test_a_hugging_face_directory_lies_flat(
    bert: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "handler.py").write_text(HANDLER)

    packed = pack(spec(bert, handler=str(tmp_path / "handler.py")), tmp_path)

    inventory = mar.check(packed.path)
    assert inventory.manifest.serialized_file == "model.safetensors"
    assert [member.path for member in inventory.members] == [
        "MAR-INF/MANIFEST.json",
        "config.json",
        "handler.py",
        "model.safetensors",
        "pytorch_model.bin",
        "tokenizer.json",
        "vocab.txt",
    ]


def test_a_hugging_face_directory_needs_a_handler(
    bert: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(InvalidArgumentError, match="Hugging Face directory"):
        pack(spec(bert), tmp_path)


def test_a_saved_model_directory_is_refused_by_name(tmp_path: pathlib.Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").write_bytes(b"x")

    with pytest.raises(InvalidArgumentError, match="is a TensorFlow SavedModel"):
        pack(spec(tmp_path / "saved"), tmp_path)
