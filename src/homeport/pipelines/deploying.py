"""A version deployed to an endpoint, which is made where there is none."""

import contextlib
import dataclasses
import sys
from typing import Any, Final

from google.api_core.operation import Operation
from google.auth.credentials import Credentials
from google.cloud import aiplatform_v1

from homeport.errors import HomeportError, InvalidArgumentError
from homeport.pipelines import parameters, traffic, waiting
from homeport.pipelines.cancelling import Cancellation
from homeport.pipelines.googleerrors import translated
from homeport.pipelines.place import Place
from homeport.pipelines.registry import EndedError
from homeport.pipelines.waiting import CALL_S, Canceller

# Machines are found and images fetched first.
_DEPLOYING_S: Final = 3600.0
_CREATING_S: Final = 300.0
_UNDEPLOYING_S: Final = 300.0
_WITHDRAWING_S: Final = 20.0
_DEPLOYING: Final = "deploying the model"
_UNDEPLOYING: Final = "undeploying a model"
_ACCELERATORS: Final = aiplatform_v1.AcceleratorType.__members__
_LOOKING: Final = "looking at the endpoint"
_MAKING: Final = "making the endpoint"
_REMOVING: Final = "removing the endpoint"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What each replica runs on, and how many there are.

    Attributes:
        machine_type: Such as n1-standard-4.
        accelerator_type: Such as NVIDIA_TESLA_T4; "" for none.
        accelerator_count: Of each replica.
        min_replicas: From 1 on.
        max_replicas: From `min_replicas` on.
    """

    machine_type: str
    accelerator_type: str = ""
    accelerator_count: int = 0
    min_replicas: int = 1
    max_replicas: int = 1

    def __post_init__(self) -> None:
        parameters.required("machine_type", self.machine_type)
        if not 1 <= self.min_replicas <= self.max_replicas:
            raise InvalidArgumentError(
                f"there are to be {self.min_replicas} to {self.max_replicas} replicas: "
                "give 1 or more as the fewest, and no fewer as the most"
            )
        if bool(self.accelerator_type) != bool(self.accelerator_count):
            raise InvalidArgumentError(
                f"accelerator_type is {self.accelerator_type!r:.80} and "
                f"accelerator_count is {self.accelerator_count}: give both, or neither"
            )
        if self.accelerator_type and self.accelerator_type not in _ACCELERATORS:
            raise InvalidArgumentError(
                f"accelerator_type {self.accelerator_type!r:.80} is none of Vertex "
                "AI's: give one such as NVIDIA_TESLA_T4"
            )

    def spec(self) -> Any:  # noqa: ANN401  # a message of Google's
        """Return it as Vertex AI writes it."""
        spec = aiplatform_v1.MachineSpec(machine_type=self.machine_type)
        if self.accelerator_type:
            spec.accelerator_type = _ACCELERATORS[self.accelerator_type]
            spec.accelerator_count = self.accelerator_count
        return spec


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment.

    Attributes:
        place: Where.
        version: Full name of the model or of its version.
        endpoint: Full name or id; "" for the one with the display name.
        endpoint_display_name: Of the endpoint that is looked for, else made.
        display_name: Of the deployed model.
        machine: What it runs on.
        percentage: Of the endpoint's traffic.
        replaces: Whether all that was deployed there before is undeployed then.
    """

    place: Place
    version: str
    endpoint: str
    endpoint_display_name: str
    display_name: str
    machine: Machine
    percentage: int = 100
    replaces: bool = False

    def __post_init__(self) -> None:
        traffic.check(self.percentage)
        if not self.endpoint:
            parameters.required("endpoint_display_name", self.endpoint_display_name)
        if self.replaces and self.percentage != 100:  # noqa: PLR2004  # all of it
            raise InvalidArgumentError(
                f"undeploy_others leaves the new model alone, and traffic_percentage "
                f"is {self.percentage}: give 100, or leave undeploy_others out"
            )


