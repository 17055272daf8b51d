"""The verbs on endpoints themselves; those on what is deployed are in `deployments`."""

import dataclasses
import math
from typing import Final

from homeport.errors import (
    AbortedError,
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
)
from homeport.metadata import endpoint_rows, traffic_rows
from homeport.registry.paging import Pager, PageRequest
from homeport.resources.change import ANONYMOUS
from homeport.resources.endpoint import (
    Endpoint,
    check_connection,
    check_split,
    connection_warnings,
)
from homeport.resources.labels import check_labels
from homeport.resources.model import check_display_name
from homeport.resources.names import EndpointName, Parent, check_endpoint_id
from homeport.resources.operation import Operation, OperationKind
from homeport.resources.traffic import TrafficState
from homeport.serving import chronicle, desk
from homeport.serving.desk import Desk
from homeport.serving.specs import EndpointPatch, EndpointSpec

_ENDPOINT_ORDER: Final = ("display_name", "create_time", "update_time")
# UpdateEndpointLongRunning (aiplatform v1) changes this one field.
_LONG_UPDATED: Final = "client_connection_config"


class Endpoints:
    """What is wanted of endpoints.

    The verbs block on the database and are called on threads; `changed` is called after
    each that changes what should run, and returns when routing follows it.

    Args:
        at: Where it is written.
        pager: Cuts lists into pages.
        deadline_s: The server's own, which no endpoint's exceeds.
    """

    def __init__(self, at: Desk, pager: Pager, deadline_s: float = math.inf) -> None:
        self._at = at
        self._pager = pager
        self._deadline_s = deadline_s

    def create(
        self,
        parent: Parent,
        spec: EndpointSpec,
        endpoint_id: str = "",
        *,
        caller: str = ANONYMOUS,
    ) -> Operation:
        """Create an endpoint; the operation has ended when this returns.

        Raises:
            InvalidArgumentError: A name, label or id breaks its rules.
            AlreadyExistsError: The chosen id is taken.
        """
        check_display_name(spec.display_name)
        check_labels(spec.labels)
        if endpoint_id:
            check_endpoint_id(endpoint_id)
        check_connection(spec.kept)
        name = EndpointName(parent, endpoint_id or self._at.new_id())
        now = self._at.now()
        endpoint = Endpoint(
            name=name,
            display_name=spec.display_name,
            description=spec.description,
            labels=spec.labels,
            deployed_models=(),
            traffic_split={},
            kept=spec.kept,
            create_time=now,
            update_time=now,
            etag=self._at.new_id(),
        )
        with self._at.database.transaction() as transaction:
            if endpoint_rows.get(transaction, name) is not None:
                raise AlreadyExistsError(
                    f"endpoint {name} already exists", resource=str(name)
                )
            endpoint_rows.insert(transaction, endpoint)
            chronicle.note(self._at.journal(transaction, caller), name, None, endpoint)
            operation = self._at.promise(
                transaction, OperationKind.CREATE_ENDPOINT, name, self._warnings(spec)
            )
            operation = self._at.operations.fulfil(
                transaction, operation, {"endpoint": str(name)}
            )
        self._at.changed(name)
        return operation

    def get(self, name: EndpointName) -> Endpoint:
        """Return an endpoint.

        Raises:
            NotFoundError: No such endpoint.
        """
        with self._at.database.snapshot() as transaction:
            return desk.require(transaction, name)

    def list_endpoints(
        self, parent: Parent, request: PageRequest
    ) -> tuple[list[Endpoint], str]:
        """Return one page of endpoints and the next token.

        Raises:
            InvalidArgumentError: A bad filter, order, page size or token.
        """
        with self._at.database.snapshot() as transaction:
            return self._pager.page(
                request,
                _ENDPOINT_ORDER,
                lambda page: endpoint_rows.list_page(transaction, parent, page),
                endpoint_rows.position,
            )

    def traffic_states(
        self, name: EndpointName, request: PageRequest
    ) -> tuple[list[TrafficState], str]:
        """Return one page of the traffic an endpoint had, and the next token.

        The newest state is the first.

        Raises:
            NotFoundError: No such endpoint.
            InvalidArgumentError: A bad filter, page size or token.
        """
        query = dataclasses.replace(request.query, order_by="state desc")
        with self._at.database.snapshot() as transaction:
            desk.require(transaction, name)
            return self._pager.page(
                dataclasses.replace(request, query=query),
                ("state",),
                lambda page: traffic_rows.list_page(transaction, name, page),
                traffic_rows.position,
            )

    def update(
        self, name: EndpointName, patch: EndpointPatch, *, caller: str = ANONYMOUS
    ) -> Endpoint:
        """Replace fields of an endpoint; return it as it now stands.

        Raises:
            NotFoundError: No such endpoint.
            AbortedError: Somebody changed it since the etag was read.
            InvalidArgumentError: A name, label or split breaks its rules.
        """
        if patch.display_name is not None:
            check_display_name(patch.display_name)
        check_labels(patch.labels or {})
        given = {
            field: value
            for field in ("display_name", "description", "labels", "traffic_split")
            if (value := getattr(patch, field)) is not None
        }
        with self._at.database.transaction() as transaction:
            endpoint = desk.require(transaction, name)
            _check_etag(endpoint, patch.etag)
            check_split(given.get("traffic_split", {}), desk.serving_ids(endpoint))
            updated = self._at.replace(
                transaction, endpoint, dataclasses.replace(endpoint, **given), caller
            )
        self._at.changed(name)
        return updated

    def update_connection(
        self,
        name: EndpointName,
        spec: EndpointSpec,
        etag: str = "",
        *,
        caller: str = ANONYMOUS,
    ) -> Operation:
        """Replace an endpoint's connection settings; the operation has ended.

        Args:
            name: The endpoint.
            spec: As it is to be; what is not set is left alone.
            etag: The one read before, "" to overwrite whatever is there.
            caller: Who asks, for the history.

        Raises:
            NotFoundError: No such endpoint.
            AbortedError: Somebody changed it since the etag was read.
            InvalidArgumentError: Anything else differs from what is there, or the
                timeout is no duration.
        """
        check_connection(spec.kept)
        with self._at.database.transaction() as transaction:
            endpoint = desk.require(transaction, name)
            _check_etag(endpoint, etag)
            _check_only_connection(endpoint, spec)
            kept = {**endpoint.kept, _LONG_UPDATED: spec.kept.get(_LONG_UPDATED)}
            kept = {field: value for field, value in kept.items() if value is not None}
            changed = dataclasses.replace(endpoint, kept=kept)
            self._at.replace(transaction, endpoint, changed, caller)
            operation = self._at.promise(
                transaction, OperationKind.UPDATE_ENDPOINT, name, self._warnings(spec)
            )
            operation = self._at.operations.fulfil(
                transaction, operation, {"endpoint": str(name)}
            )
        self._at.changed(name)
        return operation

    def _warnings(self, spec: EndpointSpec) -> tuple[str, ...]:
        return spec.warnings + connection_warnings(spec.kept, self._deadline_s)

    def delete(self, name: EndpointName, *, caller: str = ANONYMOUS) -> Operation:
        """Delete an endpoint without deployed models.

        Raises:
            NotFoundError: No such endpoint.
            FailedPreconditionError: Models are deployed, or being deployed, to it.
        """
        with self._at.database.transaction() as transaction:
            endpoint = desk.require(transaction, name)
            deployments = endpoint_rows.deployments(transaction, name)
            if deployments:
                ids = ", ".join(one.deployed_model.id for one in deployments)
                raise FailedPreconditionError(
                    f"{name} has deployed models {ids}: undeploy them first",
                    resource=str(name),
                )
            endpoint_rows.delete(transaction, name)
            chronicle.note(self._at.journal(transaction, caller), name, endpoint, None)
            operation = self._at.operations.fulfil(
                transaction,
                self._at.promise(transaction, OperationKind.DELETE_ENDPOINT, name),
                {},
            )
        self._at.changed(name)
        return operation


def _check_etag(endpoint: Endpoint, etag: str) -> None:
    if etag and etag != endpoint.etag:
        # AIP-154: a stale etag is ABORTED.
        raise AbortedError(
            f"{endpoint.name} was changed since etag {etag!r} was read: read it again "
            "and retry",
            resource=str(endpoint.name),
        )


def _check_only_connection(endpoint: Endpoint, spec: EndpointSpec) -> None:
    differing = [
        field
        for field in ("display_name", "description", "labels")
        if getattr(spec, field) and getattr(spec, field) != getattr(endpoint, field)
    ]
    differing += [
        field
        for field, value in spec.kept.items()
        if field != _LONG_UPDATED and value != endpoint.kept.get(field)
    ]
    if differing:
        raise InvalidArgumentError(
            f":update would change {', '.join(sorted(differing))}: it changes "
            f"{_LONG_UPDATED} alone, PATCH the endpoint for what can be changed"
        )
