"""What the rows want of serving, and the record of what came of it.

The reconciler's half that blocks: each method is one look or one transaction.
"""

import dataclasses
import datetime as dt
import functools
import json
import pathlib
from collections.abc import Callable, Iterable, Mapping

from homeport.checking import report as reports
from homeport.checking.ending import Ending
from homeport.checking.report import Stage, StageName
from homeport.errors import (
    AbortedError,
    FailedPreconditionError,
    InvalidArgumentError,
)
from homeport.metadata import check_rows, endpoint_rows, model_rows, operation_rows
from homeport.metadata.database import Database
from homeport.metadata.endpoint_rows import Deployment
from homeport.registry import catalog, configuration, damage
from homeport.registry.artifacts import Artifacts
from homeport.registry.journal import Journal
from homeport.registry.latelocks import LateLocks
from homeport.registry.operations import Operations
from homeport.resources.change import SERVER
from homeport.resources.check import Check
from homeport.resources.endpoint import (
    PLACEHOLDER_ID,
    DedicatedResources,
    DeployedModel,
    DeployState,
    Endpoint,
    check_split,
    with_traffic,
)
from homeport.resources.model import Artifact, ContainerSpec, ModelVersion
from homeport.resources.names import EndpointName, ModelName, OperationName
from homeport.resources.operation import DeployStage
from homeport.resources.torchserve import TorchServeWords
from homeport.serving import chronicle, contract, desk, engines
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

    def all_deployments(self) -> list[Deployment]:
        """Return the deployed models of all endpoints, in whatever state."""
        with self._stores.database.snapshot() as transaction:
            return endpoint_rows.deployments(transaction)

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
            AbortedError: Somebody else changed the endpoint's split meanwhile.
            InvalidArgumentError: The endpoint has changed so that the split cannot be.
        """
        deployed = deployment.deployed_model
        with self._stores.database.transaction() as transaction:
            found = endpoint_rows.get_deployment(transaction, deployed.id)
            if found is not None and _is_recorded(found):
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
                traffic_split=_applied(deployment, endpoint, coming),
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

    def end_recorded(self, deployments: Iterable[Deployment]) -> None:
        """End those that serve, and whose server died before it ended them."""
        for deployment in filter(_is_recorded, deployments):
            self.end_deploy(deployment)

    def end_deploy(self, deployment: Deployment) -> None:
        """End the operation of a recorded deployment, if that has not happened yet."""
        with self._stores.database.transaction() as transaction:
            operation = operation_rows.get(transaction, deployment.operation)
            # One that ended long ago was forgotten.
            if operation is not None and not operation.done:
                made = {"deployed_model": deployment.deployed_model.id}
                self._stores.operations.fulfil(transaction, operation, made)

    def record_undeployed(self, deployed_id: str, operation: OperationName) -> None:
        """Write that a deployed model is gone, and end the operation it went for."""
        with self._stores.database.transaction() as transaction:
            promised = operation_rows.get(transaction, operation)
            endpoint_rows.delete_deployment(transaction, deployed_id)
            if promised is not None:
                self._stores.operations.fulfil(transaction, promised, {})

    def record_gone(self, deployed_id: str, operation: OperationName) -> bool:
        """Write that a deployed model that was never there is not wanted any more.

        Nothing is written, and False returned, if another server has taken the
        deployment over, or has ended it well.
        """
        with self._stores.database.transaction() as transaction:
            owner = operation_rows.owner(transaction, operation)
            if owner != self._stores.operations.owner:
                return False
            found = endpoint_rows.get_deployment(transaction, deployed_id)
            if found is not None and _is_recorded(found):
                return False
            if found is not None:
                journal = Journal(transaction, SERVER, self._stores.now())
                chronicle.note_undeployed(journal, found.deployed_model)
            endpoint_rows.delete_deployment(transaction, deployed_id)
        return True


def _is_recorded(deployment: Deployment) -> bool:
    return deployment.deployed_model.state is DeployState.DEPLOYED


def _platform(
    name: ModelName,
    asked_by: DeployedModel | DedicatedResources,
    container: ContainerSpec | None,
) -> dict[str, str]:
    """Return Vertex AI's variables for a deployment, or for a job."""
    if isinstance(asked_by, DeployedModel):
        return contract.of_deployment(asked_by, container)
    return contract.of_job(name, container, asked_by)


def _applied(
    deployment: Deployment, endpoint: Endpoint, coming: frozenset[str]
) -> Mapping[str, int]:
    """Return the endpoint's split once the deployment answers.

    Args:
        deployment: It serves already.
        endpoint: As it stands.
        coming: The ids of others that are wanted with the same split.

    Raises:
        AbortedError: Somebody else changed the split meanwhile.
        InvalidArgumentError: The split names what does not serve.
    """
    if not deployment.wanted_split:
        return endpoint.traffic_split
    _check_found(deployment, endpoint)
    own_id = deployment.deployed_model.id
    split = {
        own_id if key == PLACEHOLDER_ID else key: percent
        for key, percent in deployment.wanted_split.items()
    }
    serving = desk.serving_ids(endpoint)
    if split.keys() - serving and split.keys() <= serving | coming:
        # Of several that come for one split, the last brings it.
        return endpoint.traffic_split
    try:
        check_split(split, serving)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"the endpoint changed during the deployment: {error.message}"
        ) from error
    return split


def _check_found(deployment: Deployment, endpoint: Endpoint) -> None:
    """Refuse to overwrite a split that the caller has never seen."""
    found = deployment.found_split
    if found is None or with_traffic(found) == with_traffic(endpoint.traffic_split):
        return
    raise AbortedError(
        f"the traffic split of {endpoint.name} was changed from "
        f"{json.dumps(dict(found))} to {json.dumps(dict(endpoint.traffic_split))} "
        "during the deployment: read the endpoint again and deploy with a split that "
        "fits",
        resource=str(endpoint.name),
    )


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
