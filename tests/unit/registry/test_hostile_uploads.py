"""A hostile archive in a bucket never becomes a version, nor anything on the disk."""

import pytest

from homeport.resources.model import Artifact
from hostile import ZIPS, Case
from rooms import Rooms


def _take_in(rooms: Rooms, artifact: Artifact) -> None:
    rooms.artifacts.archive_of(artifact)
    rooms.artifacts.lay_out(artifact)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in ZIPS])
def test_it_is_refused_before_anything_is_laid_out(rooms: Rooms, case: Case) -> None:
    rooms.put("first/model.mar", case.make())
    artifact = rooms.artifacts.stage("gs://models/first")

    with pytest.raises(case.error) as caught:
        _take_in(rooms, artifact)

    assert case.problem in caught.value.message
    directory = rooms.directory / "artifacts"
    assert not directory.exists() or list(directory.iterdir()) == []
