"""The verbs on endpoints, told of every change."""

import dataclasses
from collections.abc import Callable, Mapping

from homeport.metadata import endpoint_rows
from homeport.resources.endpoint import DeployState
from homeport.resources.model import VersionSpec
from homeport.resources.names import EndpointName, ModelName
from homeport.resources.operation import Operation
from homeport.serving.deployments import Deployments
from homeport.serving.desk import Desk
from homeport.serving.endpoints import Endpoints
from homeport.serving.engines import Offer
from homeport.serving.specs import DeploySpec, EndpointSpec
from rooms import ARTIFACT, PARENT, URI, Rooms

NO_ENGINES = Offer()


@dataclasses.dataclass
class Wishes:
    """Endpoints without a reconciler; the test says what came of a wish.

    Attributes:
        changes: What `changed` was told.
    """

    rooms: Rooms
    endpoints: Endpoints
    deployments: Deployments
    changes: list[EndpointName]

    def create(self, endpoint_id: str = "e") -> EndpointName:
        self.endpoints.create(PARENT, EndpointSpec("e"), endpoint_id)
        return EndpointName(PARENT, endpoint_id)

    def deploy(
        self,
        name: EndpointName,
        model: ModelName,
        split: Mapping[str, int] | None = None,
        deployed_id: str = "",
    ) -> Operation:
        return self.deployments.deploy(
            name, DeploySpec(model, split or {}, deployed_id)
        )

    def serve(self, name: EndpointName, *ids: str, **split: int) -> None:
        """Deploy the model "m" under ids, at once, and share the traffic out.

        Args:
            name: The endpoint.
            ids: Of the deployed models.
            split: By `d` and the id.
        """
        for deployed_id in ids:
            self.deploy(name, ModelName(PARENT, "m"), {}, deployed_id)
        self.share(name, *ids, **split)

    def share(self, name: EndpointName, *ids: str, **split: int) -> None:
        """Write that deployed models serve, and the split between them.

        Args:
            name: The endpoint.
            ids: Further deployed models, without traffic.
            split: By `d` and the id.
        """
        shares = {key.removeprefix("d"): share for key, share in split.items()}
        with self.rooms.database.transaction() as transaction:
            for deployed_id in (*ids, *shares):
                endpoint_rows.set_state(transaction, deployed_id, DeployState.DEPLOYED)
            endpoint = endpoint_rows.get(transaction, name)
            assert endpoint is not None
            endpoint_rows.update(
                transaction, dataclasses.replace(endpoint, traffic_split=shares)
            )


def open_desk(rooms: Rooms, changed: Callable[[EndpointName], None]) -> Desk:
    return Desk(
        rooms.database, rooms.operations, changed, rooms.clock.now, rooms.clock.new_id
    )


def open_endpoints(rooms: Rooms, changed: Callable[[EndpointName], None]) -> Endpoints:
    return Endpoints(open_desk(rooms, changed), rooms.pager)


def open_wishes(rooms: Rooms, *, offer: Offer = NO_ENGINES) -> Wishes:
    """Return endpoints, beside a model "m" of one version, without its bytes."""
    rooms.insert("m", VersionSpec("m", artifact_uri=URI), ARTIFACT)
    return wishes_over(rooms, offer=offer)


def wishes_over(rooms: Rooms, *, offer: Offer = NO_ENGINES) -> Wishes:
    """Return endpoints over the models there are."""
    changes: list[EndpointName] = []
    at = open_desk(rooms, changes.append)
    deployments = Deployments(at, offer)
    return Wishes(rooms, Endpoints(at, rooms.pager), deployments, changes)
