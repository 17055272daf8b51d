"""What a file shows of itself before anything is loaded: head, zip and pickle."""

import dataclasses
import functools
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Final

from homeport.packing.formats import pickled
from homeport.packing.formats.pickled import Pickled

_HEAD_BYTES: Final = 512
# torch.save before 1.6, and with _use_new_zipfile_serialization=False: a number, the
# protocol's version and the machine, each a pickle, come before the model's own.
_LEGACY_MAGIC: Final = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_PREFACE: Final = 3
_MAX_HEADER_BYTES: Final = 100_000_000  # safetensors' own limit
_MAX_PARSED_BYTES: Final = 4 << 20  # tens of thousands of tensors; memory stays small
_READABLE: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises of broken files: RuntimeError where they are encrypted, OSError
# and OverflowError where they point behind themselves.
_BROKEN: Final = (
    zipfile.BadZipFile,
    ValueError,
    RuntimeError,
    EOFError,
    OSError,
    OverflowError,
    struct.error,
    zlib.error,
)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One file, looked at and not loaded; what is looked at is kept.

    Attributes:
        path: The file.
    """

    path: Path

    @functools.cached_property
    def head(self) -> bytes:
        """Its first bytes."""
        with self.path.open("rb") as file:
            return file.read(_HEAD_BYTES)

    @functools.cached_property
    def zip_names(self) -> frozenset[str]:
        """The paths in it below their one folder, empty if it is no zip.

        PyTorch's zips are one folder, named after the file they were first saved as.
        """
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = archive.namelist()
        except _BROKEN:
            return frozenset()
        return frozenset(name.partition("/")[2] or name for name in names)

    @functools.cached_property
    def is_legacy_torch(self) -> bool:
        """Whether torch.save wrote it without a zip."""
        return self.head[2:].startswith(_LEGACY_MAGIC)

    @functools.cached_property
    def torch_pickle(self) -> Pickled | None:
        """The pickle that torch.save wrote, None if it did not write this file."""
        if self.is_legacy_torch:
            return pickled.scan(self._beginning(), skip=_LEGACY_PREFACE)
        if "data.pkl" not in self.zip_names:
            return None
        try:
            with zipfile.ZipFile(self.path) as archive:
                entry = next(
                    one
                    for one in archive.infolist()
                    if one.filename.endswith("/data.pkl")
                )
                if entry.compress_type not in _READABLE:
                    return None
                with archive.open(entry) as member:
                    return pickled.scan(member.read(pickled.MAX_BYTES))
        except (*_BROKEN, StopIteration):
            return None

    @functools.cached_property
    def plain_pickle(self) -> Pickled | None:
        """The pickle that the file is, None if it is none, or torch's."""
        if not self.head.startswith(b"\x80") or self.is_legacy_torch:
            return None
        return pickled.scan(self._beginning())

    @functools.cached_property
    def is_safetensors(self) -> bool:
        """Whether it begins as safetensors does: a length, then JSON of that length."""
        length = int.from_bytes(self.head[:8], "little")
        if self.head[8:9] != b"{" or not 0 < length <= _MAX_HEADER_BYTES:
            return False
        if length > _MAX_PARSED_BYTES:
            return True
        with self.path.open("rb") as file:
            file.seek(8)
            text = file.read(length)
        try:
            return isinstance(json.loads(text), dict)
        except (ValueError, RecursionError):
            return False

    def _beginning(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(pickled.MAX_BYTES)
