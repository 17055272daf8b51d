"""A version knows where it comes from, from its archive, its request and the server."""

import hashlib
import json
import sys
import sysconfig
from collections.abc import Mapping

import pytest

from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.registry.targets import Target
from homeport.resources.change import ChangeKind
from homeport.resources.model import ContainerSpec, PredictSchemata, VersionSpec
from homeport.resources.names import ModelName
from homeport.resources.operation import Operation
from rooms import PARENT, URI, Rooms, archive, page

# Locks for another Python or platform are refused.
HERE = (
    f"# python: {sys.version_info[0]}.{sys.version_info[1]}\n"
    f"# platform: {sysconfig.get_platform()}\n"
)
LOCK = f"{HERE}idna==3.10\n"
SAID = {"run": "r1", "dataset": "gs://data/digits"}


def _upload(
    rooms: Rooms,
    files: Mapping[str, bytes],
    lineage: Mapping[str, str],
    caller: str = "ada",
) -> Operation:
    rooms.put("first/model.mar", archive(files=files))
    spec = VersionSpec("m", artifact_uri=URI, lineage=lineage)
    return rooms.wait(rooms.uploads.upload(Target(PARENT), spec, caller=caller))


def _name(ended: Operation) -> ModelName:
    assert ended.failure is None, ended.failure
    return ModelName.parse(ended.result["model"]).at(ended.result["model_version_id"])


def _lineage(rooms: Rooms, name: ModelName) -> dict[str, str]:
    return dict(rooms.provenances.get(name).lineage)


def test_the_request_goes_before_the_archive_and_the_server_adds(rooms: Rooms) -> None:
    in_archive = {"MAR-INF/lineage.json": json.dumps(SAID).encode()}

    name = _name(_upload(rooms, in_archive, {"run": "r2", "code": "4f0d51c"}))

    assert _lineage(rooms, name) == {
        "run": "r2",
        "code": "4f0d51c",
        "dataset": "gs://data/digits",
        "uploaded_by": "ada",
    }
    found = rooms.provenances.get(name)
    assert found.version.artifact_uri == URI
    assert found.check.state.value == "unchecked"


@pytest.mark.parametrize(
    ("caller", "said", "uploader"),
    [
        pytest.param("anonymous", {}, "anonymous", id="nobody says"),
        pytest.param("anonymous", {"uploaded_by": "bob"}, "bob", id="the request says"),
        pytest.param("ada", {"uploaded_by": "bob"}, "ada", id="the header goes first"),
    ],
)
def test_the_uploader_is_who_says_so(
    rooms: Rooms, caller: str, said: Mapping[str, str], uploader: str
) -> None:
    name = _name(_upload(rooms, {}, said, caller))

    assert _lineage(rooms, name)["uploaded_by"] == uploader


def test_an_archive_with_bad_lineage_is_refused(rooms: Rooms) -> None:
    ended = _upload(rooms, {"MAR-INF/lineage.json": b'{"uploaded_by": "root"}'}, {})

    assert ended.failure is not None
    assert "uploaded_by is what the server finds out" in ended.failure.message


def test_versions_and_models_are_found_by_lineage(rooms: Rooms) -> None:
    name = _name(_upload(rooms, {}, SAID))
    other = _name(_upload(rooms, {}, {"run": "r9"}, "bob"))

    def models(filter_: str) -> list[str]:
        found, _ = rooms.catalog.list_models(PARENT, page(filter_=filter_))
        return [one.name.model for one in found]

    assert models('lineage.dataset="gs://data/digits"') == [name.model]
    assert models("lineage.dataset:*") == [name.model]
    assert models("lineage.uploaded_by=bob") == [other.model]
    assert models("lineage.run=r*") == sorted([name.model, other.model])
    assert models("lineage.run!=r1") == [other.model]
    assert models("lineage.run=r9 AND display_name=m") == [other.model]
    versions, _ = rooms.catalog.list_versions(
        name, page("ListModelVersions", filter_="lineage.run=r1")
    )
    assert [one.name for one in versions] == [name]


