"""Operations and locations under every path that clients ask."""

import pytest

from servers import PARENT, Server

pytestmark = pytest.mark.service

PREFIXES = ("/v1", "/v1beta1", "/ui")


def upload(server: Server, version: str = "v1", parent: str = PARENT) -> str:
    """Upload an image without an artifact; return the ended operation's name."""
    model = {"displayName": "m", "containerSpec": {"imageUri": "example.com/m:1"}}
    status, operation = server.call(
        "POST", f"/{version}/{parent}/models:upload", {"model": model}
    )
    assert status == 200, operation
    return str(server.wait(operation)["name"])


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_operation_is_listed_waited_for_and_deleted(
    shared_server: Server, prefix: str
) -> None:
    name = upload(shared_server)
    model = name.partition("/operations/")[0]

    status, page = shared_server.call("GET", f"{prefix}/{model}/operations")
    _, whole = shared_server.call("GET", f"{prefix}/{PARENT}/operations?pageSize=1")
    waited = shared_server.call("POST", f"{prefix}/{name}:wait")
    cancelled = shared_server.call("POST", f"{prefix}/{name}:cancel", {})
    deleted = shared_server.call("DELETE", f"{prefix}/{name}")

    assert status == 200
    assert [one["name"] for one in page["operations"]] == [name]
    assert whole["operations"] == page["operations"]
    assert waited == (200, page["operations"][0])
    assert cancelled == (200, {})
    assert deleted == (200, {})
    assert shared_server.call("GET", f"{prefix}/{name}")[0] == 404
    assert shared_server.call("GET", f"{prefix}/{model}/operations") == (200, {})


def test_pages_of_operations_follow_each_other(shared_server: Server) -> None:
    parent = "projects/paged/locations/us-central1"
    names = [upload(shared_server, parent=parent) for _ in range(3)]

    _, first = shared_server.call("GET", f"/v1/{parent}/operations?pageSize=2")
    _, rest = shared_server.call(
        "GET", f"/v1/{parent}/operations?pageToken={first['nextPageToken']}"
    )

    listed = [one["name"] for one in first["operations"] + rest["operations"]]
    assert listed == names[::-1]
    assert "nextPageToken" not in rest


def test_v1beta1_tells_operations_with_its_own_messages(shared_server: Server) -> None:
    name = upload(shared_server, "v1beta1")

    types = {
        prefix: shared_server.call("GET", f"{prefix}/{name}")[1]["response"]["@type"]
        for prefix in PREFIXES
    }

    of = "type.googleapis.com/google.cloud.aiplatform"
    assert types == {
        "/v1": f"{of}.v1.UploadModelResponse",
        "/v1beta1": f"{of}.v1beta1.UploadModelResponse",
        # Where the client polls that asked so.
        "/ui": f"{of}.v1beta1.UploadModelResponse",
    }


@pytest.mark.parametrize("prefix", PREFIXES)
def test_locations_in_use_are_listed(shared_server: Server, prefix: str) -> None:
    upload(shared_server, parent="projects/places/locations/europe-west4")

    status, page = shared_server.call("GET", f"{prefix}/projects/places/locations")

    assert status == 200
    assert page == {
        "locations": [
            {
                "name": "projects/places/locations/europe-west4",
                "locationId": "europe-west4",
            },
            {
                "name": "projects/places/locations/us-central1",
                "locationId": "us-central1",
            },
        ]
    }


def test_any_location_can_be_read(shared_server: Server) -> None:
    name = "projects/places/locations/at-home"

    found = shared_server.call("GET", f"/v1/{name}")

    assert found == (200, {"name": name, "locationId": "at-home"})
    assert shared_server.call("GET", "/v1/projects/-x/locations")[0] == 400
