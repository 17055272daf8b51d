"""What is easily got wrong of Vertex AI's registry, one test a rule, over REST."""

import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from servers import PARENT, Server

pytestmark = pytest.mark.service

PREBUILT = "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-4:latest"

IMAGE = "example.com/serving:1"


def upload(server: Server, display_name: str = "m", **request: Any) -> str:
    """Register an image without an artifact; return the version's full name."""
    model = {
        "displayName": display_name,
        "containerSpec": {"imageUri": IMAGE},
        **request.pop("model", {}),
    }
    status, operation = server.call(
        "POST", f"/v1/{PARENT}/models:upload", {"model": model, **request}
    )
    assert status == 200, operation
    made = server.wait(operation)["response"]
    return f"{made['model']}@{made['modelVersionId']}"


def model_of(version: str) -> str:
    return version.partition("@")[0]


def get(server: Server, name: str) -> dict[str, Any]:
    status, model = server.call("GET", f"/v1/{name}")
    assert status == 200, model
    return dict(model)


def aliases(server: Server, model: str) -> dict[str, list[str]]:
    _, page = server.call("GET", f"/v1/{model}:listVersions")
    return {one["versionId"]: one.get("versionAliases", []) for one in page["models"]}


def merge(server: Server, version: str, *changes: str) -> tuple[int, Any]:
    return server.call(
        "POST", f"/v1/{version}:mergeVersionAliases", {"versionAliases": changes}
    )


def patch(
    server: Server, name: str, mask: str, model: dict[str, Any]
) -> tuple[int, Any]:
    return server.call("PATCH", f"/v1/{name}?updateMask={mask}", model)


def listed(server: Server, query: str) -> tuple[int, Any]:
    return server.call("GET", f"/v1/{PARENT}/models?{query}")


def error(answer: tuple[int, Any]) -> tuple[int, str]:
    status, document = answer
    return status, document["error"]["status"]


# 1


def test_the_same_display_name_makes_a_second_model(shared_server: Server) -> None:
    first = upload(shared_server, "twice")

    second = upload(shared_server, "twice")

    assert first.endswith("@1")
    assert second.endswith("@1")
    assert model_of(first) != model_of(second)


# 2


def test_default_stays_where_it_is_on_a_versioned_upload(shared_server: Server) -> None:
    model = model_of(upload(shared_server))

    upload(shared_server, parentModel=model)

    assert aliases(shared_server, model) == {"1": ["default"], "2": []}


def test_default_moves_when_the_client_sends_the_alias(shared_server: Server) -> None:
    model = model_of(upload(shared_server))

    upload(shared_server, parentModel=model, model={"versionAliases": ["default"]})

    assert aliases(shared_server, model) == {"1": [], "2": ["default"]}


# 3


TELLS_VARIABLES = """
import os


def handle(data, context):
    return data and [os.environ.get(row) for row in data]
"""


@pytest.mark.parametrize(
    ("container", "why"),
    [
        pytest.param(
            {"imageUri": "UPPER CASE!!"},
            "the version has the image 'UPPER CASE!!', which is no name of an image: "
            "register it as HOST/PATH:TAG",
            id="no name of an image",
        ),
        pytest.param(
            {
                "imageUri": "example.com/own:1",
                "startupProbe": {"grpc": {"port": 8080}},
            },
            "a gRPC probe cannot be carried out here: use httpGet, tcpSocket or exec",
            id="a gRPC probe",
        ),
        pytest.param(
            {"imageUri": PREBUILT, "command": ["serve"]},
            f"the version overrides the command or arguments of {PREBUILT}: our worker "
            "takes the place of that image and has none",
            id="a command for our worker",
        ),
    ],
)
def test_an_upload_says_what_a_deployment_will_refuse(
    shared_server: Server, container: dict[str, Any], why: str
) -> None:
    model = {
        "displayName": "for elsewhere",
        "containerSpec": container,
        "baseModelSource": {"modelGardenSource": {"publicModelName": "m"}},
    }
    path = f"/v1/{PARENT}/models:upload"

    _, operation = shared_server.call("POST", path, {"model": model})
    ended = shared_server.wait(operation)

    assert "response" in ended
    generic = ended["metadata"]["genericMetadata"]
    told = [one["message"] for one in generic["partialFailures"]]
    assert f"deploying it will be refused: {why}" in told


