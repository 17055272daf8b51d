"""Lineage written once is read for ever.

The files beside this one are never edited; a change of the format adds one.
"""

import hashlib
from pathlib import Path

from homeport.archive import lineage

FILE = Path(__file__).parent / "homeport_0.1.0_lineage.json"


def test_frozen_lineage_is_read_and_written_as_it_is() -> None:
    text = FILE.read_bytes()
    assert (
        hashlib.sha256(text).hexdigest()
        == "3791eb7bb4f133829195b1c91f6f4e8a76d7e7df07c8e202c2575d7a52eff93a"
    )

    found = lineage.parse(text)

    assert found == {
        "run": "2026-11-20",
        "dataset": "gs://data/digits@3",
        "code": "4f0d51c",
        "parent": "digits@2",
        "note": "größer",
    }
    assert lineage.serialize(found) == text
