"""A step calls with the environment's credentials, and shows them to no stranger."""

import json
import pathlib

import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials

from homeport.errors import FailedPreconditionError, UnauthenticatedError
from homeport.pipelines import credentials, googlestorage
from homeport.pipelines.place import Place

VERTEX = Place("p", "us-central1")
HOMEPORT = Place("p", "us-central1", "https://homeport.example")
LOGGED_IN = Credentials("token")
USER = {
    "type": "authorized_user",
    "client_id": "id",
    "client_secret": "secret",
    "refresh_token": "token",
    "quota_project_id": "p",
}


@pytest.fixture(autouse=True)
def environment(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without credentials."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    # Where gcloud is found, it is asked for a project.
    monkeypatch.setenv("PATH", str(tmp_path))


def logged_in(tmp_path: pathlib.Path) -> pathlib.Path:
    """Leave what `gcloud auth application-default login` leaves, and return it."""
    path = tmp_path / "config" / "application_default_credentials.json"
    path.parent.mkdir()
    path.write_text(json.dumps(USER))
    return path


def test_google_wants_credentials() -> None:
    with pytest.raises(UnauthenticatedError) as refused:
        credentials.find(VERTEX)

    assert refused.value.message == (
        "this environment has no credentials for "
        "https://us-central1-aiplatform.googleapis.com: say `gcloud auth "
        "application-default login`, set GOOGLE_APPLICATION_CREDENTIALS, or run the "
        "step with a service account"
    )


def test_google_gets_those_of_the_environment(tmp_path: pathlib.Path) -> None:
    logged_in(tmp_path)

    assert isinstance(credentials.find(VERTEX), Credentials)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "https://homeport.example"])
def test_another_service_may_want_none(url: str) -> None:
    found = credentials.find(Place("p", "us-central1", url))

    assert isinstance(found, AnonymousCredentials)


def test_who_is_logged_in_is_not_told_in_the_clear(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = logged_in(tmp_path)
    place = Place("p", "us-central1", "http://homeport.example")

    unasked = credentials.find(place)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    asked = credentials.find(place)

    assert isinstance(unasked, AnonymousCredentials)
    assert isinstance(asked, Credentials)


@pytest.mark.parametrize(
    ("variable", "place", "url"),
    [
        pytest.param("", VERTEX, "https://storage.googleapis.com", id="Google's"),
        pytest.param("", HOMEPORT, "https://homeport.example", id="its own"),
        pytest.param("https://b.example", HOMEPORT, "https://b.example", id="named"),
    ],
)
def test_buckets_are_at_the_service_or_where_a_variable_says(
    monkeypatch: pytest.MonkeyPatch, variable: str, place: Place, url: str
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", variable)

    client = googlestorage.client(place, LOGGED_IN)

    assert client.api_endpoint == url
    assert client._credentials.token == "token"  # noqa: S105, SLF001  # not told else


def test_files_for_vertex_ai_go_to_no_other_buckets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:8080")

    with pytest.raises(FailedPreconditionError) as refused:
        googlestorage.client(VERTEX, LOGGED_IN)

    assert refused.value.message == (
        "STORAGE_EMULATOR_HOST is set, so the files would not go to Cloud Storage, "
        "where Vertex AI looks for them: unset it"
    )


def test_who_is_logged_in_is_not_told_to_buckets_in_the_clear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:8080")

    unasked = googlestorage.client(HOMEPORT, LOGGED_IN)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "key.json")
    asked = googlestorage.client(HOMEPORT, LOGGED_IN)

    assert isinstance(unasked._credentials, AnonymousCredentials)  # noqa: SLF001  # not told else
    assert asked._credentials.token == "token"  # noqa: S105, SLF001  # not told else
