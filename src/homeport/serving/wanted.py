"""What the rows want of serving, and the record of what came of it.

The reconciler's half that blocks: each method is one look or one transaction.
"""

import dataclasses
import datetime as dt
import functools
import pathlib
from collections.abc import Callable, Collection

from homeport.checking import report as reports
from homeport.checking.ending import Ending
from homeport.checking.report import Stage, StageName
from homeport.errors import (
    AbortedError,
    FailedPreconditionError,
)
from homeport.metadata import check_rows, endpoint_rows, model_rows, operation_rows
from homeport.metadata.database import Database, Transaction
from homeport.metadata.endpoint_rows import Deployment
from homeport.registry import catalog, configuration, damage
from homeport.registry.artifacts import Artifacts
from homeport.registry.journal import Journal
from homeport.registry.latelocks import LateLocks
from homeport.registry.operations import Operations
from homeport.resources.change import SERVER
from homeport.resources.check import Check
from homeport.resources.endpoint import (
    DedicatedResources,
    DeployedModel,
    DeployState,
    Endpoint,
)
from homeport.resources.model import Artifact, ContainerSpec, ModelVersion
from homeport.resources.names import EndpointName, ModelName, OperationName
from homeport.resources.operation import DeployStage, Operation
from homeport.resources.torchserve import TorchServeWords
from homeport.serving import broughtsplit, chronicle, contract, engines
from homeport.serving.runtime import Launch


@dataclasses.dataclass(frozen=True, slots=True)
class Stores:
    """Where the reconciler reads what is wanted and writes what came of it.

    Attributes:
        late_locks: Locks versions with requirements that came without a lock, None
            where these run in the server's environment.
    """

    database: Database
    operations: Operations
    artifacts: Artifacts
    log_dir: pathlib.Path
    now: Callable[[], dt.datetime]
    late_locks: LateLocks | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class LaidOut:
    """What replicas of a version are started from.

    Attributes:
        launch: Without its lock where that is still to be made.
        make_lock: Makes it and returns it; blocks as long as a check takes, unless that
            is ended. None where there is none to make.
    """

    launch: Launch
    make_lock: Callable[[Ending], str] | None = None