def test_a_deployment_without_a_split_has_no_traffic(
    shared_server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    registered = shared_server.register(archived(TELLS_VARIABLES))["response"]["model"]
    endpoint = shared_server.create_endpoint()
    shared_server.wait(shared_server.begin_deploy(endpoint, registered, {}))

    status, told = shared_server.predict(endpoint, {"instances": ["HOME"]})

    assert "trafficSplit" not in get(shared_server, endpoint)
    assert (status, told["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert (
        f"Endpoint {endpoint} doesn't have traffic_split." in told["error"]["message"]
    )


# 4


def test_the_placeholder_is_for_deployments_alone(
    shared_server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    endpoint, operation = shared_server.deploy(archived(TELLS_VARIABLES))
    deployed_id = operation["response"]["deployedModel"]["id"]
    wish = {"deployedModelId": deployed_id, "trafficSplit": {"0": 100}}

    updated = shared_server.call(
        "PATCH",
        f"/v1/{endpoint}?updateMask=trafficSplit",
        {"trafficSplit": {"0": 100}},
    )
    undeployed = shared_server.call("POST", f"/v1/{endpoint}:undeployModel", wish)
    nobody = shared_server.call("POST", f"/v1/{endpoint}:undeployModel", {})

    assert error(updated) == error(undeployed) == (400, "INVALID_ARGUMENT")
    assert error(nobody) == (400, "INVALID_ARGUMENT")
    assert "deployed_model_id is missing" in nobody[1]["error"]["message"]
    said = undeployed[1]["error"]["message"]
    assert "The following DeployedModel ID(s) ['0'] do not exist" in said
    assert get(shared_server, endpoint)["trafficSplit"] == {deployed_id: 100}


# Masks of deployed models


def test_a_change_of_a_deployed_model_is_what_its_mask_names(
    shared_server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    endpoint, operation = shared_server.deploy(archived(TELLS_VARIABLES))
    deployed_id = operation["response"]["deployedModel"]["id"]

    def counts_after(mask: str | None, **counts: int) -> tuple[int, int]:
        wish = {"id": deployed_id, "dedicatedResources": counts}
        status, told = shared_server.call(
            "POST",
            f"/v1/{endpoint}:mutateDeployedModel",
            {"deployedModel": wish, **({"updateMask": mask} if mask else {})},
        )
        assert status == 200, told
        found = told["response"]["deployedModel"]["dedicatedResources"]
        return found["minReplicaCount"], found["maxReplicaCount"]

    most = counts_after("dedicatedResources.maxReplicaCount", maxReplicaCount=3)
    unmasked = counts_after(None, minReplicaCount=2)
    # Without a maximum the minimum is one, as in a deployment.
    whole = counts_after("dedicatedResources", minReplicaCount=2)
    all_of_it = counts_after("*", minReplicaCount=1, maxReplicaCount=2)

    assert most == (1, 3)
    assert unmasked == (2, 3)
    assert whole == (2, 2)
    assert all_of_it == (1, 2)


# 5


def test_a_model_without_a_version_reads_as_its_default(shared_server: Server) -> None:
    model = model_of(upload(shared_server))
    second = upload(shared_server, parentModel=model)

    assert get(shared_server, model)["versionId"] == "1"
    merge(shared_server, second, "default")

    assert get(shared_server, model)["versionId"] == "2"
    assert get(shared_server, model)["name"] == model
    assert (
        get(shared_server, f"{model}@default")["name"] == f"{model}@default"[:-7] + "2"
    )


def test_there_are_no_checkpoints_to_list(shared_server: Server) -> None:
    model = model_of(upload(shared_server))

    assert shared_server.call("GET", f"/v1/{model}:listCheckpoints") == (200, {})
    missing = shared_server.call("GET", f"/v1/{model}@9:listCheckpoints")
    assert error(missing) == (404, "NOT_FOUND")


# 6


def test_labels_of_both_levels_are_merged_when_read(shared_server: Server) -> None:
    version = upload(shared_server, model={"labels": {"env": "dev", "kind": "a"}})
    model = model_of(version)

    status, updated = patch(
        shared_server, model, "labels", {"labels": {"team": "x", "kind": "b"}}
    )

    assert status == 200
    # On a key of both levels the version's wins.
    assert updated["labels"] == {"env": "dev", "kind": "a", "team": "x"}
    second = upload(shared_server, parentModel=model)
    assert get(shared_server, second)["labels"] == {"team": "x", "kind": "b"}


def test_an_update_of_one_level_leaves_the_labels_of_the_other(
    shared_server: Server,
) -> None:
    version = upload(shared_server, model={"labels": {"env": "dev"}})
    patch(shared_server, model_of(version), "labels", {"labels": {"team": "x"}})

    status, updated = patch(shared_server, version, "labels", {"labels": {}})

    assert status == 200
    assert updated["labels"] == {"team": "x"}


def test_one_request_cannot_touch_both_levels(shared_server: Server) -> None:
    version = upload(shared_server)
    words = {"versionDescription": "v", "description": "m"}

    both = patch(shared_server, version, "versionDescription,description", words)
    of_the_version = patch(
        shared_server, model_of(version), "version_description", words
    )
    of_the_model = patch(shared_server, version, "description", words)

    for refused in (both, of_the_version, of_the_model):
        assert error(refused) == (400, "FAILED_PRECONDITION")
    assert "description" not in get(shared_server, version)
    assert "versionDescription" not in get(shared_server, version)


# 7


@pytest.mark.parametrize(
    "alias", ["7", "123", "a", "Golden", "go_lden", "golden-", "-default", "a" * 129]
)
def test_an_alias_that_breaks_the_rules_is_refused(
    shared_server: Server, alias: str
) -> None:
    version = upload(shared_server)

    refused = merge(shared_server, version, alias)

    assert error(refused) == (400, "INVALID_ARGUMENT")
    assert get(shared_server, version)["versionAliases"] == ["default"]


def test_a_hyphen_takes_an_alias_away(shared_server: Server) -> None:
    version = upload(shared_server, model={"versionAliases": ["golden"]})

    status, merged = merge(shared_server, version, "-golden", "v1")

    assert status == 200
    assert merged["versionAliases"] == ["default", "v1"]


def test_an_alias_steals(shared_server: Server) -> None:
    first = upload(shared_server, model={"versionAliases": ["golden"]})
    second = upload(shared_server, parentModel=model_of(first))

    merge(shared_server, second, "golden")

    assert aliases(shared_server, model_of(first)) == {
        "1": ["default"],
        "2": ["golden"],
    }


def test_merging_aliases_needs_a_version(shared_server: Server) -> None:
    version = upload(shared_server)

    refused = merge(shared_server, model_of(version), "golden")
    status, merged = merge(shared_server, f"{model_of(version)}@default", "golden")

    assert error(refused) == (400, "INVALID_ARGUMENT")
    # The SDK names versions by an alias, and the service takes it.
    assert (status, merged["name"]) == (200, version)
    assert merged["versionAliases"] == ["default", "golden"]


# 8


def test_or_binds_tighter_than_and(shared_server: Server) -> None:
    for display_name, team in (("or-a", "x"), ("or-b", "y"), ("or-c", "y")):
        upload(shared_server, display_name, model={"labels": {"team": team}})

    # display_name="or-a" AND (labels.team=z OR labels.team=y), and not
    # (display_name="or-a" AND labels.team=z) OR labels.team=y.
    _, page = listed(
        shared_server,
        "filter=display_name%3D%22or-a%22%20AND%20labels.team%3Dz%20OR%20labels.team%3Dy",
    )

    assert page == {}


@pytest.mark.parametrize(
    "field", ["displayname", "size", "name.x", "labels.a.b.c<3 AND no"]
)
def test_a_bad_field_is_an_error_and_not_an_empty_page(
    shared_server: Server, field: str
) -> None:
    refused = listed(shared_server, f"filter={field.replace(' ', '%20')}%3D1")

    assert error(refused) == (400, "INVALID_ARGUMENT")


def test_a_stale_page_token_is_an_error(shared_server: Server) -> None:
    for _ in range(2):
        upload(shared_server, "paged")
    _, page = listed(shared_server, "pageSize=1&filter=displayName%3Dpaged")
    token = page["nextPageToken"]

    other_filter = listed(shared_server, f"pageSize=1&pageToken={token}")
    broken = listed(
        shared_server, f"pageSize=1&filter=displayName%3Dpaged&pageToken={token[:-2]}"
    )
    another_size = listed(
        shared_server, f"pageSize=9&filter=displayName%3Dpaged&pageToken={token}"
    )

    assert error(other_filter) == (400, "INVALID_ARGUMENT")
    assert error(broken) == (400, "INVALID_ARGUMENT")
    assert another_size[0] == 200


# 9


def test_a_stale_etag_is_aborted_with_409(shared_server: Server) -> None:
    version = upload(shared_server)
    read = get(shared_server, version)
    first = patch(
        shared_server,
        model_of(version),
        "description",
        {"description": "mine", "etag": read["etag"]},
    )

    second = patch(
        shared_server,
        model_of(version),
        "description",
        {"description": "theirs", "etag": read["etag"]},
    )
    blind = patch(
        shared_server, model_of(version), "description", {"description": "blind"}
    )

    assert first[0] == 200
    assert error(second) == (409, "ABORTED")
    assert blind[1]["description"] == "blind"


def test_an_alias_or_a_version_makes_no_etag_stale(shared_server: Server) -> None:
    version = upload(shared_server)
    read = get(shared_server, version)
    merge(shared_server, version, "golden")
    upload(shared_server, parentModel=model_of(version))

    status, updated = patch(
        shared_server,
        version,
        "version_description",
        {"versionDescription": "new", "etag": read["etag"]},
    )

    assert status == 200
    assert updated["versionDescription"] == "new"
    assert updated["etag"] != read["etag"]


# 12


def test_the_model_name_is_the_endpoint_and_the_version_name_the_deployed_model(
    shared_server: Server, archived: Callable[..., pathlib.Path]
) -> None:
    endpoint, operation = shared_server.deploy(archived(TELLS_VARIABLES))
    deployed = operation["response"]["deployedModel"]
    uploaded = get(shared_server, deployed["model"])["artifactUri"]

    name, version, copy = shared_server.ask(
        endpoint, "AIP_MODEL_NAME", "AIP_VERSION_NAME", "AIP_STORAGE_URI"
    )

    assert name == endpoint.rpartition("/")[2]
    assert version == deployed["id"]
    assert copy
    assert copy != uploaded


# 15


def test_gcloud_filters_what_it_gets(shared_server: Server) -> None:
    upload(shared_server, "for-gcloud")

    # `gcloud ai models list --filter=...` sends no filter.
    status, page = listed(shared_server, "alt=json&pageSize=100")

    assert status == 200
    assert "for-gcloud" in {one["displayName"] for one in page["models"]}


# Delete guards


def test_the_default_version_is_not_deleted(shared_server: Server) -> None:
    first = upload(shared_server)
    second = upload(shared_server, parentModel=model_of(first))

    refused = shared_server.call("DELETE", f"/v1/{first}:deleteVersion")
    merge(shared_server, second, "default")
    status, _ = shared_server.call("DELETE", f"/v1/{first}:deleteVersion")

    assert error(refused) == (400, "FAILED_PRECONDITION")
    assert status == 200
    assert aliases(shared_server, model_of(first)) == {"2": ["default"]}


def test_the_only_version_goes_with_its_model_alone(shared_server: Server) -> None:
    version = upload(shared_server)

    refused = shared_server.call("DELETE", f"/v1/{version}:deleteVersion")
    status, _ = shared_server.call("DELETE", f"/v1/{model_of(version)}")

    assert error(refused) == (400, "FAILED_PRECONDITION")
    assert "delete the model" in refused[1]["error"]["message"]
    assert status == 200
    assert shared_server.call("GET", f"/v1/{version}")[0] == 404


# Masks of updates and reads


@pytest.mark.parametrize("mask", ["versionDescription", "version_description"])
def test_both_spellings_of_a_mask_are_read(shared_server: Server, mask: str) -> None:
    version = upload(shared_server)

    _, updated = patch(shared_server, version, mask, {"versionDescription": "new"})

    assert updated["name"] == version
    assert updated["versionDescription"] == "new"


def test_an_update_changes_what_the_mask_names_alone(shared_server: Server) -> None:
    version = upload(shared_server, "words", model={"description": "old"})
    whole = get(shared_server, version) | {
        "displayName": "other",
        "description": "new",
        "artifactUri": "gs://elsewhere/",
    }

    _, updated = patch(shared_server, model_of(version), "description", whole)

    assert updated["description"] == "new"
    assert updated["displayName"] == "words"
    assert "artifactUri" not in updated


def test_a_star_replaces_everything_and_no_mask_what_is_set(
    shared_server: Server,
) -> None:
    version = upload(shared_server, model={"description": "old"})
    model = model_of(version)

    _, some = patch(shared_server, model, "", {"displayName": "some"})
    _, every = patch(shared_server, model, "*", {"displayName": "all"})

    assert (some["displayName"], some["description"]) == ("some", "old")
    assert every["displayName"] == "all"
    assert "description" not in every


def test_a_mask_can_name_one_label(shared_server: Server) -> None:
    version = upload(shared_server, model={"labels": {"a": "1", "b": "2", "c": "3"}})

    _, updated = patch(
        shared_server, version, "labels.a,labels.b", {"labels": {"a": "9"}}
    )

    assert updated["labels"] == {"a": "9", "c": "3"}


def test_a_name_with_a_hyphen_for_the_version_is_the_model_itself(
    shared_server: Server,
) -> None:
    model = model_of(upload(shared_server))

    status, updated = patch(
        shared_server, f"{model}@-", "description", {"description": "of the model"}
    )

    assert status == 200
    assert updated["name"] == model
    assert updated["description"] == "of the model"


@pytest.mark.parametrize(
    ("mask", "cause"),
    [
        pytest.param("artifactUri", "after the upload", id="immutable"),
        pytest.param("container_spec", "after the upload", id="not updatable"),
        pytest.param("versionAliases", "after the upload", id="has its own method"),
        pytest.param("colour", "no field", id="unknown"),
        pytest.param("container_spec.image_uri", "no field", id="below a field"),
    ],
)
def test_a_mask_with_what_cannot_be_updated_is_refused(
    shared_server: Server, mask: str, cause: str
) -> None:
    version = upload(shared_server)

    status, refused = patch(shared_server, model_of(version), mask, {})

    assert (status, refused["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert cause in refused["error"]["message"]


def test_a_read_mask_shows_what_it_names(shared_server: Server) -> None:
    upload(shared_server, "masked")

    status, page = listed(
        shared_server, "filter=displayName%3Dmasked&readMask=displayName,version_id"
    )

    assert status == 200
    assert page["models"] == [{"versionId": "1", "displayName": "masked"}]
    refused = listed(shared_server, "readMask=colour")
    assert error(refused) == (400, "INVALID_ARGUMENT")


def test_a_read_mask_of_endpoints_shows_what_it_names(shared_server: Server) -> None:
    shared_server.create_endpoint("masked")

    status, page = shared_server.call(
        "GET", f"/v1/{PARENT}/endpoints?readMask=display_name"
    )

    assert status == 200
    assert {"displayName": "masked"} in page["endpoints"]
    assert {key for one in page["endpoints"] for key in one} == {"displayName"}
