"""Which framework a model was saved with, by its files' content and usual names.

Nothing is unpickled; what cannot be told so is "".
"""

import zipfile
from collections.abc import Collection
from typing import BinaryIO, Final

AOTINDUCTOR: Final = "aotinductor"
EXPORTED: Final = "torch.export"
HUGGING_FACE: Final = "huggingface"
# What torch.save wrote: a state dict, or a checkpoint around it.
PYTORCH: Final = "pytorch"
SAFETENSORS: Final = "safetensors"
TORCHSCRIPT: Final = "torchscript"

_LENGTH_BYTES: Final = 8
_MAX_HEADER_BYTES: Final = 100_000_000  # safetensors' own limit
# torch.save without a zip: a pickle of this number comes first.
_LEGACY_MAGIC: Final = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"
# torch up to 2.7 wrote the first; later ones the second.
_PROGRAMS: Final = frozenset({"serialized_exported_program.json", "models/model.json"})
# As the official SDK uploads them.
_USUAL: Final = {
    "model.bst": "xgboost",
    "model.joblib": "scikit-learn",
    "model.pkl": "scikit-learn",
    "saved_model.pb": "tensorflow",
    "saved_model.pbtxt": "tensorflow",
}


def of_weights(file: BinaryIO, beside: Collection[str]) -> str:
    """Return what wrote a file of weights.

    Args:
        file: Can be read from any place.
        beside: The paths that lie in the archive with it.
    """
    head = file.read(_LENGTH_BYTES + 16)
    if _is_safetensors(head):
        return HUGGING_FACE if "config.json" in beside else SAFETENSORS
    if head[2:].startswith(_LEGACY_MAGIC):
        return PYTORCH
    try:
        with zipfile.ZipFile(file) as archive:
            return _of_zip(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return ""


def of_names(paths: Collection[str]) -> str:
    """Return what an artifact without an archive is, by the names of its files."""
    found = {_USUAL.get(path.rpartition("/")[2], "") for path in paths} - {""}
    return found.pop() if len(found) == 1 else ""


def _is_safetensors(head: bytes) -> bool:
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    return head[_LENGTH_BYTES:][:1] == b"{" and 0 < length <= _MAX_HEADER_BYTES


def _of_zip(names: Collection[str]) -> str:
    """Return whose a zip is: PyTorch's are one folder, of any name."""
    inside = {name.partition("/")[2] or name for name in names}
    if any(name.startswith("data/aotinductor/") for name in inside):
        return AOTINDUCTOR
    if inside & _PROGRAMS:
        return EXPORTED
    if "constants.pkl" in inside:
        return TORCHSCRIPT
    return PYTORCH if "data.pkl" in inside else ""
