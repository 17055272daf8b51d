"""TorchScript, from torch.jit.trace and torch.jit.script."""

from typing import Final

from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Format, accept


def _recognizes(evidence: Evidence) -> bool:
    # Of PyTorch's zips, TorchScript's alone has this member.
    return "constants.pkl" in evidence.zip_names


FORMAT: Final = Format("TorchScript", _recognizes, accept)