class Deployer:
    """Deploys to the endpoints of one project and location."""

    def __init__(
        self, place: Place, credentials: Credentials, cancellation: Cancellation
    ) -> None:
        self._cancellation = cancellation
        self._canceller = Canceller(place, credentials)
        self._client: Any = aiplatform_v1.EndpointServiceClient(
            credentials=credentials,
            transport="rest",
            client_options={"api_endpoint": place.url},
        )

    def deploy(self, wanted: Deployment) -> str:
        """Return the full name of the endpoint, once the version answers there.

        A deployment that fails or is cancelled leaves nothing deployed and no new
        endpoint. Once the version answers, nothing is undone or broken off: where the
        others cannot be undeployed, it has all traffic, and what is left of them none.

        Raises:
            HomeportError: As the service says.
            SystemExit: It was cancelled.
        """
        with contextlib.ExitStack() as undoing:
            name = self._found(wanted) or self._made(wanted, undoing)
            before = dict(self._told(name).traffic_split)
            deployed = self._deployed(wanted, name, before)
            undoing.pop_all()
        if wanted.replaces:
            self._undeploy_others(name, deployed)
        return name

    def _found(self, wanted: Deployment) -> str:
        """Return the name of an endpoint that is there, "" for none."""
        place = wanted.place
        if wanted.endpoint:
            return place.resource("endpoint", "endpoints", wanted.endpoint)
        called = wanted.endpoint_display_name
        quoted = called.replace("\\", "\\\\").replace('"', '\\"')
        request = {"parent": place.parent, "filter": f'display_name="{quoted}"'}
        with translated("looking for the endpoint"):
            listed = self._client.list_endpoints(request, timeout=CALL_S)
            # A star in a filter stands for anything.
            found = [str(one.name) for one in listed if one.display_name == called]
        if len(found) > 1:
            raise InvalidArgumentError(
                f"endpoint_display_name {called!r:.128} is of several endpoints: give "
                "the name of one as endpoint"
            )
        return found[0] if found else ""

    def _made(self, wanted: Deployment, undoing: contextlib.ExitStack) -> str:
        """Return the name of a new endpoint, which goes when the rest is undone."""
        endpoint = aiplatform_v1.Endpoint(display_name=wanted.endpoint_display_name)
        with self._cancellation.held(), translated(_MAKING):
            operation = self._client.create_endpoint(
                parent=wanted.place.parent, endpoint=endpoint, timeout=CALL_S
            )
            undoing.callback(self._unmake, operation)
        return str(waiting.result(operation, _MAKING, _CREATING_S).name)

    def _told(self, endpoint: str) -> Any:  # noqa: ANN401  # a message of Google's
        with translated(_LOOKING):
            return self._client.get_endpoint(name=endpoint, timeout=CALL_S)

    def _deployed(
        self, wanted: Deployment, endpoint: str, before: dict[str, int]
    ) -> str:
        """Return the id of the deployed model."""
        machine = wanted.machine
        model = aiplatform_v1.DeployedModel(
            model=wanted.version,
            display_name=wanted.display_name,
            dedicated_resources=aiplatform_v1.DedicatedResources(
                machine_spec=machine.spec(),
                min_replica_count=machine.min_replicas,
                max_replica_count=machine.max_replicas,
            ),
        )
        operation = None
        try:
            with self._cancellation.held(), translated(_DEPLOYING):
                operation = self._client.deploy_model(
                    endpoint=endpoint,
                    deployed_model=model,
                    traffic_split=traffic.with_new(before, wanted.percentage),
                    timeout=CALL_S,
                )
            answer = waiting.result(operation, _DEPLOYING, _DEPLOYING_S)
            self._cancellation.close()
        except BaseException:
            self._cancellation.close()
            if operation is not None:
                self._withdraw(operation, endpoint, before)
            raise
        return str(answer.deployed_model.id)

    def _withdraw(
        self, operation: Operation, endpoint: str, before: dict[str, int]
    ) -> None:
        """End a deployment, and undo what came of it nevertheless."""
        try:
            with contextlib.suppress(HomeportError):  # it may have ended by now
                self._canceller.cancel(operation, _DEPLOYING)
            answer = waiting.result(operation, _DEPLOYING, _WITHDRAWING_S)
            deployed = answer.deployed_model.id
            self._undeploy(endpoint, deployed, before, _WITHDRAWING_S)
        except EndedError:
            return  # as it was wanted
        except HomeportError as error:
            _tell(f"the model may be left at {endpoint}", error)

    def _undeploy_others(self, endpoint: str, kept: str) -> None:
        for one in self._told(endpoint).deployed_models:
            if one.id != kept:
                self._undeploy(endpoint, one.id, {kept: 100}, _UNDEPLOYING_S)

    def _undeploy(
        self, endpoint: str, deployed: str, split: dict[str, int], timeout_s: float
    ) -> None:
        with translated(_UNDEPLOYING):
            operation = self._client.undeploy_model(
                endpoint=endpoint,
                deployed_model_id=deployed,
                traffic_split=split,
                timeout=CALL_S,
            )
        waiting.result(operation, _UNDEPLOYING, timeout_s)

    def _unmake(self, operation: Operation) -> None:
        """Remove an endpoint, also one that is still being made."""
        self._cancellation.close()
        try:
            self._delete(waiting.result(operation, _MAKING, _WITHDRAWING_S).name)
        except EndedError:
            return  # none was made
        except HomeportError as error:
            _tell(f"the endpoint of {operation.operation.name} may be left", error)

    def _delete(self, endpoint: str) -> None:
        try:
            with translated(_REMOVING):
                operation = self._client.delete_endpoint(name=endpoint, timeout=CALL_S)
            waiting.result(operation, _REMOVING, _WITHDRAWING_S)
        except HomeportError as error:
            _tell(f"{endpoint} may be left", error)


def _tell(what: str, error: HomeportError) -> None:
    sys.stderr.write(f"warning: {what}: {error.message}\n")
