"""Endpoints and the models deployed to them, as rows."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from homeport.metadata import endpoint_keys, keyed, listing_sql
from homeport.metadata.database import Transaction
from homeport.metadata.tables import (
    deployed_models,
    endpoint_labels,
    endpoints,
    models,
)
from homeport.resources.endpoint import (
    DedicatedResources,
    DeployedModel,
    DeployState,
    Endpoint,
)
from homeport.resources.listing import OrderBy
from homeport.resources.names import EndpointName, ModelName, OperationName, Parent

ENDPOINT_FIELDS: Final = listing_sql.Fields(
    columns={
        "endpoint": endpoints.c.endpoint_id,
        "display_name": endpoints.c.display_name,
        "create_time": endpoints.c.create_time,
        "update_time": endpoints.c.update_time,
    },
    maps={"labels": lambda key: _label(key)},  # noqa: PLW0108  # defined below
    key=endpoints.c.endpoint_id,
)
_ONE: Final = sa.select(endpoints).where(keyed.by(endpoints, *endpoint_keys.COLUMNS))
_REPLACE: Final = endpoints.update().where(keyed.by(endpoints, *endpoint_keys.COLUMNS))
_LABELS: Final = sa.select(endpoint_labels.c.key, endpoint_labels.c.value).where(
    keyed.by(endpoint_labels, *endpoint_keys.COLUMNS)
)
_UNLABEL: Final = endpoint_labels.delete().where(
    keyed.by(endpoint_labels, *endpoint_keys.COLUMNS)
)
_DEPLOYMENTS: Final = (
    sa.select(deployed_models, models.c.display_name.label("model_display_name"))
    .join_from(
        deployed_models,
        models,
        sa.and_(
            models.c.project == deployed_models.c.model_project,
            models.c.location == deployed_models.c.model_location,
            models.c.model_id == deployed_models.c.model_id,
        ),
    )
    .order_by(deployed_models.c.create_time, deployed_models.c.id)
)
_DEPLOYED_TO: Final = _DEPLOYMENTS.where(
    keyed.by(deployed_models, *endpoint_keys.COLUMNS)
)
_DEPLOYED_AS: Final = _DEPLOYMENTS.where(keyed.by(deployed_models, "id"))
_CHANGE_DEPLOYMENT: Final = deployed_models.update().where(
    keyed.by(deployed_models, "id")
)


@dataclasses.dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed model with what is wanted of it while it is not there yet.

    Attributes:
        deployed_model: The deployed model.
        wanted_split: The split to apply once it answers, "0" for itself; empty leaves
            the endpoint's split alone.
        operation: The operation to end when it answers or fails.
        found_split: The endpoint's split when it was asked for, None if unknown.
    """

    deployed_model: DeployedModel
    wanted_split: Mapping[str, int]
    operation: OperationName
    found_split: Mapping[str, int] | None = None


def insert(transaction: Transaction, endpoint: Endpoint) -> None:
    """Write a new endpoint."""
    fields = {**_fields(endpoint), "create_time": endpoint.create_time}
    transaction.execute(
        endpoints.insert(), {**endpoint_keys.of(endpoint.name), **fields}
    )
    _insert_labels(transaction, endpoint)


def update(transaction: Transaction, endpoint: Endpoint) -> None:
    """Write the endpoint's own fields; its deployed models are left alone."""
    key = keyed.given(endpoint_keys.of(endpoint.name))
    transaction.execute(_REPLACE, {**key, **_fields(endpoint)})
    transaction.execute(_UNLABEL, key)
    _insert_labels(transaction, endpoint)


def get(transaction: Transaction, name: EndpointName) -> Endpoint | None:
    """Return the endpoint with the deployed models that serve; None if none."""
    row = transaction.execute(_ONE, keyed.given(endpoint_keys.of(name))).one_or_none()
    return None if row is None else _to_endpoint(transaction, row)


