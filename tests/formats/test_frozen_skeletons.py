"""A file that was once kept as pieces is put together again for ever.

The files beside this one are never edited; a change of the format adds one.
"""

import hashlib
import io
from pathlib import Path
from typing import BinaryIO

from homeport.archive import rebuilding, skeleton

FILE = Path(__file__).parent / "homeport_0.1.0.skeleton"
PIECES = (b"first piece\n", b"second piece\n")


def piece(sha256: str) -> BinaryIO:
    kept = {hashlib.sha256(content).hexdigest(): content for content in PIECES}
    return io.BytesIO(kept[sha256])


def test_a_frozen_skeleton_gives_the_file_it_was_made_of() -> None:
    text = FILE.read_bytes()
    assert (
        hashlib.sha256(text).hexdigest()
        == "8178b46e89468273a1abbd84b7eb20151b5d182e50734f623850b4ab02c5fc8c"
    )

    with rebuilding.rebuilt(io.BytesIO(text), piece) as file:
        whole = file.read()

    assert whole == (
        b"PK and so on\nfirst piece\nsecond piece\n...\nfirst piece\nend\n"
    )
    said = skeleton.read(io.BytesIO(text)).whole
    assert said.sha256 == hashlib.sha256(whole).hexdigest()
