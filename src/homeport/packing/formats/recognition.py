"""Which format a saved model is in, told without importing a framework."""

from pathlib import Path
from typing import Final

from homeport.errors import InvalidArgumentError
from homeport.packing.formats import (
    aotinductor,
    checkpoint,
    exported,
    huggingface,
    module,
    onnx,
    safetensors,
    sklearn,
    tensorflow,
    torchscript,
    xgboost,
)
from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Format

# The first that knows a file has it: a narrower one comes before a wider one.
FORMATS: Final = (
    torchscript.FORMAT,
    aotinductor.FORMAT,
    exported.FORMAT,
    module.FORMAT,
    checkpoint.FULL,
    checkpoint.STATE_DICT,
    checkpoint.OTHER,
    safetensors.FORMAT,
    tensorflow.KERAS,
    tensorflow.HDF5,
    xgboost.FORMAT,
    sklearn.SCIKIT_LEARN,
    sklearn.JOBLIB,
    sklearn.PICKLE,
    onnx.FORMAT,
)


def recognize(evidence: Evidence) -> Format | None:
    """Return the format of a file, None for one that is not known."""
    return next((known for known in FORMATS if known.recognizes(evidence)), None)


def open_directory(
    directory: Path, *, default_handler: str
) -> tuple[Path, tuple[Path, ...]] | None:
    """Return the weights of a saved model that is a directory, and what lies beside.

    None for a directory that is no model.

    Raises:
        InvalidArgumentError: It is a model that cannot be packed.
    """
    if tensorflow.is_saved_model(directory):
        raise InvalidArgumentError(
            f"{directory.name} is a TensorFlow SavedModel: that comes in a later "
            "release; until then give it with --extra-files and --keep-directories, "
            "and a handler of your own that loads it"
        )
    if huggingface.recognizes(directory):
        return huggingface.expand(directory, default_handler=default_handler)
    return None