def all_names(transaction: Transaction) -> list[EndpointName]:
    """Return the name of every endpoint."""
    rows = transaction.execute(
        sa.select(
            endpoints.c.project, endpoints.c.location, endpoints.c.endpoint_id
        ).order_by(endpoints.c.create_time)
    )
    return [
        EndpointName(Parent(row.project, row.location), row.endpoint_id) for row in rows
    ]


def states(transaction: Transaction) -> dict[EndpointName, str]:
    """Return what tells for each endpoint whether it, or what is deployed, changed."""
    found = {
        EndpointName(Parent(row.project, row.location), row.endpoint_id): [row.etag]
        for row in transaction.execute(sa.select(endpoints))
    }
    columns = (deployed_models.c.state, sa.cast(deployed_models.c.resources, sa.Text))
    key = (deployed_models.c[name] for name in ("project", "location", "endpoint_id"))
    deployed = sa.select(*key, deployed_models.c.id, *columns)
    for project, location, endpoint_id, *words in transaction.execute(
        deployed.order_by(deployed_models.c.id)
    ):
        found[EndpointName(Parent(project, location), endpoint_id)] += words
    return {name: "\n".join(words) for name, words in found.items()}


def list_page(
    transaction: Transaction, parent: Parent, page: listing_sql.Page
) -> list[Endpoint]:
    """Return one page of endpoints."""
    query = sa.select(endpoints).where(
        endpoints.c.project == parent.project, endpoints.c.location == parent.location
    )
    rows = transaction.execute(listing_sql.paged(query, ENDPOINT_FIELDS, page))
    return [_to_endpoint(transaction, row) for row in rows.all()]


def position(endpoint: Endpoint, order_by: Sequence[OrderBy]) -> tuple[str | int, ...]:
    """Return where an endpoint stands in a listing, for the page token after it."""
    values: dict[str, str | dt.datetime] = {
        "display_name": endpoint.display_name,
        "create_time": endpoint.create_time,
        "update_time": endpoint.update_time,
    }
    return listing_sql.position(values, order_by, endpoint.name.endpoint)


def delete(transaction: Transaction, name: EndpointName) -> None:
    """Delete an endpoint that has no deployed models."""
    condition = keyed.by(endpoints, *endpoint_keys.COLUMNS)
    transaction.execute(
        endpoints.delete().where(condition), keyed.given(endpoint_keys.of(name))
    )


def insert_deployment(transaction: Transaction, deployment: Deployment) -> None:
    """Write a deployed model that is wanted but not there yet."""
    deployed = deployment.deployed_model
    version = deployed.version
    transaction.execute(
        deployed_models.insert(),
        {
            "id": deployed.id,
            **endpoint_keys.of(deployed.endpoint),
            "model_project": version.parent.project,
            "model_location": version.parent.location,
            "model_id": version.model,
            "version_id": int(version.version),
            "display_name": deployed.display_name,
            "resources": dataclasses.asdict(deployed.resources),
            "kept": dict(deployed.kept),
            "state": deployed.state.value,
            "wanted_split": dict(deployment.wanted_split),
            "operation": str(deployment.operation),
            "create_time": deployed.create_time,
            "found_split": deployment.found_split,
        },
    )


def set_resources(transaction: Transaction, deployed: DeployedModel) -> None:
    """Write what a deployed model asks of the machine, and what is kept of it."""
    changed = {
        "resources": dataclasses.asdict(deployed.resources),
        "kept": dict(deployed.kept),
    }
    transaction.execute(
        _CHANGE_DEPLOYMENT, {**keyed.given({"id": deployed.id}), **changed}
    )


def set_state(
    transaction: Transaction,
    deployed_id: str,
    state: DeployState,
    operation: OperationName | None = None,
) -> None:
    """Move a deployed model to another state, with the operation that will end it."""
    changed: dict[str, Any] = {"state": state.value}
    if operation is not None:
        changed["operation"] = str(operation)
    transaction.execute(
        _CHANGE_DEPLOYMENT, {**keyed.given({"id": deployed_id}), **changed}
    )