class Wanted:
    """Reads what is wanted and writes what came of it.

    Args:
        stores: Where.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def all_operations(self) -> frozenset[OperationName]:
        """Return the operation of every deployed model, in whatever state it is."""
        with self._stores.database.snapshot() as transaction:
            deployments = endpoint_rows.deployments(transaction)
        return frozenset(one.operation for one in deployments)

    def all_endpoints(self) -> list[EndpointName]:
        """Return the name of every endpoint."""
        with self._stores.database.snapshot() as transaction:
            return endpoint_rows.all_names(transaction)

    def states(self) -> dict[EndpointName, str]:
        """Return what tells for each endpoint whether its rows have changed."""
        with self._stores.database.snapshot() as transaction:
            return endpoint_rows.states(transaction)

    def read(
        self, name: EndpointName
    ) -> tuple[Endpoint | None, list[Deployment], frozenset[str]]:
        """Return an endpoint, None if it is gone, and what is deployed to it.

        The last are the ids of those that another server deploys or undeploys.
        """
        own = self._stores.operations.owner
        with self._stores.database.snapshot() as transaction:
            deployments = endpoint_rows.deployments(transaction, name)
            foreign = frozenset(
                one.deployed_model.id
                for one in deployments
                if one.deployed_model.state is not DeployState.DEPLOYED
                and operation_rows.owner(transaction, one.operation) != own
            )
            return endpoint_rows.get(transaction, name), deployments, foreign

    def lay_out(
        self,
        name: ModelName,
        load_timeout_s: float,
        asked_by: DeployedModel | DedicatedResources,
    ) -> LaidOut:
        """Return what replicas of a version are started from, laid out.

        Args:
            name: The version.
            load_timeout_s: How long a replica may take to load it.
            asked_by: Where it is deployed, or what a job asks of the machine.

        Raises:
            HomeportError: The version is gone, its archive cannot be laid out, or its
                check found that its requirements cannot be met here.
        """
        with self._stores.database.snapshot() as transaction:
            version = catalog.resolve(transaction, name)
            lock = model_rows.get_lock(transaction, version.name)
            check = check_rows.get(transaction, version.name)
        artifacts, artifact = self._stores.artifacts, version.artifact
        platform = _platform(name, asked_by, version.container)
        if not engines.is_ours(version.container):
            with damage.named(str(version.name)):
                folder = artifacts.lay_out_files(artifact) if artifact else None
            launch = Launch(
                # Programs change their directory, and engines have another.
                folder.absolute() if folder else None,
                configuration.environment(version.container),
                load_timeout_s,
                platform=platform,
                container=version.container,
            )
            return LaidOut(launch)
        if artifact is None:
            raise RuntimeError(f"{name} was taken to serve without an artifact")
        if not lock:
            _refuse_unmet(version.name, check)
        with damage.named(str(version.name)):
            model_dir = artifacts.lay_out(artifact).absolute()
            launch = Launch(
                model_dir,
                configuration.environment(version.container),
                load_timeout_s,
                lock=lock,
                server_config=configuration.beside(artifacts, artifact),
                platform=platform,
            )
            if lock or not configuration.has_requirements(model_dir):
                return LaidOut(launch)
            return LaidOut(launch, self._lock_maker(version, artifact, check))

    def _lock_maker(
        self, version: ModelVersion, artifact: Artifact, check: Check | None
    ) -> Callable[[Ending], str] | None:
        """Return what locks a version, None where none asks for its requirements."""
        late_locks = self._stores.late_locks
        if late_locks is None:
            return None
        _refuse_unread(version.name, check)
        return functools.partial(late_locks.make, version, artifact)

    def words(self, deployed: DeployedModel) -> TorchServeWords:
        """Return what TorchServe's configuration says of a deployed model's version.

        Raises:
            NotFoundError: The version is gone.
        """
        with self._stores.database.snapshot() as transaction:
            return catalog.resolve(transaction, deployed.version).torchserve

    def record_deployed(self, deployment: Deployment) -> None:
        """Write, all at once, that a model serves and the split it came for.

        Nothing is written if another server has: one of the two had taken it over.

        Raises:
            AbortedError: Somebody else changed the endpoint's split meanwhile, or what
                is deployed by that id now is another deployment.
            InvalidArgumentError: The endpoint has changed so that the split cannot be.
        """
        deployed = deployment.deployed_model
        with self._stores.database.transaction() as transaction:
            found = endpoint_rows.get_deployment(transaction, deployed.id)
            if found is None or found.operation != deployment.operation:
                raise _replaced(deployment)
            if _is_recorded(found):
                return
            endpoint_rows.set_state(transaction, deployed.id, DeployState.DEPLOYED)
            endpoint = endpoint_rows.get(transaction, deployed.endpoint)
            if endpoint is None:
                raise RuntimeError(f"{deployed.endpoint} vanished under a deployment")
            coming = frozenset(
                one.deployed_model.id
                for one in endpoint_rows.deployments(transaction, deployed.endpoint)
                if one.deployed_model.state is DeployState.DEPLOYING
                and one.wanted_split == deployment.wanted_split
            )
            changed = dataclasses.replace(
                endpoint,
                traffic_split=broughtsplit.applied(deployment, endpoint, coming),
                update_time=self._stores.now(),
                # An operation changes its endpoint once: its id is as good.
                etag=deployment.operation.operation,
            )
            endpoint_rows.update(transaction, changed)
            operation = self._stores.operations.note_stage(
                transaction, deployment.operation, DeployStage.FINISHING_UP
            )
            caller = SERVER if operation is None else operation.caller
            journal = Journal(transaction, caller, self._stores.now())
            chronicle.note(journal, endpoint.name, endpoint, changed)

    def end_recorded(self, operations: Collection[OperationName]) -> None:
        """End those whose deployment serves, and that its server did not end."""
        database = self._stores.database
        with database.snapshot() as transaction:
            # Nearly always there is none, and whoever writes has to wait for his turn.
            if not _unended(transaction, operations):
                return
        with database.transaction() as transaction:
            for deployed_id, operation in _unended(transaction, operations).items():
                made = {"deployed_model": deployed_id}
                self._stores.operations.fulfil(transaction, operation, made)

    def end_deploy(self, deployment: Deployment) -> None:
        """End the operation of a recorded deployment, if that has not happened yet."""
        with self._stores.database.transaction() as transaction:
            operation = operation_rows.get(transaction, deployment.operation)
            # One that ended long ago was forgotten.
            if operation is not None and not operation.done:
                made = {"deployed_model": deployment.deployed_model.id}
                self._stores.operations.fulfil(transaction, operation, made)

    def record_undeployed(self, deployed_id: str, operation: OperationName) -> None:
        """Write that a deployed model is gone, and end the operation it went for.

        Another server that has taken that over may have written it long ago: what is
        deployed by that id since then stays.
        """
        with self._stores.database.transaction() as transaction:
            found = endpoint_rows.get_deployment(transaction, deployed_id)
            if found is not None and found.operation == operation:
                endpoint_rows.delete_deployment(transaction, deployed_id)
            promised = operation_rows.get(transaction, operation)
            if promised is not None and not promised.done:
                self._stores.operations.fulfil(transaction, promised, {})

    def record_gone(self, deployed_id: str, operation: OperationName) -> bool:
        """Write that a deployed model that was never there is not wanted any more.

        Nothing is written, and False returned, if another server has taken the
        deployment over, or has ended it well. Another deployment of that id stays.
        """
        with self._stores.database.transaction() as transaction:
            owner = operation_rows.owner(transaction, operation)
            if owner != self._stores.operations.owner:
                return False
            found = endpoint_rows.get_deployment(transaction, deployed_id)
            if found is None or found.operation != operation:
                return True
            if _is_recorded(found):
                return False
            journal = Journal(transaction, SERVER, self._stores.now())
            chronicle.note_undeployed(journal, found.deployed_model)
            endpoint_rows.delete_deployment(transaction, deployed_id)
        return True


def _is_recorded(deployment: Deployment) -> bool:
    return deployment.deployed_model.state is DeployState.DEPLOYED


def _replaced(deployment: Deployment) -> AbortedError:
    deployed = deployment.deployed_model
    return AbortedError(
        f"another server has ended the deployment of {deployed.id} meanwhile: see what "
        "is deployed now, and deploy again what is missing",
        resource=str(deployed.endpoint),
    )


def _unended(
    transaction: Transaction, operations: Collection[OperationName]
) -> dict[str, Operation]:
    """Return those that have not ended, by the ids of what serves already."""
    found = {}
    for one in endpoint_rows.deployments(transaction):
        if one.operation in operations and _is_recorded(one):
            operation = operation_rows.get(transaction, one.operation)
            # One that ended long ago was forgotten.
            if operation is not None and not operation.done:
                found[one.deployed_model.id] = operation
    return found


def _platform(
    name: ModelName,
    asked_by: DeployedModel | DedicatedResources,
    container: ContainerSpec | None,
) -> dict[str, str]:
    """Return Vertex AI's variables for a deployment, or for a job."""
    if isinstance(asked_by, DeployedModel):
        return contract.of_deployment(asked_by, container)
    return contract.of_job(name, container, asked_by)


def _refuse_unmet(name: ModelName, check: Check | None) -> None:
    """Refuse to serve in the server's environment what asked for one of its own.

    Raises:
        FailedPreconditionError: Its check found that it cannot be made here.
    """
    failed = _failure(check)
    if failed is not None and failed.name in {StageName.RESOLVE, StageName.BUILD}:
        raise FailedPreconditionError(
            f"{name} has requirements that cannot be met here, so it does not run: "
            f"{failed.cause}. {failed.remedy}"
        )


def _refuse_unread(name: ModelName, check: Check | None) -> None:
    """Refuse to check again what did not come as far as its requirements.

    Raises:
        FailedPreconditionError: Its check failed before they were looked at.
    """
    failed = _failure(check)
    if failed is not None and failed.name in {StageName.READ, StageName.IMPORTS}:
        raise FailedPreconditionError(
            f"{name} has requirements that are not locked, as its check failed at "
            f"{failed.name.value!r}, so it does not run: {failed.cause}. "
            f"{failed.remedy}"
        )


def _failure(check: Check | None) -> Stage | None:
    """Return the stage that a check failed at."""
    if check is None or not check.report:
        return None
    return reports.from_json(check.report).failure
