"""An upload ends with a version, or with nothing that it made."""

import dataclasses
import io
import pathlib
import signal
import tempfile
import zipfile
from collections.abc import Callable

import pytest

from homeport.errors import (
    HomeportError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from homeport.pipelines.cancelling import Cancellation
from homeport.pipelines.folders import Folders
from homeport.pipelines.place import Place
from homeport.pipelines.storage import Storage
from homeport.pipelines.uploading import Tools, upload
from homeport.pipelines.uploadspec import Entry, ModelFiles, Serving, UploadSpec
from pipeline_fakes import MODELS, MemoryBuckets, MemoryRegistry

SERVING = Serving(
    custom=False, image="prebuilt", health_route="/ping",
    predict_route="/predictions/model",
)  # fmt: skip
SPEC = UploadSpec(
    place=Place("p", "us-central1"),
    files=ModelFiles(
        folder="gs://b/model", weights="ckpt.pt", staging="gs://b/extra",
        handler="handler.py",
    ),
    serving=SERVING,
    entry=Entry(display_name="texts"),
)  # fmt: skip
HANDLER = b"""
import a_package_of_the_image

def handle(data, context):
    return data
"""


@dataclasses.dataclass
class Bench:
    """An upload's surroundings in memory, with a temporary folder of its own."""

    buckets: MemoryBuckets
    registry: MemoryRegistry
    cancellation: Cancellation
    said: list[str]
    temporary: pathlib.Path

    def upload(self, spec: UploadSpec = SPEC) -> str:
        tools = Tools(
            storage=Storage(self.buckets, Folders()),
            registry=self.registry,
            cancellation=self.cancellation,
            say=self.say,
        )
        return upload(spec, tools).name

    def say(self, line: str) -> None:
        self.said.append(line)
        self.buckets.on_event(line.partition(" ")[0])

    def cancel_at(self, event: str) -> None:
        def end(happening: str) -> None:
            if happening == event:
                self.cancellation.ask(signal.SIGTERM)

        self.buckets.on_event = self.registry.on_event = end

    def archives(self) -> list[str]:
        return [name for name in self.buckets.objects if name.endswith(".mar")]

    def left(self) -> list[str]:
        """Return what an upload that came to nothing may not leave."""
        made = [one for one in self.registry.versions if not one.endswith("/old@1")]
        return [*made, *self.archives(), *map(str, self.temporary.iterdir())]


@pytest.fixture
def bench(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    buckets = MemoryBuckets().put("gs://b/model/ckpt.pt")
    buckets.objects["gs://b/extra/handler.py"] = HANDLER
    return Bench(buckets, MemoryRegistry(), Cancellation(), [], tmp_path)


def test_the_files_become_an_archive_beside_the_model_and_a_version(
    bench: Bench,
) -> None:
    name = bench.upload()

    (archive,) = bench.archives()
    folder, _, file = archive.rpartition("/")
    assert name == f"{MODELS}/new@1"
    assert file == "model.mar"
    assert folder.startswith("gs://b/model/mar-")
    assert bench.registry.begun == [(SPEC, folder, None)]
    assert list(bench.temporary.iterdir()) == []
    with zipfile.ZipFile(io.BytesIO(bench.buckets.objects[archive])) as members:
        assert set(members.namelist()) == {
            "MAR-INF/MANIFEST.json", "ckpt.pt", "handler.py"
        }  # fmt: skip


def test_what_only_the_serving_image_has_is_a_warning(bench: Bench) -> None:
    bench.upload()

    assert (
        "warning: handler.py line 2 imports a_package_of_the_image, which is not found "
        "here: the image that serves it has to have it"
    ) in bench.said


def test_the_same_files_are_one_archive_however_often_they_are_uploaded(
    bench: Bench,
) -> None:
    bench.upload()
    bench.upload()

    assert len(bench.archives()) == 1
    assert len(bench.registry.begun) == 2


def test_an_archive_goes_where_it_is_wanted(bench: Bench) -> None:
    bench.upload(dataclasses.replace(SPEC, archive_folder="gs://b/archives"))

    assert bench.archives()[0].startswith("gs://b/archives/mar-")


def test_a_model_gets_a_version(bench: Bench) -> None:
    entry = dataclasses.replace(SPEC.entry, parent="old")

    name = bench.upload(dataclasses.replace(SPEC, entry=entry))

    assert name == f"{MODELS}/old@2"


def test_a_parent_that_does_not_exist_is_told_before_anything_is_copied(
    bench: Bench,
) -> None:
    entry = dataclasses.replace(SPEC.entry, parent="absent")

    with pytest.raises(NotFoundError, match="parent_model 'absent' does not exist"):
        bench.upload(dataclasses.replace(SPEC, entry=entry))

    assert bench.said == []
    assert bench.left() == []


def close_the_bucket(bench: Bench) -> None:
    bench.buckets.closed = True


def refuse_the_version(bench: Bench) -> None:
    bench.registry.refusal = "the archive does not load"


def break_the_handler(bench: Bench) -> None:
    bench.buckets.objects["gs://b/extra/handler.py"] = b"def handle(:"


@pytest.mark.parametrize(
    ("breaking", "error"),
    [
        pytest.param(close_the_bucket, PermissionDeniedError, id="a closed bucket"),
        pytest.param(refuse_the_version, HomeportError, id="a refused version"),
        pytest.param(break_the_handler, InvalidArgumentError, id="a broken handler"),
    ],
)
def test_an_upload_that_fails_leaves_nothing(
    bench: Bench, breaking: Callable[[Bench], None], error: type[HomeportError]
) -> None:
    breaking(bench)

    with pytest.raises(error) as failed:
        bench.upload()

    assert bench.left() == []
    assert str(bench.temporary) not in failed.value.message


@pytest.mark.parametrize("obeys", [True, False], ids=["in time", "too late"])
@pytest.mark.parametrize("event", ["fetch", "store", "begin", "wait"])
@pytest.mark.parametrize("parent", ["", "old"])
def test_an_upload_that_is_cancelled_leaves_nothing(
    bench: Bench, event: str, parent: str, *, obeys: bool
) -> None:
    bench.registry.obeys = obeys
    bench.cancel_at(event)
    entry = dataclasses.replace(SPEC.entry, parent=parent)

    with pytest.raises(SystemExit) as ended:
        bench.upload(dataclasses.replace(SPEC, entry=entry))

    assert ended.value.code == 143
    assert bench.left() == []


def test_an_upload_that_has_its_version_is_not_broken_off(bench: Bench) -> None:
    bench.cancel_at("registered")

    name = bench.upload()

    assert name == f"{MODELS}/new@1"
    assert len(bench.archives()) == 1


def test_the_tidying_up_behind_a_failure_is_not_broken_off(bench: Bench) -> None:
    refuse_the_version(bench)
    bench.cancel_at("remove")

    with pytest.raises(HomeportError, match="the archive does not load"):
        bench.upload()

    assert bench.left() == []


def test_who_may_write_and_not_look_uploads(bench: Bench) -> None:
    bench.buckets.blind = True

    name = bench.upload()

    assert name == f"{MODELS}/new@1"
    assert len(bench.archives()) == 1


def test_a_bucket_that_is_closed_is_told_as_one_that_cannot_be_written_to(
    bench: Bench,
) -> None:
    close_the_bucket(bench)

    with pytest.raises(PermissionDeniedError, match="cannot be written to"):
        bench.upload()


def test_a_model_that_is_a_package_is_packed_flat_without_advice(bench: Bench) -> None:
    bench.buckets.objects["gs://b/model/__init__.py"] = b""

    bench.upload()

    said = " ".join(bench.said)
    assert "--keep-directories" not in said
    assert str(bench.temporary) not in said


@pytest.mark.parametrize("breaking", [close_the_bucket, refuse_the_version])
def test_an_archive_that_was_there_before_stays_when_a_later_upload_fails(
    bench: Bench, breaking: Callable[[Bench], None]
) -> None:
    bench.upload()
    archives = bench.archives()
    breaking(bench)
    bench.registry.refusal = "the archive does not load"

    with pytest.raises(HomeportError):
        bench.upload()

    assert bench.archives() == archives
