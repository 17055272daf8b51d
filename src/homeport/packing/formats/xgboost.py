"""XGBoost: its pickles, its JSON, its binary JSON and what it wrote before them."""

from typing import Final

from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Format, refuse_for_now


def _recognizes(evidence: Evidence) -> bool:
    found = evidence.plain_pickle
    if found is not None:
        return any(name.startswith("xgboost.") for name in found.imports)
    head = evidence.head.lstrip()
    # UBJSON writes `{`, the type and length of the first key, then the key itself.
    is_json = head.startswith(b"{") and b"learner" in head[:64]
    return is_json or head.startswith(b"binf")


FORMAT: Final = Format("XGBoost", _recognizes, refuse_for_now("an XGBoost model"))
