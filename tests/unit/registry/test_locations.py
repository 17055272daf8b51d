"""A project's locations are those in which it has something."""

from homeport.metadata import endpoint_rows, model_rows
from homeport.registry.locations import Locations
from homeport.resources.endpoint import Endpoint
from homeport.resources.model import VersionSpec
from homeport.resources.names import EndpointName, ModelName, Parent
from rooms import T0, Rooms


def test_locations_of_models_and_endpoints_are_listed_once_and_sorted(
    rooms: Rooms,
) -> None:
    endpoint = EndpointName(Parent("p", "asia-east1"), "e")
    with rooms.database.transaction() as transaction:
        for project, location, model in (
            ("p", "us-west1", "a"),
            ("p", "europe-west4", "a"),
            ("p", "us-west1", "b"),
            ("other", "me-west1", "a"),
            ("q", "us-east1", "a"),
        ):
            name = ModelName(Parent(project, location), model)
            model_rows.insert_model(transaction, name, VersionSpec("m"), T0)
        endpoint_rows.insert(
            transaction, Endpoint(endpoint, "e", "", {}, (), {}, {}, T0, T0, "etag")
        )

    listed = Locations(rooms.database).list_locations("p")

    assert [one.location for one in listed] == [
        "asia-east1",
        "europe-west4",
        "us-central1",
        "us-west1",
    ]


def test_a_project_of_which_there_is_nothing_has_the_location_clients_begin_with(
    rooms: Rooms,
) -> None:
    listed = Locations(rooms.database).list_locations("p")

    assert [one.location for one in listed] == ["us-central1"]
