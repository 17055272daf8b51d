"""A program from torch.export.save, `.pt2`."""

from typing import Final

from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Format, accept

# torch up to 2.7 wrote the first, in the zip's root; later ones the second.
_PROGRAMS: Final = frozenset({"serialized_exported_program.json", "models/model.json"})


def _recognizes(evidence: Evidence) -> bool:
    return bool(evidence.zip_names & _PROGRAMS)


FORMAT: Final = Format("torch.export program", _recognizes, accept)
