"""Every limit of a registered text: what is at it is kept, what is beyond is refused.

The limits are those of aiplatform v1's model.proto and model_service.proto.
"""

import pathlib
from typing import Any

import pytest

from servers import PARENT, Server

pytestmark = pytest.mark.service

IMAGE = "example.com/serving:1"
MOST_LABEL = "k" * 64


def _upload(server: Server, **request: Any) -> tuple[int, dict[str, Any]]:
    """Return the status and, where it was begun, the model; else the error."""
    container = {"imageUri": IMAGE, **request.pop("container", {})}
    model = {"displayName": "m", "containerSpec": container, **request.pop("model", {})}
    status, answer = server.call(
        "POST", f"/v1/{PARENT}/models:upload", {"model": model, **request}
    )
    if status != 200:
        return status, answer["error"]
    made = server.wait(answer)["response"]
    return server.call("GET", f"/v1/{made['model']}@{made['modelVersionId']}")


@pytest.mark.parametrize(
    "model",
    [
        pytest.param({"displayName": "m" * 128}, id="display name"),
        pytest.param({"displayName": "名" * 128}, id="display name in characters"),
        pytest.param({"labels": {MOST_LABEL: MOST_LABEL}}, id="label"),
        pytest.param({"labels": {"名": "ä_-1"}}, id="international label"),
        pytest.param({"labels": {"k": ""}}, id="empty label value"),
        pytest.param({"labels": {f"k{n}": "v" for n in range(64)}}, id="64 labels"),
        pytest.param({"versionAliases": ["default", "ab"]}, id="shortest alias"),
        pytest.param({"versionAliases": ["default", "a" * 128]}, id="longest alias"),
        pytest.param({"description": "d" * 10_000}, id="description"),
        pytest.param({"versionDescription": "d" * 10_000}, id="version description"),
    ],
)
def test_a_model_keeps_what_is_at_its_limit(
    shared_server: Server, model: dict[str, Any]
) -> None:
    status, kept = _upload(shared_server, model=model)

    assert status == 200
    assert {key: kept[key] for key in model} == model


@pytest.mark.parametrize(
    ("model", "said"),
    [
        pytest.param({"displayName": ""}, "display_name", id="no display name"),
        pytest.param({"displayName": "m" * 129}, "at most 128", id="display name"),
        pytest.param({"labels": {"k" * 65: "v"}}, "at most 64", id="label key"),
        pytest.param({"labels": {"k": "v" * 65}}, "at most 64", id="label value"),
        pytest.param({"labels": {"K": "v"}}, "lower-case", id="upper-case key"),
        pytest.param({"labels": {"k": "a b"}}, "lower-case", id="space in a value"),
        pytest.param({"labels": {"": "v"}}, "empty key", id="empty label key"),
        pytest.param({"versionAliases": ["a"]}, "alias", id="alias of one character"),
        pytest.param({"versionAliases": ["a" * 129]}, "alias", id="alias too long"),
        pytest.param({"versionAliases": ["1"]}, "alias", id="alias like a version id"),
        pytest.param({"versionAliases": ["V1"]}, "alias", id="alias in upper case"),
        pytest.param(
            {"versionAliases": ["a-"]}, "alias", id="alias with a last hyphen"
        ),
        pytest.param({"description": "a\0b"}, "NUL", id="NUL"),
    ],
)
def test_a_model_beyond_a_limit_is_refused(
    shared_server: Server, model: dict[str, Any], said: str
) -> None:
    status, error = _upload(shared_server, model=model)

    assert status == 400
    assert error["status"] == "INVALID_ARGUMENT"
    assert said in error["message"]


@pytest.mark.parametrize(
    "container",
    [
        pytest.param({"env": [{"name": "_a1", "value": "v"}]}, id="variable"),
        pytest.param({"ports": [{"containerPort": 65535}]}, id="last port"),
        pytest.param({"ports": [{"containerPort": 1}]}, id="first port"),
        pytest.param({"args": ["a" * 10_000]}, id="argument"),
    ],
)
def test_a_container_keeps_what_is_at_its_limit(
    shared_server: Server, container: dict[str, Any]
) -> None:
    status, kept = _upload(shared_server, container=container)

    assert status == 200
    assert {key: kept["containerSpec"][key] for key in container} == container


@pytest.mark.parametrize(
    "container",
    [
        pytest.param({"env": [{"name": "1a", "value": ""}]}, id="begins with a digit"),
        pytest.param({"env": [{"name": "a-b", "value": ""}]}, id="with a hyphen"),
        pytest.param({"env": [{"name": "", "value": ""}]}, id="without a name"),
        pytest.param({"env": [{"name": "AIP_X", "value": ""}]}, id="reserved"),
        pytest.param({"env": [{"name": "A", "value": "v" * (1 << 17)}]}, id="too long"),
        pytest.param({"ports": [{"containerPort": 65536}]}, id="over the last port"),
        pytest.param({"ports": [{"containerPort": 0}]}, id="no port"),
        pytest.param({"ports": [{"containerPort": -1}]}, id="a negative port"),
        pytest.param({"grpcPorts": [{"containerPort": 65536}]}, id="gRPC port"),
    ],
)
def test_a_container_beyond_a_limit_is_refused(
    shared_server: Server, container: dict[str, Any]
) -> None:
    status, error = _upload(shared_server, container=container)

    assert (status, error["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("model_id", "status"),
    [("m" * 63, 200), ("_", 200), ("m" * 64, 400), ("1m", 400), ("-m", 400)],
)
def test_a_chosen_model_id_is_within_its_pattern(
    shared_server: Server, model_id: str, status: int
) -> None:
    assert _upload(shared_server, modelId=model_id)[0] == status


def test_a_version_is_found_by_what_its_weights_were_saved_with(
    shared_server: Server, mlp_archive: pathlib.Path
) -> None:
    registered = shared_server.register(mlp_archive, displayName="of-a-framework")

    query = "filter=framework=torchscript%20AND%20display_name=of-a-framework"
    _, found = shared_server.call("GET", f"/v1/{PARENT}/models?{query}")

    assert [one["name"] for one in found["models"]] == [registered["response"]["model"]]