def delete_deployment(transaction: Transaction, deployed_id: str) -> None:
    """Delete a deployed model; one that is not there is fine."""
    transaction.execute(
        deployed_models.delete().where(deployed_models.c.id == deployed_id)
    )


def get_deployment(transaction: Transaction, deployed_id: str) -> Deployment | None:
    """Return a deployed model in whatever state, None if there is none."""
    row = transaction.execute(
        _DEPLOYED_AS, keyed.given({"id": deployed_id})
    ).one_or_none()
    return None if row is None else _to_deployment(row)


def deployments(
    transaction: Transaction, endpoint: EndpointName | None = None
) -> list[Deployment]:
    """Return the deployed models of one endpoint or all, oldest first."""
    if endpoint is None:
        rows = transaction.execute(_DEPLOYMENTS)
    else:
        rows = transaction.execute(
            _DEPLOYED_TO, keyed.given(endpoint_keys.of(endpoint))
        )
    return [_to_deployment(row) for row in rows]


def deployments_of(transaction: Transaction, name: ModelName) -> list[Deployment]:
    """Return where a version, or any version of a model, is deployed in any state."""
    condition = sa.and_(
        deployed_models.c.model_project == name.parent.project,
        deployed_models.c.model_location == name.parent.location,
        deployed_models.c.model_id == name.model,
    )
    if name.version:
        condition = sa.and_(
            condition, deployed_models.c.version_id == int(name.version)
        )
    rows = transaction.execute(_DEPLOYMENTS.where(condition))
    return [_to_deployment(row) for row in rows]


def _to_endpoint(transaction: Transaction, row: sa.Row[Any]) -> Endpoint:
    name = EndpointName(Parent(row.project, row.location), row.endpoint_id)
    labels = transaction.execute(_LABELS, keyed.given(endpoint_keys.of(name)))
    return Endpoint(
        name=name,
        display_name=row.display_name,
        description=row.description,
        labels={label.key: label.value for label in labels},
        deployed_models=tuple(
            deployment.deployed_model
            for deployment in deployments(transaction, name)
            if deployment.deployed_model.state is not DeployState.DEPLOYING
        ),
        traffic_split=row.traffic_split,
        kept=row.kept,
        create_time=row.create_time,
        update_time=row.update_time,
        etag=row.etag,
    )


def _to_deployment(row: sa.Row[Any]) -> Deployment:
    version = ModelName(
        Parent(row.model_project, row.model_location), row.model_id, str(row.version_id)
    )
    deployed = DeployedModel(
        id=row.id,
        endpoint=EndpointName(Parent(row.project, row.location), row.endpoint_id),
        version=version,
        display_name=row.display_name,
        model_display_name=row.model_display_name,
        resources=DedicatedResources(**row.resources),
        kept=row.kept,
        state=DeployState(row.state),
        create_time=row.create_time,
    )
    return Deployment(
        deployed,
        row.wanted_split,
        OperationName.parse(row.operation),
        row.found_split,
    )


def _insert_labels(transaction: Transaction, endpoint: Endpoint) -> None:
    for key, value in endpoint.labels.items():
        transaction.execute(
            endpoint_labels.insert().values(
                **endpoint_keys.of(endpoint.name), key=key, value=value
            )
        )


def _fields(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "display_name": endpoint.display_name,
        "description": endpoint.description,
        "traffic_split": dict(endpoint.traffic_split),
        "kept": dict(endpoint.kept),
        "etag": endpoint.etag,
        "update_time": endpoint.update_time,
    }


def _label(key: str) -> sa.ScalarSelect[str]:
    return (
        sa.select(endpoint_labels.c.value)
        .where(
            *(
                endpoint_labels.c[column] == endpoints.c[column]
                for column in ("project", "location", "endpoint_id")
            ),
            endpoint_labels.c.key == key,
        )
        .scalar_subquery()
    )
