"""Samples written once are read for ever.

The files beside this one are never edited; a change of the format adds one.
"""

import hashlib
from pathlib import Path

from homeport.archive import golden
from homeport.archive.golden import Golden

FILE = Path(__file__).parent / "homeport_0.1.0_golden.json"


def test_a_frozen_sample_is_read_and_written_as_it_is() -> None:
    text = FILE.read_bytes()
    assert (
        hashlib.sha256(text).hexdigest()
        == "35ea795f4168d012353bb01d4eb42354378d6f4f7ec4f13ea13db2ad75080101"
    )

    found = golden.parse(text)

    assert found == Golden(
        {"instances": [{"text": "a"}, [1, 2.5, None]], "parameters": {"top": 1}},
        ({"label": "zero"}, 1.5),
        relative_tolerance=0.01,
        absolute_tolerance=0.001,
    )
    assert golden.serialize(found) == text
