"""What the verbs on endpoints have in common: the rows, the time, and who is told."""

import dataclasses
import datetime as dt
from collections.abc import Callable

from homeport.errors import NotFoundError
from homeport.metadata import endpoint_rows
from homeport.metadata.database import Database, Transaction
from homeport.registry.journal import Journal
from homeport.registry.operations import Operations
from homeport.resources.change import SERVER
from homeport.resources.endpoint import DeployState, Endpoint
from homeport.resources.names import EndpointName
from homeport.resources.operation import Operation, OperationKind
from homeport.serving import chronicle


@dataclasses.dataclass(frozen=True, slots=True)
class Desk:
    """Where wishes for endpoints are written.

    Attributes:
        database: Where they are written.
        operations: The ledger of promises.
        changed: Told the endpoint whose rows changed; returns when routing follows.
        now: The time, aware.
        new_id: Makes an id that was never used.
    """

    database: Database
    operations: Operations
    changed: Callable[[EndpointName], None]
    now: Callable[[], dt.datetime]
    new_id: Callable[[], str]

    def promise(
        self,
        transaction: Transaction,
        kind: OperationKind,
        name: EndpointName,
        warnings: tuple[str, ...] = (),
        *,
        caller: str = SERVER,
    ) -> Operation:
        """Write an operation on an endpoint that has not ended."""
        return self.operations.promise(
            transaction,
            kind,
            name.parent,
            f"endpoints/{name.endpoint}",
            warnings=warnings,
            caller=caller,
        )

    def journal(self, transaction: Transaction, caller: str) -> Journal:
        """Return where the history of a transaction is noted."""
        return Journal(transaction, caller, self.now())

    def replace(
        self,
        transaction: Transaction,
        endpoint: Endpoint,
        changed: Endpoint,
        caller: str,
    ) -> Endpoint:
        """Write an endpoint that is not as it was; return it with a new etag."""
        stamped = dataclasses.replace(
            changed, etag=self.new_id(), update_time=self.now()
        )
        endpoint_rows.update(transaction, stamped)
        journal = self.journal(transaction, caller)
        chronicle.note(journal, endpoint.name, endpoint, stamped)
        return stamped


def require(transaction: Transaction, name: EndpointName) -> Endpoint:
    """Return an endpoint.

    Raises:
        NotFoundError: No such endpoint.
    """
    endpoint = endpoint_rows.get(transaction, name)
    if endpoint is None:
        raise NotFoundError(f"endpoint {name} was not found", resource=str(name))
    return endpoint


def serving_ids(endpoint: Endpoint) -> frozenset[str]:
    """Return the ids of the deployed models that may have traffic."""
    return frozenset(
        one.id for one in endpoint.deployed_models if one.state is DeployState.DEPLOYED
    )