def test_a_copy_keeps_lineage_readme_and_schemata(rooms: Rooms) -> None:
    rooms.put("first/model.mar", archive(files={"README.md": b"# Digits\n"}))
    schemata = PredictSchemata("gs://s/instance.yaml", "", "gs://s/prediction.yaml")
    spec = VersionSpec("m", artifact_uri=URI, lineage=SAID, schemata=schemata)
    source = _name(rooms.upload(spec))

    copied = _name(rooms.transfers.copy(source, Target(PARENT)))

    assert _lineage(rooms, copied) == {**SAID, "uploaded_by": "anonymous"}
    assert rooms.provenances.readme(copied) == (copied, "# Digits\n")
    assert rooms.catalog.get(copied).schemata == schemata


@pytest.mark.parametrize(
    ("content", "text", "notes"),
    [
        pytest.param(b"# Digits\n", "# Digits\n", (), id="a text"),
        pytest.param("\ufeffÄ".encode(), "Ä", (), id="with a mark"),
        pytest.param(
            b"x" * 65537,
            "",
            ("README.md has 65537 bytes, at most 65536 are kept: it was left out",),
            id="too long",
        ),
        pytest.param(
            b"\xff", "", ("README.md is no UTF-8: it was not kept",), id="no text"
        ),
        pytest.param(
            b"a\0b", "", ("README.md has a NUL: it was not kept",), id="a NUL"
        ),
    ],
)
def test_the_readme_is_the_archives(
    rooms: Rooms, content: bytes, text: str, notes: tuple[str, ...]
) -> None:
    ended = _upload(rooms, {"README.md": content}, {})

    assert rooms.provenances.readme(_name(ended))[1] == text
    assert ended.warnings == notes


def test_an_image_has_the_readme_beside_its_files(rooms: Rooms) -> None:
    rooms.put("first/weights.bin", b"weights")
    rooms.put("first/README.md", b"of an image")
    image = ContainerSpec(image_uri="example.com/m:1")

    ended = rooms.upload(VersionSpec("m", artifact_uri=URI, container=image))

    assert rooms.provenances.readme(_name(ended))[1] == "of an image"


def test_a_readme_is_replaced_and_taken_away(rooms: Rooms) -> None:
    name = rooms.register(model_id="m")
    etag = rooms.catalog.get(name).etag

    rooms.provenances.put_readme(name, "first", caller="ada")
    rooms.provenances.put_readme(name.unversioned, "second", caller="bob")

    assert rooms.provenances.readme(name) == (name, "second")
    assert rooms.catalog.get(name).etag != etag
    rooms.provenances.put_readme(name, "")
    assert rooms.provenances.readme(name) == (name, "")
    found, _ = rooms.history.list_changes(PARENT, "models/m", page("ListChanges"))
    told = [one for one in found if one.subject.kind is ChangeKind.README]
    assert [(one.before, one.after) for one in told] == [
        ({"text": "second"}, None),
        ({"text": "first"}, {"text": "second"}),
        (None, {"text": "first"}),
    ]


@pytest.mark.parametrize("text", ["x" * 65537, "ä" * 32769, "a\0", "\ud800"])
def test_a_readme_that_cannot_be_kept_is_refused(rooms: Rooms, text: str) -> None:
    name = rooms.register()

    with pytest.raises(InvalidArgumentError, match=r"README\.md has"):
        rooms.provenances.put_readme(name, text)


def test_what_is_not_there_comes_from_nowhere(rooms: Rooms) -> None:
    with pytest.raises(NotFoundError):
        rooms.provenances.get(ModelName(PARENT, "none"))


def test_the_lock_is_known_by_its_digest(rooms: Rooms) -> None:
    name = _name(_upload(rooms, {"MAR-INF/requirements.lock": LOCK.encode()}, {}))

    digest = hashlib.sha256(LOCK.encode()).hexdigest()
    assert _lineage(rooms, name)["lock"] == digest
