"""Batch prediction jobs as rows."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from homeport.errors import Code
from homeport.metadata import listing_sql
from homeport.metadata.database import Transaction
from homeport.metadata.job_tables import batch_job_labels, batch_jobs
from homeport.resources.batch_job import (
    BatchJob,
    BatchJobName,
    BatchJobSpec,
    InstanceConfig,
    InstancesFormat,
    InstanceType,
    JobState,
    PredictionsFormat,
    Tally,
)
from homeport.resources.endpoint import DedicatedResources
from homeport.resources.listing import OrderBy
from homeport.resources.names import ModelName, Parent
from homeport.resources.operation import Failure

JOB_FIELDS: Final = listing_sql.Fields(
    columns={
        "display_name": batch_jobs.c.display_name,
        "model_display_name": batch_jobs.c.model_display_name,
        "state": batch_jobs.c.state,
        "create_time": batch_jobs.c.create_time,
        "update_time": batch_jobs.c.update_time,
    },
    maps={"labels": lambda key: _label(key)},  # noqa: PLW0108  # defined below
    key=batch_jobs.c.job_id,
)
_FINAL: Final = tuple(state.value for state in JobState if state.is_final)


def insert(transaction: Transaction, job: BatchJob, owner: str) -> None:
    """Write a new job, and the id of the server that carries it out."""
    spec = job.spec
    transaction.execute(
        batch_jobs.insert().values(
            **_key(job.name),
            **_state(job),
            owner=owner,
            display_name=spec.display_name,
            model_display_name=job.model_display_name,
            spec={**dataclasses.asdict(spec), "model": str(spec.model)},
            create_time=job.create_time,
        )
    )
    if spec.labels:
        transaction.execute(
            batch_job_labels.insert(),
            [
                {**_key(job.name), "key": key, "value": value}
                for key, value in spec.labels.items()
            ],
        )


def update(transaction: Transaction, job: BatchJob) -> None:
    """Write how a job stands; what it is to do never changes."""
    transaction.execute(batch_jobs.update().where(_is(job.name)).values(**_state(job)))


def get(
    transaction: Transaction, name: BatchJobName, owner: str | None = None
) -> BatchJob | None:
    """Return the job, None if there is none; of an owner, only one that is its."""
    query = sa.select(batch_jobs).where(_is(name))
    if owner is not None:
        query = query.where(batch_jobs.c.owner == owner)
    row = transaction.execute(query).one_or_none()
    return None if row is None else _to_job(row)


def list_page(
    transaction: Transaction, parent: Parent, page: listing_sql.Page
) -> list[BatchJob]:
    """Return one page of jobs."""
    query = sa.select(batch_jobs).where(
        batch_jobs.c.project == parent.project, batch_jobs.c.location == parent.location
    )
    rows = transaction.execute(listing_sql.paged(query, JOB_FIELDS, page))
    return [_to_job(row) for row in rows]


def position(job: BatchJob, order_by: Sequence[OrderBy]) -> tuple[str | int, ...]:
    """Return where a job stands in a listing, for the page token after it."""
    times = {"create_time": job.create_time, "update_time": job.update_time}
    return listing_sql.position(times, order_by, job.name.job)


def unfinished(transaction: Transaction, not_of: frozenset[str]) -> list[BatchJob]:
    """Return the jobs of all projects that have not ended, oldest first.

    Args:
        transaction: Where.
        not_of: The ids of servers whose jobs are left out.
    """
    rows = transaction.execute(
        sa.select(batch_jobs)
        .where(batch_jobs.c.state.not_in(_FINAL), batch_jobs.c.owner.not_in(not_of))
        .order_by(batch_jobs.c.create_time, batch_jobs.c.job_id)
    )
    return [_to_job(row) for row in rows]


def set_owner(transaction: Transaction, name: BatchJobName, owner: str) -> None:
    """Write which server carries a job out."""
    transaction.execute(batch_jobs.update().where(_is(name)).values(owner=owner))


def delete(transaction: Transaction, name: BatchJobName) -> None:
    """Forget a job."""
    transaction.execute(batch_jobs.delete().where(_is(name)))


def _state(job: BatchJob) -> Mapping[str, Any]:
    failure = job.failure
    return {
        "state": job.state.value,
        "tally": dataclasses.asdict(job.tally),
        "output_directory": job.output_directory,
        "error_code": 0 if failure is None else int(failure.code),
        "error_message": "" if failure is None else failure.message,
        "update_time": job.update_time,
        "start_time": job.start_time,
        "end_time": job.end_time,
    }


def _to_job(row: sa.Row[Any]) -> BatchJob:
    failure = (
        Failure(Code(row.error_code), row.error_message) if row.error_code else None
    )
    failures = tuple(
        Failure(Code(one["code"]), one["message"]) for one in row.tally["failures"]
    )
    return BatchJob(
        name=BatchJobName(Parent(row.project, row.location), row.job_id),
        spec=_to_spec(row.spec),
        state=JobState(row.state),
        model_display_name=row.model_display_name,
        create_time=row.create_time,
        update_time=row.update_time,
        start_time=row.start_time,
        end_time=row.end_time,
        tally=Tally(**{**row.tally, "failures": failures}),
        output_directory=row.output_directory,
        failure=failure,
    )


def _to_spec(stored: Mapping[str, Any]) -> BatchJobSpec:
    config = stored["instance_config"]
    return BatchJobSpec(
        **{
            **stored,
            "model": ModelName.parse(stored["model"]),
            "instances_format": InstancesFormat(stored["instances_format"]),
            "predictions_format": PredictionsFormat(stored["predictions_format"]),
            "uris": tuple(stored["uris"]),
            "machine": DedicatedResources(**stored.get("machine", {})),
            "warnings": tuple(stored.get("warnings", ())),
            "instance_config": InstanceConfig(
                type=config["type"] and InstanceType(config["type"]),
                key_field=config["key_field"],
                included=tuple(config["included"]),
                excluded=tuple(config["excluded"]),
            ),
        }
    )


def _label(key: str) -> sa.ScalarSelect[str]:
    return (
        sa.select(batch_job_labels.c.value)
        .where(
            *(
                batch_job_labels.c[column] == batch_jobs.c[column]
                for column in ("project", "location", "job_id")
            ),
            batch_job_labels.c.key == key,
        )
        .scalar_subquery()
    )


def _key(name: BatchJobName) -> dict[str, str]:
    return {
        "project": name.parent.project,
        "location": name.parent.location,
        "job_id": name.job,
    }


def _is(name: BatchJobName) -> sa.ColumnElement[bool]:
    return sa.and_(*(batch_jobs.c[key] == value for key, value in _key(name).items()))
