"""A package from torch._inductor.aoti_compile_and_package: a `.pt2` of machine code."""

from typing import Final

from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Format, accept


def _recognizes(evidence: Evidence) -> bool:
    return any(name.startswith("data/aotinductor/") for name in evidence.zip_names)


FORMAT: Final = Format("AOTInductor package", _recognizes, accept)
