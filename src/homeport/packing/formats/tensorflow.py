"""TensorFlow and Keras: SavedModel folders, `.keras`, `.h5`."""

from pathlib import Path
from typing import Final

from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Format, refuse_for_now

_HDF5_MAGIC: Final = b"\x89HDF\r\n\x1a\n"
_KERAS_NAMES: Final = frozenset({"config.json", "model.weights.h5"})
_SAVED_MODEL: Final = ("saved_model.pb", "saved_model.pbtxt")


def _is_keras(evidence: Evidence) -> bool:
    return evidence.zip_names >= _KERAS_NAMES


def _is_hdf5(evidence: Evidence) -> bool:
    return evidence.head.startswith(_HDF5_MAGIC)


def is_saved_model(directory: Path) -> bool:
    """Tell whether a directory is a SavedModel."""
    return any((directory / name).is_file() for name in _SAVED_MODEL)


KERAS: Final = Format("Keras", _is_keras, refuse_for_now("a Keras model"))
HDF5: Final = Format("HDF5", _is_hdf5, refuse_for_now("a Keras model in HDF5"))
