"""Every file of an archive is found, and has one name, before anything is copied."""

from pathlib import Path
from typing import Any

import pytest

from homeport.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.pipelines import addresses, staging
from homeport.pipelines.folders import Folders
from homeport.pipelines.storage import Storage
from homeport.pipelines.uploadspec import ModelFiles
from pipeline_fakes import MemoryBuckets

MODEL = "gs://b/model"
EXTRA = "gs://b/extra"


def plan(buckets: MemoryBuckets, **files: Any) -> staging.Plan:
    given = {"folder": MODEL, "weights": "ckpt.pt", **files}
    return staging.plan(ModelFiles(**given), Storage(buckets, Folders()))


def test_the_archive_has_the_models_folder_and_what_was_put_beside_it() -> None:
    buckets = MemoryBuckets().put(
        f"{MODEL}/ckpt.pt", f"{MODEL}/vocab/a.txt", f"{MODEL}/log.txt",
        f"{EXTRA}/h.py", f"{EXTRA}/file_1.py", f"{EXTRA}/other.py", "gs://b/t/tok.pkl",
    )  # fmt: skip

    planned = plan(
        buckets, ignored=("log.txt",), staging=EXTRA, handler="h.py",
        extra=("file_1.py",), tokenizer="gs://b/t/tok.pkl", tokenizer_name="own.pkl",
    )  # fmt: skip

    assert planned.sources == {
        "ckpt.pt": f"{MODEL}/ckpt.pt",
        "vocab/a.txt": f"{MODEL}/vocab/a.txt",
        "h.py": f"{EXTRA}/h.py",
        "file_1.py": f"{EXTRA}/file_1.py",
        "own.pkl": "gs://b/t/tok.pkl",
    }
    assert planned.warnings == ()


def test_earlier_archives_and_hidden_folders_are_no_files_of_the_model() -> None:
    buckets = MemoryBuckets().put(
        f"{MODEL}/ckpt.pt", f"{MODEL}/mar-0123456789abcdef/model.mar",
        f"{MODEL}/kept/mar-0123456789abcdef/model.mar", f"{MODEL}/.git/config",
        f"{MODEL}/__pycache__/a.pyc",
    )  # fmt: skip

    assert list(plan(buckets).sources) == ["ckpt.pt"]


def test_an_artifact_may_be_the_models_file_itself() -> None:
    buckets = MemoryBuckets().put(f"{MODEL}/ckpt.pt", f"{MODEL}/other.txt")

    planned = plan(buckets, folder=f"{MODEL}/ckpt.pt")

    assert planned.folder == MODEL
    assert planned.sources == {"ckpt.pt": f"{MODEL}/ckpt.pt"}


def test_a_folder_may_be_ignored_and_what_is_not_there_is_told() -> None:
    buckets = MemoryBuckets().put(f"{MODEL}/ckpt.pt", f"{MODEL}/runs/1/log")

    planned = plan(buckets, ignored=("runs/", "absent.txt"))

    assert list(planned.sources) == ["ckpt.pt"]
    assert planned.warnings == (
        "extra_files_to_ignore has 'absent.txt', which is not there",
    )


def test_a_model_that_is_not_there_is_told_with_what_is() -> None:
    buckets = MemoryBuckets().put(f"{MODEL}/model.bin", f"{MODEL}/config.json")

    with pytest.raises(NotFoundError) as refused:
        plan(buckets)

    assert refused.value.message == (
        "gcs_model_path gs://b/model has no 'ckpt.pt': it has config.json, model.bin; "
        "give the name of the model's file as local_model_file"
    )


@pytest.mark.parametrize("parameter", ["handler", "requirements"])
def test_a_file_missing_in_the_staging_folder_is_named(parameter: str) -> None:
    buckets = MemoryBuckets().put(f"{MODEL}/ckpt.pt", f"{EXTRA}/file_1.py")

    with pytest.raises(NotFoundError) as refused:
        plan(buckets, staging=EXTRA, **{parameter: "absent.py"})

    assert refused.value.message == (
        f"{parameter} 'absent.py' is not in extra_files_staging_path gs://b/extra: it "
        "has file_1.py; upload it there, or correct its name"
    )


@pytest.mark.parametrize("twin", ["config.json", "Config.JSON"])
def test_two_files_of_one_name_are_refused(twin: str) -> None:
    buckets = MemoryBuckets().put(
        f"{MODEL}/ckpt.pt", f"{MODEL}/config.json", f"{EXTRA}/{twin}"
    )

    with pytest.raises(InvalidArgumentError) as refused:
        plan(buckets, staging=EXTRA, extra=(twin,))

    assert refused.value.message == (
        f"gs://b/model/config.json and gs://b/extra/{twin} would both be '{twin}' in "
        "the archive: rename one of them, or name the model's in extra_files_to_ignore"
    )


