"""The verbs on what is deployed: they write wishes; the reconciler grants them."""

import dataclasses
from collections.abc import Mapping

from homeport.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.metadata import endpoint_rows, traffic_rows
from homeport.metadata.database import Transaction
from homeport.metadata.endpoint_rows import Deployment
from homeport.registry import catalog
from homeport.resources.change import ANONYMOUS
from homeport.resources.endpoint import (
    PLACEHOLDER_ID,
    DeployedModel,
    DeployState,
    Endpoint,
    check_split,
)
from homeport.resources.model import ModelVersion
from homeport.resources.names import EndpointName, check_deployed_model_id
from homeport.resources.operation import Operation, OperationKind
from homeport.resources.traffic import TrafficState
from homeport.serving import (
    chronicle,
    desk,
    engines,
    machines,
    machinetypes,
    scalings,
)
from homeport.serving.desk import Desk
from homeport.serving.engines import Offer
from homeport.serving.specs import DeployedModelPatch, DeploySpec


class Deployments:
    """What is wanted to be deployed.

    The verbs block on the database and are called on threads; each tells the desk of
    the endpoint that it changed.

    Args:
        at: Where it is written.
        offer: What this server offers to deployments.
    """

    def __init__(self, at: Desk, offer: Offer) -> None:
        self._at = at
        self._offer = offer

    def deploy(
        self, name: EndpointName, spec: DeploySpec, *, caller: str = ANONYMOUS
    ) -> Operation:
        """Want a version served; the operation ends when its replicas answer.

        Raises:
            NotFoundError: No such endpoint or version.
            InvalidArgumentError: A split, id, machine type or replica count breaks its
                rules.
            AlreadyExistsError: The chosen id is taken.
            FailedPreconditionError: The version has nothing our worker can serve, or
                the host lacks what is asked for and that is to be refused.
            UnimplementedError: The version needs its own container.
        """
        host = machines.this_host()
        machines.check_resources(spec.resources, host)
        machinetypes.check_form(spec.resources.machine_type)
        scalings.check_targets(spec.resources)
        lacking = machines.shortages(spec.resources, host)
        lacking += scalings.shortages(spec.resources)
        if lacking and self._offer.strict_resources:
            raise FailedPreconditionError("; ".join(lacking))
        if spec.deployed_model_id:
            check_deployed_model_id(spec.deployed_model_id)
        with self._at.database.transaction() as transaction:
            endpoint = desk.require(transaction, name)
            version = catalog.resolve(transaction, spec.model)
            engines.check_servable(version, spec.resources, self._offer)
            check_split(
                spec.traffic_split, desk.serving_ids(endpoint) | {PLACEHOLDER_ID}
            )
            deployed = self._deployed_model(transaction, name, version, spec)
            operation = self._at.promise(
                transaction,
                OperationKind.DEPLOY_MODEL,
                name,
                spec.warnings + lacking,
                caller=caller,
            )
            self._want(
                transaction,
                Deployment(
                    deployed,
                    spec.traffic_split,
                    operation.name,
                    endpoint.traffic_split,
                ),
                caller,
            )
        self._at.changed(name)
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
        with self._at.database.transaction() as transaction:
            endpoint = desk.require(transaction, name)
            deployed = _serving(transaction, endpoint, deployed_id)
            left = _split_without(endpoint, deployed_id, split)
            operation = self._at.promise(
                transaction, OperationKind.UNDEPLOY_MODEL, name
            )
            endpoint_rows.set_state(
                transaction, deployed_id, DeployState.UNDEPLOYING, operation.name
            )
            changed = dataclasses.replace(endpoint, traffic_split=left)
            self._at.replace(transaction, endpoint, changed, caller)
            journal = self._at.journal(transaction, caller)
            chronicle.note_undeployed(journal, deployed)
        self._at.changed(name)
        return operation

    def mutate(
        self,
        name: EndpointName,
        deployed_id: str,
        patch: DeployedModelPatch,
        *,
        caller: str = ANONYMOUS,
    ) -> Operation:
        """Change what a deployed model asks of the machine, while it serves.

        The operation has ended when this returns; replicas follow.

        Raises:
            NotFoundError: No such endpoint or deployed model.
            FailedPreconditionError: It is being deployed or undeployed, or the host
                lacks what is asked for and that is to be refused.
            InvalidArgumentError: A replica count, or another machine type, breaks its
                rules.
        """
        host = machines.this_host()
        with self._at.database.transaction() as transaction:
            endpoint = desk.require(transaction, name)
            before = _serving(transaction, endpoint, deployed_id)
            resources = dataclasses.replace(
                before.resources,
                **patch.resources,
                kept={**before.resources.kept, **patch.kept_resources},
            )
            machines.check_resources(resources, host)
            # One that is kept may be older than the rule.
            if resources.machine_type != before.resources.machine_type:
                machinetypes.check_form(resources.machine_type)
            scalings.check_targets(resources)
            lacking = machines.shortages(resources, host)
            lacking += scalings.shortages(resources)
            if lacking and self._offer.strict_resources:
                raise FailedPreconditionError("; ".join(lacking))
            kept = {**before.kept, **patch.kept}
            after = dataclasses.replace(before, resources=resources, kept=kept)
            endpoint_rows.set_resources(transaction, after)
            chronicle.note_mutated(self._at.journal(transaction, caller), before, after)
            operation = self._at.operations.fulfil(
                transaction,
                self._at.promise(
                    transaction,
                    OperationKind.MUTATE_DEPLOYED_MODEL,
                    name,
                    patch.warnings + lacking,
                ),
                {"deployed_model": deployed_id},
            )
        self._at.changed(name)
        return operation

    def roll_back(
        self, name: EndpointName, number: int = 0, *, caller: str = ANONYMOUS
    ) -> tuple[TrafficState, list[Operation]]:
        """Want an earlier traffic state again; return it and what has to be waited for.

        Without operations the split is in place. Else what had traffic and is gone is
        being deployed again, under its old id, and the last of them brings the split.

        Args:
            name: The endpoint.
            number: Of the state, 0 for the one before the newest.
            caller: Who asks, for the history.

        Raises:
            NotFoundError: No such endpoint or state, or a version of it is gone.
            FailedPreconditionError: A model of it is being deployed or undeployed.
        """
        with self._at.database.transaction() as transaction:
            endpoint = desk.require(transaction, name)
            state = _state(transaction, name, number)
            missing = sorted(state.models.keys() - desk.serving_ids(endpoint))
            promised = []
            for deployed_id in missing:
                deployed = self._once_more(transaction, name, deployed_id, state)
                operation = self._at.promise(
                    transaction, OperationKind.DEPLOY_MODEL, name, caller=caller
                )
                wish = Deployment(
                    deployed, state.split, operation.name, endpoint.traffic_split
                )
                self._want(transaction, wish, caller)
                promised.append(operation)
            if not missing:
                changed = dataclasses.replace(endpoint, traffic_split=state.split)
                self._at.replace(transaction, endpoint, changed, caller)
        self._at.changed(name)
        return state, promised

    def _once_more(
        self,
        transaction: Transaction,
        name: EndpointName,
        deployed_id: str,
        state: TrafficState,
    ) -> DeployedModel:
        placed = state.models[deployed_id]
        spec = DeploySpec(
            placed.version,
            state.split,
            deployed_id,
            placed.display_name,
            placed.resources,
            placed.kept,
        )
        busy = endpoint_rows.get_deployment(transaction, deployed_id)
        if busy is not None:
            raise FailedPreconditionError(
                f"deployed model {deployed_id} is {busy.deployed_model.state}: wait "
                "for that to end, then roll back",
                resource=str(name),
            )
        version = catalog.resolve(transaction, placed.version)
        engines.check_servable(version, placed.resources, self._offer)
        return self._deployed_model(transaction, name, version, spec)

    def _want(
        self, transaction: Transaction, deployment: Deployment, caller: str
    ) -> None:
        endpoint_rows.insert_deployment(transaction, deployment)
        journal = self._at.journal(transaction, caller)
        split = deployment.wanted_split
        chronicle.note_deployed(journal, deployment.deployed_model, split)

    def _deployed_model(
        self,
        transaction: Transaction,
        name: EndpointName,
        version: ModelVersion,
        spec: DeploySpec,
    ) -> DeployedModel:
        deployed_id = spec.deployed_model_id or self._at.new_id()
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
            create_time=self._at.now(),
        )


