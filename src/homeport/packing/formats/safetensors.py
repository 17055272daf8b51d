"""safetensors: named tensors behind a JSON header."""

from typing import Final

from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Format, need_class


def _recognizes(evidence: Evidence) -> bool:
    return evidence.is_safetensors


FORMAT: Final = Format(
    "safetensors", _recognizes, need_class("a file of weights (safetensors)")
)
