"""The verbs on endpoints: they write what is wanted; the reconciler makes it so."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final

from homeport.errors import (
    AbortedError,
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.metadata import endpoint_rows
from homeport.metadata.database import Database, Transaction
from homeport.metadata.endpoint_rows import Deployment
from homeport.registry import catalog
from homeport.registry.journal import Journal
from homeport.registry.operations import Operations
from homeport.registry.paging import Pager, PageRequest
from homeport.resources.change import ANONYMOUS
from homeport.resources.endpoint import (
    PLACEHOLDER_ID,
    DeployedModel,
    DeployState,
    Endpoint,
    check_split,
)
from homeport.resources.model import ModelVersion, check_display_name, check_labels
from homeport.resources.names import (
    EndpointName,
    Parent,
    check_deployed_model_id,
    check_endpoint_id,
)
from homeport.resources.operation import Operation, OperationKind
from homeport.serving import chronicle, engines, machines, scalings
from homeport.serving.engines import Offer
from homeport.serving.specs import DeploySpec, EndpointPatch, EndpointSpec

_ENDPOINT_ORDER: Final = ("display_name", "create_time", "update_time")


class Endpoints:
    """What is wanted of endpoints.

    The verbs block on the database and are called on threads; `changed` is called after
    each that changes what should run, and returns when routing follows it.

    Args:
        database: Where it is written.
        operations: The ledger of promises.
        pager: Cuts lists into pages.
        changed: Told the endpoint whose rows changed.
        clock: The time, aware, and a maker of ids that were never used.
        offer: What this server offers to deployments.
    """

    def __init__(
        self,
        database: Database,
        operations: Operations,
        pager: Pager,
        changed: Callable[[EndpointName], None],
        clock: tuple[Callable[[], dt.datetime], Callable[[], str]],
        offer: Offer,
    ) -> None:
        self._database = database
        self._operations = operations
        self._pager = pager
        self._changed = changed
        self._now, self._new_id = clock
        self._offer = offer

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
        name = EndpointName(parent, endpoint_id or self._new_id())
        now = self._now()
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
            etag=self._new_id(),
        )
        with self._database.transaction() as transaction:
            if endpoint_rows.get(transaction, name) is not None:
                raise AlreadyExistsError(
                    f"endpoint {name} already exists", resource=str(name)
                )
            endpoint_rows.insert(transaction, endpoint)
            chronicle.note(self._journal(transaction, caller), name, None, endpoint)
            operation = self._promise(
                transaction, OperationKind.CREATE_ENDPOINT, name, spec.warnings
            )
            operation = self._operations.fulfil(
                transaction, operation, {"endpoint": str(name)}
            )
        self._changed(name)
        return operation

    def get(self, name: EndpointName) -> Endpoint:
        """Return an endpoint.

        Raises:
            NotFoundError: No such endpoint.
        """
        with self._database.snapshot() as transaction:
            return _require(transaction, name)

    def list_endpoints(
        self, parent: Parent, request: PageRequest
    ) -> tuple[list[Endpoint], str]:
        """Return one page of endpoints and the next token.

        Raises:
            InvalidArgumentError: A bad filter, order, page size or token.
        """
        with self._database.snapshot() as transaction:
            return self._pager.page(
                request,
                _ENDPOINT_ORDER,
                lambda page: endpoint_rows.list_page(transaction, parent, page),
                endpoint_rows.position,
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
        with self._database.transaction() as transaction:
            endpoint = _require(transaction, name)
            if patch.etag and patch.etag != endpoint.etag:
                # AIP-154: a stale etag is ABORTED.
                raise AbortedError(
                    f"{name} was changed since etag {patch.etag!r} was read: read it "
                    "again and retry",
                    resource=str(name),
                )
            check_split(given.get("traffic_split", {}), _ids(endpoint))
            updated = self._stamped(dataclasses.replace(endpoint, **given))
            endpoint_rows.update(transaction, updated)
            journal = self._journal(transaction, caller)
            chronicle.note(journal, name, endpoint, updated)
        self._changed(name)
        return updated

    def delete(self, name: EndpointName, *, caller: str = ANONYMOUS) -> Operation:
        """Delete an endpoint without deployed models.

        Raises:
            NotFoundError: No such endpoint.
            FailedPreconditionError: Models are deployed, or being deployed, to it.
        """
        with self._database.transaction() as transaction:
            endpoint = _require(transaction, name)
            deployments = endpoint_rows.deployments(transaction, name)
            if deployments:
                ids = ", ".join(one.deployed_model.id for one in deployments)
                raise FailedPreconditionError(
                    f"{name} has deployed models {ids}: undeploy them first",
                    resource=str(name),
                )
            endpoint_rows.delete(transaction, name)
            chronicle.note(self._journal(transaction, caller), name, endpoint, None)
            operation = self._operations.fulfil(
                transaction,
                self._promise(transaction, OperationKind.DELETE_ENDPOINT, name),
                {},
            )
        self._changed(name)
        return operation

    def deploy(
        self, name: EndpointName, spec: DeploySpec, *, caller: str = ANONYMOUS
    ) -> Operation:
        """Want a version served; the operation ends when its replicas answer.

        Raises:
            NotFoundError: No such endpoint or version.
            InvalidArgumentError: A split, id or replica count breaks its rules.
            AlreadyExistsError: The chosen id is taken.
            FailedPreconditionError: The version has nothing our worker can serve, or
                the host lacks what is asked for and that is to be refused.
            UnimplementedError: The version needs its own container.
        """
        host = machines.this_host()
        machines.check_resources(spec.resources, host)
        scalings.check_targets(spec.resources)
        lacking = machines.shortages(spec.resources, host)
        lacking += scalings.shortages(spec.resources)
        if lacking and self._offer.strict_resources:
            raise FailedPreconditionError("; ".join(lacking))
        if spec.deployed_model_id:
            check_deployed_model_id(spec.deployed_model_id)
        with self._database.transaction() as transaction:
            endpoint = _require(transaction, name)
            version = catalog.resolve(transaction, spec.model)
            engines.check_servable(version, spec.resources, self._offer)
            check_split(spec.traffic_split, _ids(endpoint) | {PLACEHOLDER_ID})
            deployed = self._deployed_model(transaction, name, version, spec)
            operation = self._promise(
                transaction, OperationKind.DEPLOY_MODEL, name, spec.warnings + lacking
            )
            endpoint_rows.insert_deployment(
                transaction, Deployment(deployed, spec.traffic_split, operation.name)
            )
            journal = self._journal(transaction, caller)
            chronicle.note_deployed(journal, deployed, spec.traffic_split)
        self._changed(name)
        return operation

    def undeploy(
        self,
        name: EndpointName,
        deployed_id: str,
        split: Mapping[str, int],
        *,
        caller: str = ANONYMOUS,
    ) -> Operation:
        """Want a deployed model gone; the operation ends when its replicas have.

        Args:
            name: The endpoint.
            deployed_id: The deployed model.
            split: The endpoint's split without it; empty only if it has no traffic, or
                is the last one.
            caller: Who asks, for the history.

        Raises:
            NotFoundError: No such endpoint or deployed model.
            FailedPreconditionError: It has traffic that `split` does not take away.
            InvalidArgumentError: The split breaks its rules.
        """
        with self._database.transaction() as transaction:
            endpoint = _require(transaction, name)
            deployment = endpoint_rows.get_deployment(transaction, deployed_id)
            if deployment is None or deployment.deployed_model.endpoint != name:
                raise NotFoundError(
                    f"{name} has no deployed model {deployed_id!r}; it has "
                    f"{sorted(_ids(endpoint))}"
                )
            if deployment.deployed_model.state is not DeployState.DEPLOYED:
                raise FailedPreconditionError(
                    f"deployed model {deployed_id} is "
                    f"{deployment.deployed_model.state}: wait for that to end"
                )
            left = _split_without(endpoint, deployed_id, split)
            operation = self._promise(transaction, OperationKind.UNDEPLOY_MODEL, name)
            endpoint_rows.set_state(
                transaction, deployed_id, DeployState.UNDEPLOYING, operation.name
            )
            updated = self._stamped(dataclasses.replace(endpoint, traffic_split=left))
            endpoint_rows.update(transaction, updated)
            journal = self._journal(transaction, caller)
            chronicle.note(journal, name, endpoint, updated)
            chronicle.note_undeployed(journal, deployment.deployed_model)
        self._changed(name)
        return operation

    def _promise(
        self,
        transaction: Transaction,
        kind: OperationKind,
        name: EndpointName,
        warnings: tuple[str, ...] = (),
    ) -> Operation:
        return self._operations.promise(
            transaction,
            kind,
            name.parent,
            f"endpoints/{name.endpoint}",
            warnings=warnings,
        )

    def _journal(self, transaction: Transaction, caller: str) -> Journal:
        return Journal(transaction, caller, self._now())

    def _deployed_model(
        self,
        transaction: Transaction,
        name: EndpointName,
        version: ModelVersion,
        spec: DeploySpec,
    ) -> DeployedModel:
        deployed_id = spec.deployed_model_id or self._new_id()
        if endpoint_rows.get_deployment(transaction, deployed_id) is not None:
            raise AlreadyExistsError(
                f"deployed model id {deployed_id} is taken: choose another or leave it "
                "out"
            )
        return DeployedModel(
            id=deployed_id,
            endpoint=name,
            version=version.name,
            display_name=spec.display_name or version.display_name,
            model_display_name=version.display_name,
            resources=spec.resources,
            kept=spec.kept,
            state=DeployState.DEPLOYING,
            create_time=self._now(),
        )

    def _stamped(self, endpoint: Endpoint) -> Endpoint:
        return dataclasses.replace(
            endpoint, etag=self._new_id(), update_time=self._now()
        )


def _require(transaction: Transaction, name: EndpointName) -> Endpoint:
    endpoint = endpoint_rows.get(transaction, name)
    if endpoint is None:
        raise NotFoundError(f"endpoint {name} was not found", resource=str(name))
    return endpoint


def _ids(endpoint: Endpoint) -> frozenset[str]:
    return frozenset(
        one.id for one in endpoint.deployed_models if one.state is DeployState.DEPLOYED
    )


def _split_without(
    endpoint: Endpoint, deployed_id: str, split: Mapping[str, int]
) -> dict[str, int]:
    """Return the endpoint's split after an undeploy."""
    others = _ids(endpoint) - {deployed_id}
    if split:
        if split.get(deployed_id, 0):
            raise InvalidArgumentError(
                f"traffic_split still gives {split[deployed_id]} percent to the model "
                "being undeployed"
            )
        check_split(split, others | {deployed_id})
        return {key: share for key, share in split.items() if key != deployed_id}
    if not others:
        return {}
    if endpoint.traffic_split.get(deployed_id, 0):
        raise FailedPreconditionError(
            f"deployed model {deployed_id} still has traffic: name a traffic_split "
            "that gives it to the others",
            resource=str(endpoint.name),
        )
    return {
        key: share
        for key, share in endpoint.traffic_split.items()
        if key != deployed_id
    }
