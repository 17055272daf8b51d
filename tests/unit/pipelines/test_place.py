"""A place is a project and a location, at Vertex AI or at another service."""

import pytest

from homeport.errors import InvalidArgumentError
from homeport.pipelines.place import Place


def test_a_place_is_at_vertex_ai_if_nothing_else_is_said() -> None:
    place = Place("p", "europe-west2")

    assert place.url == "https://europe-west2-aiplatform.googleapis.com"
    assert place.is_google


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("homeport.example:8443", "https://homeport.example:8443"),
        ("https://homeport.example/port", "https://homeport.example/port"),
    ],
)
def test_another_service_is_a_url_or_a_host(endpoint: str, url: str) -> None:
    place = Place("p", "us-central1", endpoint)

    assert place.url == url
    assert not place.is_google


@pytest.mark.parametrize(
    ("project", "location", "endpoint"),
    [
        pytest.param("", "us-central1", "", id="no project"),
        pytest.param("p", "  ", "", id="no location"),
        pytest.param("p", "us-central1/models", "", id="a path"),
        pytest.param("My Project", "us-central1", "", id="a display name"),
        pytest.param("p", "us-central1", "http://", id="no host"),
    ],
)
def test_what_is_no_place_is_refused(
    project: str, location: str, endpoint: str
) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"^(project|location|api_endpoint) "
    ):
        Place(project, location, endpoint)


@pytest.mark.parametrize(
    "wanted", ["123", " projects/p/locations/us-central1/models/123 "]
)
def test_a_model_is_meant_by_its_name_or_its_id(wanted: str) -> None:
    place = Place("p", "us-central1")

    found = place.resource("parent_model", "models", wanted)

    assert found == "projects/p/locations/us-central1/models/123"


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param("models/123", id="half a name"),
        pytest.param("123@2", id="a version"),
        pytest.param("projects/p/locations/us-central1/endpoints/1", id="an endpoint"),
        pytest.param("projects/p/locations/us-east1/models/1", id="elsewhere"),
        pytest.param("my model", id="a display name"),
    ],
)
def test_what_is_no_model_is_refused(wanted: str) -> None:
    place = Place("p", "us-central1")

    with pytest.raises(InvalidArgumentError, match=r"^parent_model "):
        place.resource("parent_model", "models", wanted)
