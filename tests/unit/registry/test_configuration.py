"""What TorchServe is told in and beside an archive is read when it is registered."""

import pytest

from homeport.errors import Code
from homeport.registry import configuration
from homeport.resources.model import ContainerSpec, EnvironmentVariable, VersionSpec
from homeport.resources.names import ModelName
from homeport.resources.torchserve import TorchServeWords
from rooms import PARENT as PROJECT
from rooms import URI, Rooms, archive, page

WITH_CONFIG = (
    b'{"runtime": "python", "model": {"modelName": "m", "modelVersion": "1.0", '
    b'"handler": "handler.py", "configFile": "own.yaml"}}'
)


def _spec(**variables: str) -> VersionSpec:
    env = tuple(EnvironmentVariable(name, variables[name]) for name in variables)
    return VersionSpec("m", artifact_uri=URI, container=ContainerSpec(env=env))


def _count(rooms: Rooms) -> int:
    return len(rooms.catalog.list_models(PROJECT, page())[0])


def test_what_acts_later_is_stored_with_the_version(rooms: Rooms) -> None:
    files = {
        "own.yaml": b"minWorkers: 1\nmaxWorkers: 4\nmodel: x\n",
        "config.properties": b"enable_envvars_config=true\njob_queue_size=50",
    }
    rooms.put("first/model.mar", archive(manifest=WITH_CONFIG, files=files))
    rooms.put("first/config.properties", b"install_py_dep_per_model=true")

    ended = rooms.upload(_spec(TS_DEFAULT_WORKERS_PER_MODEL="2"))

    assert ended.failure is None
    version = rooms.catalog.get(ModelName.parse(ended.result["model"]))
    assert version.torchserve == TorchServeWords(
        default_workers=2,
        min_workers=1,
        max_workers=4,
        queue_length=50,
        install_requirements=True,
    )


def test_a_version_without_words_has_none(rooms: Rooms) -> None:
    assert rooms.catalog.get(rooms.register()).torchserve == TorchServeWords()


def test_what_has_no_effect_is_said_after_the_requests_own_warnings(
    rooms: Rooms,
) -> None:
    rooms.put("first/model.mar", archive())
    rooms.put("first/config.properties", b"model_store=/m\njob_queue_size=5")

    ended = rooms.upload(_spec(TS_METRICS_MODE="log"), warnings=("ports",))

    assert ended.warnings == (
        "ports",
        "no effect on serving, in config.properties beside the archive: model_store",
        "TS_METRICS_MODE: read by nobody but the handler, as TorchServe's variables "
        "act with enable_envvars_config=true in config.properties or "
        "TS_ENABLE_ENVVARS_CONFIG=true",
    )


@pytest.mark.parametrize(
    ("files", "beside", "cause"),
    [
        pytest.param(
            {"own.yaml": b"maxWorkers: 0"},
            b"",
            "maxWorkers is 0 in the model's config file",
            id="in the config file",
        ),
        pytest.param(
            {"own.yaml": b"", "config.properties": b"job_queue_size=none"},
            b"",
            "job_queue_size is 'none' in config.properties: give a whole number",
            id="inside",
        ),
        pytest.param(
            {"own.yaml": b""},
            b"service_envelope=kserve",
            "service_envelope is 'kserve' in config.properties beside the archive",
            id="beside",
        ),
        pytest.param(
            {"own.yaml": b""},
            b"#" * (1 << 20) + b"#",
            "config.properties has 1048577 bytes, the limit is 1048576",
            id="a long file beside",
        ),
        pytest.param(
            {"own.yaml": b"#" * (1 << 20) + b"#"},
            b"",
            "own.yaml has 1048577 bytes, the limit is 1048576",
            id="a long config file",
        ),
    ],
)
def test_a_value_that_cannot_be_fails_the_upload_and_leaves_no_version(
    rooms: Rooms, files: dict[str, bytes], beside: bytes, cause: str
) -> None:
    rooms.put("first/model.mar", archive(manifest=WITH_CONFIG, files=files))
    if beside:
        rooms.put("first/config.properties", beside)

    ended = rooms.upload(_spec())

    assert ended.failure is not None
    assert ended.failure.code is Code.INVALID_ARGUMENT
    assert cause in ended.failure.message
    assert _count(rooms) == 0


@pytest.mark.parametrize(
    ("archive_at", "beside_at", "text"),
    [
        pytest.param("first/m.mar", "first/config.properties", "a=1", id="beside"),
        pytest.param("first/x/m.mar", "first/x/config.properties", "a=1", id="deeper"),
        pytest.param("first/x/m.mar", "first/config.properties", "", id="above"),
        pytest.param("first/m.mar", "first/x/config.properties", "", id="below"),
        pytest.param("first/m.mar", "first/my.config.properties", "", id="other name"),
    ],
)
def test_beside_means_in_the_archives_own_folder(
    rooms: Rooms, archive_at: str, beside_at: str, text: str
) -> None:
    rooms.put(archive_at, archive())
    rooms.put(beside_at, b"a=1")

    artifact = rooms.artifacts.stage(URI)

    assert configuration.beside(rooms.artifacts, artifact) == text


def test_an_archive_that_is_named_alone_has_nothing_beside_it(rooms: Rooms) -> None:
    rooms.put("first/m.mar", archive())
    rooms.put("first/config.properties", b"a=1")

    artifact = rooms.artifacts.stage(f"{URI}/m.mar")

    assert configuration.beside(rooms.artifacts, artifact) == ""
