"""Archives written once open for ever.

The files beside this one are never edited; a change of the format adds one.
"""

import hashlib
from pathlib import Path

import pytest

from homeport.archive import mar

HERE = Path(__file__).parent
FILES = {
    "handler.py": (
        b"def handle(data, context):\n    return [len(row) for row in data]\n"
    ),
    "weights.bin": b"w" * 256,
    "requirements.txt": b"numpy==2.1.0\n",
}
LABELS = b'{"0": "zero"}\n'


@pytest.mark.parametrize(
    ("name", "digest", "labels_path"),
    [
        pytest.param(
            "homeport_0.1.0.mar",
            "bd24ca1647f30d17629f1cbe921e2a663389d7a2383dee4ee63b74b584b83ccf",
            "vocab/labels.json",
            id="homeport 0.1.0, stored",
        ),
        pytest.param(
            "torch_model_archiver_0.12.0.mar",
            "41723539699bc3ad48b89f18a9b9f1bf052812c10730c7e7dd576b725303c4ac",
            "labels.json",
            id="torch-model-archiver 0.12.0, deflated",
        ),
    ],
)
def test_a_frozen_archive_opens(
    name: str, digest: str, labels_path: str, tmp_path: Path
) -> None:
    archive = HERE / name
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == digest

    inventory = mar.extract(archive, tmp_path / "out")

    declared = inventory.manifest
    assert (declared.model_name, declared.version) == ("frozen", "1.10")
    assert (declared.handler_module, declared.handler_function) == ("handler", "handle")
    assert declared.serialized_file == "weights.bin"
    assert declared.requirements_file == "requirements.txt"
    expected = FILES | {labels_path: LABELS}
    for path, content in expected.items():
        assert (tmp_path / "out" / path).read_bytes() == content
    assert {member.path for member in inventory.members} == {
        *expected,
        "MAR-INF/MANIFEST.json",
    }
