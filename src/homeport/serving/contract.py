"""What Vertex AI promises a serving program: its port, routes and variables.

The custom container contract, the same for every engine: our own workers get the
variables too. https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

import dataclasses
from collections.abc import Mapping
from typing import Final

from homeport.resources import variables
from homeport.resources.endpoint import DedicatedResources, DeployedModel
from homeport.resources.model import ContainerSpec
from homeport.resources.names import ModelName
from homeport.serving.runtime import Launch

DEFAULT_PORT: Final = 8080
_NO_SPEC: Final = ContainerSpec()


@dataclasses.dataclass(frozen=True, slots=True)
class Contract:
    """What one serving program is started with.

    Attributes:
        port: Where it has to listen for HTTP.
        predict_route: Where it takes predictions, by POST.
        health_route: Where it says that it is well, by GET.
        command: Replaces the image's ENTRYPOINT, expanded; empty to leave it.
        args: Replaces the image's CMD, expanded; empty to leave it.
        variables: Vertex AI's and its own, expanded.
    """

    port: int
    predict_route: str
    health_route: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    variables: Mapping[str, str]


def of_deployment(
    deployed: DeployedModel, container: ContainerSpec | None
) -> dict[str, str]:
    """Return the variables that follow from where a version is deployed."""
    spec = container or _NO_SPEC
    base = f"/v1/endpoints/{deployed.endpoint.endpoint}/deployedModels/{deployed.id}"
    return {
        **_machine(deployed.resources),
        "AIP_DEPLOYED_MODEL_ID": deployed.id,
        "AIP_ENDPOINT_ID": deployed.endpoint.endpoint,
        "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
        "AIP_HEALTH_ROUTE": spec.health_route or base,
        "AIP_MODE": "PREDICTION",
        "AIP_MODE_VERSION": "1.0.0",
        # The service's own words for what its clients call otherwise.
        "AIP_MODEL_NAME": deployed.endpoint.endpoint,
        "AIP_PREDICT_ROUTE": spec.predict_route or f"{base}:predict",
        "AIP_PROJECT_NUMBER": deployed.endpoint.parent.project,
        "AIP_VERSION_NAME": deployed.id,
    }


def of_job(
    version: ModelName, container: ContainerSpec | None, machine: DedicatedResources
) -> dict[str, str]:
    """Return the variables of a version that a job asks, without an endpoint."""
    spec = container or _NO_SPEC
    base = f"/v1/models/{version.model}/versions/{version.version}"
    return {
        **_machine(machine),
        "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
        "AIP_HEALTH_ROUTE": spec.health_route or base,
        "AIP_MODE": "PREDICTION",
        "AIP_MODE_VERSION": "1.0.0",
        "AIP_MODEL_NAME": version.model,
        "AIP_PREDICT_ROUTE": spec.predict_route or f"{base}:predict",
        "AIP_PROJECT_NUMBER": version.parent.project,
        "AIP_VERSION_NAME": version.version,
    }


def _machine(resources: DedicatedResources) -> dict[str, str]:
    found = {"AIP_MACHINE_TYPE": resources.machine_type}
    if resources.accelerator_count:
        found["AIP_ACCELERATOR_TYPE"] = resources.accelerator_type
    return found


def fixed_port(container: ContainerSpec) -> int | None:
    """Return the port that a program was written for, None if it goes by AIP_HTTP_PORT.

    Of several ports the first one serves.
    """
    return container.ports[0] if container.ports else None


def of_launch(launch: Launch, port: int, storage: str) -> Contract:
    """Return what a replica is started with.

    Args:
        launch: What it is started from.
        port: Where it has to listen.
        storage: The folder of its artifact, as it will see it; "" without one.
    """
    spec = launch.container or _NO_SPEC
    all_variables = of_worker(launch, port, storage)
    return Contract(
        port=port,
        predict_route=all_variables["AIP_PREDICT_ROUTE"],
        health_route=all_variables["AIP_HEALTH_ROUTE"],
        command=tuple(variables.expand(word, all_variables) for word in spec.command),
        args=tuple(variables.expand(word, all_variables) for word in spec.args),
        variables=all_variables,
    )


def of_worker(launch: Launch, port: int, storage: str) -> dict[str, str]:
    """Return the variables of a replica: Vertex AI's, then its own, expanded."""
    platform = {
        **launch.platform,
        "AIP_HTTP_PORT": str(port),
        "AIP_STORAGE_URI": storage,
    }
    return variables.expand_all(tuple(launch.environment.items()), platform)
