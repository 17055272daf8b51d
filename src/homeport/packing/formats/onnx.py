"""ONNX: a protobuf that says its version and its producer first."""

from typing import Final

from homeport.packing.formats.evidence import Evidence
from homeport.packing.formats.format import Format, refuse_for_now

# onnx.proto: field 1, ir_version, a small number; then field 2, producer_name, or 7,
# the graph, or 8, opset_import.
_IR_VERSION_TAG: Final = 0x08
_MAX_IR_VERSION: Final = 0x40
_NEXT_TAGS: Final = frozenset({0x12, 0x3A, 0x42})


def _recognizes(evidence: Evidence) -> bool:
    head = evidence.head[:3].ljust(3, b"\0")
    return (
        head[0] == _IR_VERSION_TAG
        and 0 < head[1] < _MAX_IR_VERSION
        and head[2] in _NEXT_TAGS
    )


FORMAT: Final = Format("ONNX", _recognizes, refuse_for_now("an ONNX model"))
