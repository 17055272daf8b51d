"""A framework is told by what is in an archive, and elsewhere by usual names."""

import io
import zipfile

import pytest

from homeport.archive import framework

SAFETENSORS = (2).to_bytes(8, "little") + b"{}"
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."


def _zip(*names: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return held.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (_zip("m/data.pkl", "m/constants.pkl", "m/code/x.py"), "torchscript"),
        (_zip("m/data.pkl", "m/data/0"), "pytorch"),
        (LEGACY, "pytorch"),
        (_zip("serialized_exported_program.json"), "torch.export"),
        (_zip("m/models/model.json"), "torch.export"),
        (_zip("m/data/aotinductor/model/x.so", "m/models/model.json"), "aotinductor"),
        (SAFETENSORS, "safetensors"),
        (_zip("a.txt"), ""),
        (b"PK\x03\x04 and no end", ""),
        (b"", ""),
    ],
)
def test_weights_say_what_wrote_them(content: bytes, expected: str) -> None:
    assert framework.of_weights(io.BytesIO(content), ["model.bin"]) == expected


def test_safetensors_beside_a_configuration_are_of_hugging_face() -> None:
    beside = ["config.json", "model.safetensors"]

    assert framework.of_weights(io.BytesIO(SAFETENSORS), beside) == "huggingface"


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["model.joblib"], "scikit-learn"),
        (["deep/model.bst", "README.md"], "xgboost"),
        (["saved_model.pb", "variables/variables.index"], "tensorflow"),
        (["model.pkl", "model.bst"], ""),
        (["weights.bin"], ""),
    ],
)
def test_files_without_an_archive_are_told_by_their_names(
    paths: list[str], expected: str
) -> None:
    assert framework.of_names(paths) == expected
