"""Operation: the promise a long-running method returns."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping
from typing import Self

from homeport.errors import Code
from homeport.resources.change import SERVER
from homeport.resources.names import OperationName


class OperationKind(enum.StrEnum):
    """The method that promised; the value is its name in the API."""

    UPLOAD_MODEL = "UploadModel"
    COPY_MODEL = "CopyModel"
    EXPORT_MODEL = "ExportModel"
    DELETE_MODEL = "DeleteModel"
    DELETE_MODEL_VERSION = "DeleteModelVersion"
    CREATE_ENDPOINT = "CreateEndpoint"
    DELETE_ENDPOINT = "DeleteEndpoint"
    DEPLOY_MODEL = "DeployModel"
    UNDEPLOY_MODEL = "UndeployModel"
    DELETE_BATCH_PREDICTION_JOB = "DeleteBatchPredictionJob"
    MUTATE_DEPLOYED_MODEL = "MutateDeployedModel"
    UPDATE_ENDPOINT = "UpdateEndpoint"


class DeployStage(enum.StrEnum):
    """How far a deployment is; the values of Vertex AI's DeploymentStage."""

    STARTING_DEPLOYMENT = "STARTING_DEPLOYMENT"
    PREPARING_MODEL = "PREPARING_MODEL"
    GETTING_CONTAINER_IMAGE = "GETTING_CONTAINER_IMAGE"
    STARTING_MODEL_SERVER = "STARTING_MODEL_SERVER"
    FINISHING_UP = "FINISHING_UP"
    SUCCESSFULLY_DEPLOYED = "SUCCESSFULLY_DEPLOYED"
    FAILED_TO_DEPLOY = "FAILED_TO_DEPLOY"


@dataclasses.dataclass(frozen=True, slots=True)
class Reached:
    """A stage, and when a deployment came to it.

    Attributes:
        stage: The stage.
        time: UTC.
    """

    stage: DeployStage
    time: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """How an operation, or a part of it, failed.

    Attributes:
        code: The google.rpc.Code of its cause.
        message: For the caller.
    """

    code: Code
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """A long-running operation as it stands.

    Attributes:
        name: Its full name.
        kind: The method that promised.
        warnings: What was accepted and has no effect here, one sentence each.
        done: Whether it ended.
        failure: Its failure, None unless it ended badly.
        result: The names of what it made, by the response's field; empty until it
            ended well, and for methods that make nothing.
        create_time: UTC.
        update_time: UTC.
        failures: What failed without failing the operation.
        api_version: `v1` or `v1beta1`: whose messages the client that waits unpacks.
        stages: What a deployment went through so far, in order.
        caller: Who asked for a deployment, which changes the traffic when it answers;
            the server for all else.
    """

    name: OperationName
    kind: OperationKind
    warnings: tuple[str, ...]
    done: bool
    failure: Failure | None
    result: Mapping[str, str]
    create_time: dt.datetime
    update_time: dt.datetime
    failures: tuple[Failure, ...] = ()
    api_version: str = "v1"
    stages: tuple[Reached, ...] = ()
    caller: str = SERVER

    @classmethod
    def begun(
        cls,
        name: OperationName,
        kind: OperationKind,
        warnings: tuple[str, ...],
        now: dt.datetime,
        *,
        caller: str = SERVER,
    ) -> Self:
        """Return an operation that was just promised."""
        begun = cls(
            name=name,
            kind=kind,
            warnings=warnings,
            done=False,
            failure=None,
            result={},
            create_time=now,
            update_time=now,
            caller=caller,
        )
        return begun._at_stage(DeployStage.STARTING_DEPLOYMENT, now)

    def reached(self, stage: DeployStage, now: dt.datetime) -> Self:
        """Return a deployment that has come to a stage; others have none."""
        return dataclasses.replace(self._at_stage(stage, now), update_time=now)

    def warned(
        self, warnings: tuple[str, ...] = (), failures: tuple[Failure, ...] = ()
    ) -> Self:
        """Return the operation with what came to light meanwhile."""
        return dataclasses.replace(
            self,
            warnings=self.warnings + warnings,
            failures=self.failures + failures,
        )

    def fulfilled(self, result: Mapping[str, str], now: dt.datetime) -> Self:
        """Return the operation as it ended well."""
        last = self.reached(DeployStage.SUCCESSFULLY_DEPLOYED, now)
        return dataclasses.replace(last, done=True, result=result)

    def failed(self, failure: Failure, now: dt.datetime) -> Self:
        """Return the operation as it ended badly; a deployment says at which stage."""
        if self.stages:
            at = f"the deployment failed at {self.stages[-1].stage}: "
            failure = dataclasses.replace(failure, message=at + failure.message)
        last = self.reached(DeployStage.FAILED_TO_DEPLOY, now)
        return dataclasses.replace(last, done=True, failure=failure)

    def _at_stage(self, stage: DeployStage, now: dt.datetime) -> Self:
        if self.kind is not OperationKind.DEPLOY_MODEL:
            return self
        return dataclasses.replace(self, stages=(*self.stages, Reached(stage, now)))