@pytest.mark.parametrize("folder", ["vocab", "Vocab"])
def test_a_file_that_has_the_name_of_a_folder_is_refused(folder: str) -> None:
    buckets = MemoryBuckets().put(
        f"{MODEL}/ckpt.pt", f"{MODEL}/vocab", f"{MODEL}/{folder}/a.txt"
    )

    with pytest.raises(InvalidArgumentError) as refused:
        plan(buckets)

    assert refused.value.message == (
        f"gs://b/model/vocab would be a file in the archive and gs://b/model/{folder}/"
        "a.txt in a folder of that name: rename one of them, or name the model's in "
        "extra_files_to_ignore"
    )


def test_a_file_that_is_named_twice_is_one() -> None:
    buckets = MemoryBuckets().put(f"{MODEL}/ckpt.pt", f"{EXTRA}/h.py")

    planned = plan(buckets, staging=EXTRA, handler="h.py", extra=("h.py", "h.py"))

    assert sorted(planned.sources) == ["ckpt.pt", "h.py"]


def test_a_tokenizer_that_is_a_folder_is_refused_with_a_file_of_it() -> None:
    buckets = MemoryBuckets().put(f"{MODEL}/ckpt.pt", "gs://b/tok/vocab.txt")

    with pytest.raises(InvalidArgumentError) as refused:
        plan(buckets, tokenizer="gs://b/tok")

    assert refused.value.message == (
        "custom_tokenizer_path gs://b/tok is a folder, and a tokenizer is one file "
        "here: give its file, such as gs://b/tok/vocab.txt, and what belongs to it as "
        "extra_prediction_files"
    )


def test_a_tokenizer_that_is_not_there_is_refused() -> None:
    buckets = MemoryBuckets().put(f"{MODEL}/ckpt.pt")

    with pytest.raises(NotFoundError, match="custom_tokenizer_path gs://b/tok does"):
        plan(buckets, tokenizer="gs://b/tok")


@pytest.mark.parametrize("name", ["../ckpt.pt", "a/../../b", "/etc/passwd"])
def test_names_that_lead_out_of_the_archive_are_refused(name: str) -> None:
    buckets = MemoryBuckets().put(f"{MODEL}/ckpt.pt", f"{MODEL}/{name}")

    with pytest.raises(InvalidArgumentError):
        plan(buckets)


def test_files_come_from_buckets_and_folders_alike(tmp_path: Path) -> None:
    model, staged = tmp_path / "model", tmp_path / "staged"
    (model / "vocab").mkdir(parents=True)
    (model / "ckpt.pt").write_text("weights")
    (model / "vocab/a.txt").write_text("words")
    staged.mkdir()
    storage = Storage(MemoryBuckets().put("gs://b/tok.pkl"), Folders())
    files = ModelFiles(folder=str(model), weights="ckpt.pt", tokenizer="gs://b/tok.pkl")

    staging.fetch(staging.plan(files, storage), storage, staged)

    assert (staged / "vocab/a.txt").read_text() == "words"
    assert (staged / "ckpt.pt").read_text() == "weights"
    assert (staged / "tok.pkl").read_text() == "gs://b/tok.pkl"


@pytest.mark.parametrize(
    ("source", "target", "remedy"),
    [
        pytest.param("file", "/dev/full", "make room on this disk", id="full"),
        pytest.param("", "copy", "look at this machine's disks", id="otherwise"),
    ],
)
def test_a_copy_that_fails_says_what_helps(
    tmp_path: Path, source: str, target: str, remedy: str
) -> None:
    (tmp_path / "file").write_text("weights")

    with pytest.raises(FailedPreconditionError, match=remedy):
        Folders().fetch(str(tmp_path / source), tmp_path / target)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("gs://b/folder/", "gs://b/folder"),
        ("/gcs/b/folder", "gs://b/folder"),
        ("file:///runs/a%20b", "/runs/a b"),
        (" /runs/1 ", "/runs/1"),
        ("gs://b", "gs://b"),
    ],
)
def test_an_address_has_one_spelling(given: str, address: str) -> None:
    assert addresses.normalized("gcs_model_path", given) == address


@pytest.mark.parametrize(
    "given", ["", "model", "s3://b/model", "https://h/model", "gs://", "gs:///model"]
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^gcs_model_path "):
        addresses.normalized("gcs_model_path", given)
