"""Saved models that are broken or hostile are looked at without a crash."""

import io
import pathlib
import pickle
import tempfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.packing.formats import recognition
from homeport.packing.formats.evidence import Evidence
from hostile import ZIPS, Case, Part, zipped


def _torch_zip(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("m/data.pkl", pickle.dumps({"state_dict": 1}, protocol=2))
        archive.writestr("m/data/0", b"x" * 30)
    return buffer.getvalue()


KNOWN = frozenset({"", *(known.name for known in recognition.FORMATS)})
SEEDS = (_torch_zip(zipfile.ZIP_STORED), _torch_zip(zipfile.ZIP_DEFLATED))


def _recognized(folder: pathlib.Path, text: bytes) -> str:
    path = folder / "model.pt"
    path.write_bytes(text)
    known = recognition.recognize(Evidence(path))
    return known.name if known else ""


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in ZIPS])
def test_the_corpus_is_no_model(case: Case, tmp_path: pathlib.Path) -> None:
    assert _recognized(tmp_path, case.make()) == ""


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(Part(name=b"m/data.pkl", flags=1), id="encrypted"),
        pytest.param(Part(name=b"m/data.pkl", method=14), id="lzma"),
        pytest.param(
            Part(name=b"m/data.pkl", deflated=True, packed=b"\xff"), id="junk"
        ),
        pytest.param(Part(name=b"m/data.pkl", offset=1 << 31), id="elsewhere"),
    ],
)
def test_a_pickle_that_cannot_be_read_leaves_a_checkpoint(
    part: Part, tmp_path: pathlib.Path
) -> None:
    assert _recognized(tmp_path, zipped(part)) == "torch.save checkpoint"


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(SEEDS),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=8),
    st.integers(0, 40),
)
def test_changed_bytes_never_stop_the_recognition(
    seed: bytes, where: float, new: bytes, cut: int
) -> None:
    at = int(where * len(seed))
    changed = (seed[:at] + new + seed[at + len(new) :])[: len(seed) - cut]

    with tempfile.TemporaryDirectory() as folder:
        name = _recognized(pathlib.Path(folder), changed)

    # It may be given the first bytes of any other format, too.
    assert name in KNOWN
