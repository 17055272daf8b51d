"""The verbs on batch prediction jobs: they write what is wanted, the runner does it."""

import dataclasses
import datetime as dt
import re
from collections.abc import Callable
from typing import Final, Protocol

from homeport.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from homeport.jobs import chronicle, outputs
from homeport.jobs.inputs import Inputs
from homeport.jobs.ledger import folder_of, split_prefix
from homeport.metadata import batch_job_rows
from homeport.metadata.database import Database, Transaction
from homeport.registry import catalog
from homeport.registry.journal import Journal
from homeport.registry.operations import Operations
from homeport.registry.paging import Pager, PageRequest
from homeport.resources.batch_job import (
    BatchJob,
    BatchJobName,
    BatchJobSpec,
    JobState,
    check_spec,
)
from homeport.resources.bucket import check_object_name
from homeport.resources.change import ANONYMOUS
from homeport.resources.endpoint import DedicatedResources
from homeport.resources.labels import check_labels
from homeport.resources.model import (
    ModelVersion,
    check_display_name,
)
from homeport.resources.names import Parent
from homeport.resources.operation import Operation, OperationKind

_ORDER: Final = ("create_time", "update_time")
_PREFIX: Final = re.compile(r"gs://[^/]+(?:/.*)?", re.DOTALL)


class Carrier(Protocol):
    """Carries jobs out; `homeport.jobs.runner.Runner` does."""

    def check_servable(
        self, version: ModelVersion, machine: DedicatedResources
    ) -> tuple[str, ...]:
        """Refuse a version that nothing here can serve; return what is lacking here."""

    def take_up(self, name: BatchJobName) -> None:
        """Begin with a job that is new."""

    def cancel(self, name: BatchJobName) -> None:
        """End a job whose row says so."""

    def forget(self, name: BatchJobName) -> None:
        """Remove what is left of a job that is gone."""

    def log_tail(self, name: BatchJobName, lines: int) -> list[str]:
        """Return up to `lines` of a job's last log lines."""


