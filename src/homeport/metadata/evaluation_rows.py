"""Evaluations of versions, and their slices, as rows."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from homeport.metadata import listing_sql
from homeport.metadata.database import Transaction
from homeport.metadata.tables import evaluation_slices, evaluations
from homeport.resources.evaluation import (
    Evaluation,
    EvaluationName,
    EvaluationSlice,
    Measured,
    SliceName,
)
from homeport.resources.listing import OrderBy
from homeport.resources.names import ModelName, Parent

EVALUATION_FIELDS: Final = listing_sql.Fields(
    columns={
        "display_name": evaluations.c.display_name,
        "metrics_schema_uri": evaluations.c.metrics_schema_uri,
        "create_time": evaluations.c.create_time,
    },
    key=evaluations.c.evaluation_id,
)
SLICE_FIELDS: Final = listing_sql.Fields(
    columns={
        "metrics_schema_uri": evaluation_slices.c.metrics_schema_uri,
        "create_time": evaluation_slices.c.create_time,
    },
    # slice.dimension and slice.value
    maps={"slice": lambda key: evaluation_slices.c.content["slice", key].as_string()},
    key=evaluation_slices.c.slice_id,
)


def insert(transaction: Transaction, evaluation: Evaluation) -> None:
    """Write a new evaluation."""
    measured = evaluation.measured
    transaction.execute(
        evaluations.insert().values(
            **_key(evaluation.name),
            version_id=int(evaluation.version.version),
            display_name=measured.display_name,
            metrics_schema_uri=measured.metrics_schema_uri,
            content=dict(measured.content),
            create_time=evaluation.create_time,
        )
    )


def insert_slice(transaction: Transaction, one: EvaluationSlice) -> None:
    """Write a new slice of an evaluation that is there."""
    transaction.execute(
        evaluation_slices.insert().values(
            **_key(one.name.evaluation),
            slice_id=one.name.slice,
            metrics_schema_uri=one.measured.metrics_schema_uri,
            content=dict(one.measured.content),
            create_time=one.create_time,
        )
    )


def get(transaction: Transaction, name: EvaluationName) -> Evaluation | None:
    """Return the evaluation, None if there is none."""
    query = sa.select(evaluations).where(_is(evaluations, name))
    row = transaction.execute(query).one_or_none()
    return None if row is None else _to_evaluation(row)


def get_slice(transaction: Transaction, name: SliceName) -> EvaluationSlice | None:
    """Return the slice, None if there is none."""
    query = sa.select(evaluation_slices).where(
        _is(evaluation_slices, name.evaluation),
        evaluation_slices.c.slice_id == name.slice,
    )
    row = transaction.execute(query).one_or_none()
    return None if row is None else _to_slice(row)


def list_page(
    transaction: Transaction, version: ModelName, page: listing_sql.Page
) -> list[Evaluation]:
    """Return one page of a version's evaluations."""
    query = sa.select(evaluations).where(
        evaluations.c.project == version.parent.project,
        evaluations.c.location == version.parent.location,
        evaluations.c.model_id == version.model,
        evaluations.c.version_id == int(version.version),
    )
    rows = transaction.execute(listing_sql.paged(query, EVALUATION_FIELDS, page))
    return [_to_evaluation(row) for row in rows]


def list_slices(
    transaction: Transaction, name: EvaluationName, page: listing_sql.Page
) -> list[EvaluationSlice]:
    """Return one page of an evaluation's slices."""
    query = sa.select(evaluation_slices).where(_is(evaluation_slices, name))
    rows = transaction.execute(listing_sql.paged(query, SLICE_FIELDS, page))
    return [_to_slice(row) for row in rows]


def count_slices(transaction: Transaction, name: EvaluationName) -> int:
    """Return how many slices an evaluation has."""
    return transaction.execute(
        sa.select(sa.func.count()).where(_is(evaluation_slices, name))
    ).scalar_one()


def position(one: Evaluation, order_by: Sequence[OrderBy]) -> tuple[str | int, ...]:
    """Return where an evaluation stands in a listing, for the page token after it."""
    times = {"create_time": one.create_time}
    return listing_sql.position(times, order_by, one.name.evaluation)


def slice_position(
    one: EvaluationSlice, order_by: Sequence[OrderBy]
) -> tuple[str | int, ...]:
    """Return where a slice stands in a listing, for the page token after it."""
    times = {"create_time": one.create_time}
    return listing_sql.position(times, order_by, one.name.slice)


def _to_evaluation(row: sa.Row[Any]) -> Evaluation:
    model = ModelName(Parent(row.project, row.location), row.model_id)
    return Evaluation(
        name=EvaluationName(model, row.evaluation_id),
        version=model.at(row.version_id),
        measured=Measured(row.display_name, row.metrics_schema_uri, row.content),
        create_time=row.create_time,
    )


def _to_slice(row: sa.Row[Any]) -> EvaluationSlice:
    model = ModelName(Parent(row.project, row.location), row.model_id)
    return EvaluationSlice(
        name=SliceName(EvaluationName(model, row.evaluation_id), row.slice_id),
        measured=Measured("", row.metrics_schema_uri, row.content),
        create_time=row.create_time,
    )


def _key(name: EvaluationName) -> dict[str, str]:
    return {
        "project": name.model.parent.project,
        "location": name.model.parent.location,
        "model_id": name.model.model,
        "evaluation_id": name.evaluation,
    }


def _is(table: sa.Table, name: EvaluationName) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[key] == value for key, value in _key(name).items()))
