"""What kind of serialized model a file is, told without importing a framework."""

import enum
import zipfile
from pathlib import Path


class SerializedFormat(enum.Enum):
    """How a model was saved.

    `CHECKPOINT` is any `torch.save`: a state dict, a dictionary around one, or a whole
    pickled model; only loading tells them apart.
    """

    TORCHSCRIPT = "TorchScript"
    CHECKPOINT = "torch.save checkpoint"
    OTHER = "unknown format"


def serialized_format(path: Path) -> SerializedFormat:
    """Return how the model in `path` was saved, by the names in its zip directory.

    Both of PyTorch's formats are zips of one folder; TorchScript's alone has
    `constants.pkl` in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return SerializedFormat.OTHER
    if "constants.pkl" in names:
        return SerializedFormat.TORCHSCRIPT
    if "data.pkl" in names:
        return SerializedFormat.CHECKPOINT
    return SerializedFormat.OTHER