class BatchJobs:
    """The jobs of one server.

    The verbs block on the database and are called on threads.

    Args:
        database: Where they are written.
        operations: The ledger of promises.
        pager: Cuts lists into pages.
        inputs: Knows what can be read.
        clock: The time, aware, and a maker of ids that were never used.
        carrier: Carries them out.
    """

    def __init__(
        self,
        database: Database,
        operations: Operations,
        pager: Pager,
        inputs: Inputs,
        clock: tuple[Callable[[], dt.datetime], Callable[[], str]],
        carrier: Carrier,
    ) -> None:
        self._database = database
        self._operations = operations
        self._pager = pager
        self._inputs = inputs
        self._now, self._new_id = clock
        self._carrier = carrier

    def create(
        self, parent: Parent, spec: BatchJobSpec, *, caller: str = ANONYMOUS
    ) -> BatchJob:
        """Return a new job, which begins when its turn comes.

        Args:
            parent: Project and location.
            spec: What it shall do.
            caller: Who asks, for the history.

        Raises:
            InvalidArgumentError: A name, label or address breaks its rules, or what
                is asked for cannot go together.
            NotFoundError: No such version, or no such bucket.
            FailedPreconditionError: The version has nothing that predicts here, or the
                host lacks what is asked for and that is to be refused.
            UnimplementedError: Its image, or a field of its container, is not for here.
        """
        check_display_name(spec.display_name)
        check_labels(spec.labels)
        check_spec(spec)
        self._check_output(spec.output_prefix)
        self._inputs.check(spec.uris)
        now = self._now()
        with self._database.transaction() as transaction:
            version = catalog.resolve(transaction, spec.model)
            lacking = self._carrier.check_servable(version, spec.machine)
            folder = folder_of(spec, version.display_name, now)
            check_object_name(f"{folder}/{outputs.ERRORS}")
            job = BatchJob(
                name=BatchJobName(parent, self._new_id()),
                spec=dataclasses.replace(
                    spec, model=version.name, warnings=spec.warnings + lacking
                ),
                state=JobState.QUEUED,
                model_display_name=version.display_name,
                create_time=now,
                update_time=now,
            )
            batch_job_rows.insert(transaction, job, self._operations.owner)
            chronicle.note(Journal(transaction, caller, now), None, job)
        self._carrier.take_up(job.name)
        return job

    def get(self, name: BatchJobName) -> BatchJob:
        """Return a job.

        Raises:
            NotFoundError: No such job.
        """
        with self._database.snapshot() as transaction:
            return _require(transaction, name)

    def list_jobs(
        self, parent: Parent, request: PageRequest
    ) -> tuple[list[BatchJob], str]:
        """Return one page of jobs, newest first by default, and the next token.

        Raises:
            InvalidArgumentError: A bad filter, order, page size or token.
        """
        with self._database.snapshot() as transaction:
            return self._pager.page(
                _newest_first(request),
                _ORDER,
                lambda page: batch_job_rows.list_page(transaction, parent, page),
                batch_job_rows.position,
            )

    def log_tail(self, name: BatchJobName, lines: int) -> list[str]:
        """Return up to `lines` of the last lines that a job's replicas printed here.

        Raises:
            NotFoundError: No such job.
        """
        self.get(name)
        return self._carrier.log_tail(name, lines)

    def cancel(self, name: BatchJobName, *, caller: str = ANONYMOUS) -> None:
        """End a job; what it has predicted is forgotten. One that has ended stays.

        Raises:
            NotFoundError: No such job.
        """
        with self._database.transaction() as transaction:
            job = _require(transaction, name)
            if job.state.is_final:
                return
            self._turn(transaction, job, JobState.CANCELLING, caller)
        self._carrier.cancel(name)

    def resume(self, name: BatchJobName, *, caller: str = ANONYMOUS) -> BatchJob:
        """Let a job that has failed try again, from where it was if that is kept.

        Raises:
            NotFoundError: No such job.
            FailedPreconditionError: It has not failed, or wrote its output.
        """
        with self._database.transaction() as transaction:
            job = _require(transaction, name)
            if job.state is not JobState.FAILED or job.output_directory:
                has = " and has its output" if job.output_directory else ""
                raise FailedPreconditionError(
                    f"{name} is {job.state}{has}: only a job that failed before its "
                    "output was there is resumed; create another one",
                    resource=str(name),
                )
            # No replica ran between the failure and now.
            job = dataclasses.replace(job, failure=None, start_time=None, end_time=None)
            job = self._turn(transaction, job, JobState.QUEUED, caller)
        self._carrier.take_up(name)
        return job

    def delete(self, name: BatchJobName, *, caller: str = ANONYMOUS) -> Operation:
        """Forget a job that has ended; its output stays.

        Raises:
            NotFoundError: No such job.
            FailedPreconditionError: It has not ended.
        """
        with self._database.transaction() as transaction:
            job = _require(transaction, name)
            if not job.state.is_final:
                raise FailedPreconditionError(
                    f"{name} is {job.state}: cancel it or wait, then delete it",
                    resource=str(name),
                )
            batch_job_rows.delete(transaction, name)
            chronicle.note(Journal(transaction, caller, self._now()), job, None)
            operation = self._operations.promise(
                transaction, OperationKind.DELETE_BATCH_PREDICTION_JOB, name.parent
            )
            operation = self._operations.fulfil(transaction, operation, {})
        self._carrier.forget(name)
        return operation

    def _turn(
        self, transaction: Transaction, job: BatchJob, state: JobState, caller: str
    ) -> BatchJob:
        """Write that somebody wants a job in another state."""
        now = self._now()
        turned = dataclasses.replace(job, state=state, update_time=now)
        batch_job_rows.update(transaction, turned)
        chronicle.note(Journal(transaction, caller, now), job, turned)
        return turned

    def _check_output(self, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise InvalidArgumentError(
                f"output_config.gcs_destination.output_uri_prefix is {prefix!r:.200}: "
                "expected gs://bucket/prefix"
            )
        self._inputs.check_bucket(split_prefix(prefix)[0])


def _newest_first(request: PageRequest) -> PageRequest:
    if request.query.order_by:
        return request
    query = dataclasses.replace(request.query, order_by="create_time desc")
    return dataclasses.replace(request, query=query)


def _require(transaction: Transaction, name: BatchJobName) -> BatchJob:
    job = batch_job_rows.get(transaction, name)
    if job is None:
        raise NotFoundError(f"job {name} was not found", resource=str(name))
    return job