def _serving(
    transaction: Transaction, endpoint: Endpoint, deployed_id: str
) -> DeployedModel:
    """Return a deployed model that is neither coming nor going.

    Raises:
        NotFoundError: No such deployed model.
        FailedPreconditionError: It is being deployed or undeployed.
    """
    deployment = endpoint_rows.get_deployment(transaction, deployed_id)
    if deployment is None or deployment.deployed_model.endpoint != endpoint.name:
        raise NotFoundError(
            f"{endpoint.name} has no deployed model {deployed_id!r}; it has "
            f"{sorted(desk.serving_ids(endpoint))}"
        )
    deployed = deployment.deployed_model
    if deployed.state is not DeployState.DEPLOYED:
        raise FailedPreconditionError(
            f"deployed model {deployed_id} is {deployed.state}: wait for that to end"
        )
    return deployed


def _state(transaction: Transaction, name: EndpointName, number: int) -> TrafficState:
    """Return a state by its number, or the one before the newest."""
    newest = traffic_rows.newest(transaction, name, 2)
    if number:
        found = traffic_rows.get(transaction, name, number)
    else:
        found = newest[1] if len(newest) > 1 else None
    if found is not None:
        return found
    kept = f"it has 1 to {newest[0].number}" if newest else "it never had traffic"
    asked = f"no traffic state {number}" if number else "no earlier traffic state"
    raise NotFoundError(f"{name} has {asked}: {kept}", resource=str(name))


def _split_without(
    endpoint: Endpoint, deployed_id: str, split: Mapping[str, int]
) -> dict[str, int]:
    """Return the endpoint's split after an undeploy."""
    others = desk.serving_ids(endpoint) - {deployed_id}
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
