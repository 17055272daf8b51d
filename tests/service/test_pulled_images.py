"""Where that is allowed images are fetched from a registry, once, or it is said why."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

import engines
import image_registry
import images
from image_registry import Registry
from servers import PARENT, Server, running

pytestmark = [
    pytest.mark.service,
    pytest.mark.containers,
    pytest.mark.timeout(240),
]


@pytest.fixture(scope="module")
def layer() -> bytes:
    return images.tar()


@pytest.fixture
def registry(layer: bytes) -> Iterator[Registry]:
    """A registry on loopback, where engines ask for no TLS."""
    with image_registry.serving(layer) as found:
        yield found


@pytest.fixture(params=["docker", "podman"])
def engine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> engines.Engine:
    """An engine that the server finds by its variables."""
    found: engines.Engine = request.getfixturevalue(request.param)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


@contextlib.contextmanager
def pulling(engine: engines.Engine, folder: pathlib.Path) -> Iterator[Server]:
    options = ("--no-access-log", "--container-engine", engine.name, "--pull-images")
    with running(Server(folder / "data", options)) as server:
        yield server


def deployed(server: Server, image: str) -> tuple[str, dict[str, Any]]:
    """Return an endpoint, and the ended operation of a deployment of an image to it."""
    spec = {
        "imageUri": image,
        "command": list(engines.COMMAND),
        "predictRoute": "/predict",
        "healthRoute": "/health",
    }
    status, operation = server.call(
        "POST",
        f"/v1/{PARENT}/models:upload",
        {"model": {"displayName": "own", "containerSpec": spec}},
    )
    assert status == 200, operation
    model = server.wait(operation)["response"]["model"]
    endpoint = server.create_endpoint()
    begun = server.begin_deploy(endpoint, model, {"0": 100})
    return endpoint, server.wait(begun)


def stages(server: Server, operation: dict[str, Any]) -> list[str]:
    status, told = server.call("GET", f"/homeport/v1/{operation['name']}/stages")
    assert status == 200, told
    return [one["stage"] for one in told["stages"]]


def test_an_image_is_fetched_once_by_its_tag_and_served(
    engine: engines.Engine, registry: Registry, tmp_path: pathlib.Path
) -> None:
    image = f"{registry.image}:1"
    with pulling(engine, tmp_path) as server:
        endpoint, first = deployed(server, image)
        answer = server.ask(endpoint, 3)
        fetched = list(registry.asked)
        _, second = deployed(server, image)

        assert answer == [6]
        assert "GETTING_CONTAINER_IMAGE" in stages(server, first)
        assert "GETTING_CONTAINER_IMAGE" not in stages(server, second)
    # Its one layer may be known from another image.
    assert any("/manifests/1" in path for path in fetched)
    assert registry.asked == fetched


def test_an_image_is_fetched_by_its_digest(
    engine: engines.Engine, registry: Registry, tmp_path: pathlib.Path
) -> None:
    with pulling(engine, tmp_path) as server:
        endpoint, _ = deployed(server, f"{registry.image}@{registry.digest}")

        assert server.ask(endpoint, 3) == [6]


def test_what_the_registry_has_not_fails_the_deployment_with_its_words(
    engine: engines.Engine, registry: Registry, tmp_path: pathlib.Path
) -> None:
    with pulling(engine, tmp_path) as server:
        endpoint, operation = deployed(server, f"{registry.image}:2")

        assert "deployedModels" not in server.call("GET", f"/v1/{endpoint}")[1]
    told = operation["error"]["message"]
    assert f"could not fetch {registry.image}:2" in told
    assert "manifest unknown" in told
