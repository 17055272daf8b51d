"""How jobs stand, written down: each method is one look or one transaction.

Crash safety: the output's blobs are whole before the transaction that names them, which
is the one that ends the job; so a job that has ended has its output, and one that has
not has none. A server writes only of jobs that are its own: one that was away for so
long that another took its jobs over finds that out with the next thing it writes.
"""

import dataclasses
import datetime as dt
import logging
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from homeport.errors import Code, FailedPreconditionError, HomeportError
from homeport.jobs import chronicle, outputs
from homeport.metadata import (
    batch_job_rows,
    bucket_rows,
    server_rows,
    skeleton_rows,
)
from homeport.metadata.database import Database, Transaction
from homeport.objects.blobs import Blobs, BlobWriter
from homeport.registry import buckets
from homeport.registry.journal import Journal
from homeport.resources.batch_job import (
    BatchJob,
    BatchJobName,
    BatchJobSpec,
    JobState,
    Tally,
)
from homeport.resources.bucket import Conditions, Content, NewObject
from homeport.resources.change import SERVER
from homeport.resources.operation import Failure
from homeport.telemetry import Metrics

_log: Final = logging.getLogger(__name__)
_BLOCK_BYTES: Final = 1 << 20
_CANCELLED: Final = Failure(Code.CANCELLED, "it was cancelled")
_IF_NEW: Final = Conditions(generation_match=0)
_NOT_IN_NAMES: Final = re.compile(r"[^\w.-]+")
_NEXT_MOMENT: Final = dt.timedelta(milliseconds=1)
_TYPES: Final = {"contentType": "application/octet-stream"}


class Ledger:
    """The rows of jobs, and the objects they become.

    Args:
        database: Where the rows are.
        blobs: Where the bytes of outputs go.
        now: The time, aware.
        owner: The id of this server, which carries out the jobs that begin here.
        metrics: Told of rows and jobs.
        quota_bytes: What the objects of one bucket may have together, None for no
            limit.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        now: Callable[[], dt.datetime],
        owner: str,
        metrics: Metrics,
        quota_bytes: int | None = None,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._now = now
        self._owner = owner
        self._metrics = metrics
        self._quota_bytes = quota_bytes

    def own(self) -> list[BatchJob]:
        """Return the jobs that are this server's and have not ended, oldest first.

        Those of servers that are gone become its own.
        """
        with self._database.snapshot() as transaction:
            others = server_rows.alive(transaction) - {self._owner}
            found = batch_job_rows.unfinished(transaction, others)
            ours = batch_job_rows.unfinished(transaction, others | {self._owner})
        if ours:
            with self._database.transaction() as transaction:
                others = server_rows.alive(transaction) - {self._owner}
                found = batch_job_rows.unfinished(transaction, others)
                for job in found:
                    batch_job_rows.set_owner(transaction, job.name, self._owner)
        return found

    def move(self, name: BatchJobName, state: JobState) -> BatchJob | None:
        """Return a job in its next state; None if it shall not go on."""
        with self._database.transaction() as transaction:
            job = self._going_on(transaction, name)
            if job is None:
                return None
            now = self._now()
            started = job.start_time
            if state is JobState.RUNNING and started is None:
                started = now
            job = dataclasses.replace(
                job, state=state, start_time=started, update_time=now
            )
            batch_job_rows.update(transaction, job)
            return job

    def progress(self, name: BatchJobName, tally: Tally) -> BatchJob | None:
        """Write how far a job is; None if it shall not go on."""
        with self._database.transaction() as transaction:
            before = self._going_on(transaction, name)
            if before is None:
                return None
            job = dataclasses.replace(before, tally=tally, update_time=self._now())
            batch_job_rows.update(transaction, job)
        self._count(before.tally, tally)
        return job

    def end_cancelled(self, name: BatchJobName) -> bool:
        """Write that a job was cancelled, if its row says so; tell whether it does."""
        with self._database.transaction() as transaction:
            job = batch_job_rows.get(transaction, name, self._owner)
            if job is None or job.state is not JobState.CANCELLING:
                return False
            ended = self._end_cancelled(transaction, job)
        self._observe(ended)
        return True

    def fail(self, name: BatchJobName, error: BaseException) -> None:
        """Write that a job failed; one that was cancelled meanwhile was cancelled.

        An exception that is not a `HomeportError` is a bug: it is logged whole and
        reported without its message.
        """
        failure = Failure(Code.INTERNAL, "internal error; the server's log has it")
        if isinstance(error, HomeportError):
            failure = Failure(error.code, error.message)
        else:
            _log.error("job %s failed", name, exc_info=error)
        with self._database.transaction() as transaction:
            job = batch_job_rows.get(transaction, name, self._owner)
            if job is None or job.state.is_final:
                return
            if job.state is JobState.CANCELLING:
                ended = self._end_cancelled(transaction, job)
            else:
                job = dataclasses.replace(job, failure=failure)
                ended = self._end(transaction, job, JobState.FAILED)
        self._observe(ended)

    def publish(
        self, name: BatchJobName, tally: Tally, paths: Sequence[pathlib.Path]
    ) -> BatchJob | None:
        """Make the output objects of the job's folder and end the job, as one.

        None is returned, and nothing made, for a job that shall not go on.

        Args:
            name: The job.
            tally: What is in the output.
            paths: The results and the errors.

        Raises:
            HomeportError: The output cannot be written there.
        """
        contents = self._store(paths)
        with self._database.transaction() as transaction:
            before = self._going_on(transaction, name)
            if before is None:
                return None
            failure = _failure(tally)
            job = dataclasses.replace(
                before,
                tally=dataclasses.replace(tally, incomplete=0),
                output_directory=self._write(transaction, before, contents),
                # Of one that was resumed, and predicted nothing more.
                start_time=before.start_time or self._now(),
                failure=failure,
            )
            state = JobState.SUCCEEDED if failure is None else JobState.FAILED
            ended = self._end(transaction, job, state)
        self._count(before.tally, tally)
        self._observe(ended)
        return ended

    def _store(self, paths: Sequence[pathlib.Path]) -> list[Content]:
        """Return the contents of files, each a blob now.

        All of them become blobs when all are read: nothing needs the first one yet, and
        who sweeps may not find it unused for long.
        """
        writers: list[BlobWriter] = []
        try:
            for path in paths:
                writer = self._blobs.begin()
                writers.append(writer)
                for block in _blocks(path):
                    writer.write(block)
            return [writer.commit() for writer in writers]
        finally:
            for writer in writers:
                # After a commit there is nothing left to forget.
                writer.abort()

    def _write(
        self, transaction: Transaction, job: BatchJob, contents: Sequence[Content]
    ) -> str:
        bucket, now = split_prefix(job.spec.output_prefix)[0], self._now()
        folder = _free_folder(transaction, job, now)
        for name, content in zip(
            (outputs.RESULTS, outputs.ERRORS), contents, strict=True
        ):
            new = NewObject(bucket, f"{folder}/{name}", _TYPES, _IF_NEW)
            buckets.write_row(transaction, new, content, now, self._quota_bytes)
            skeleton_rows.note_written(transaction, content.sha256)
        return f"gs://{bucket}/{folder}"

    def _going_on(
        self, transaction: Transaction, name: BatchJobName
    ) -> BatchJob | None:
        job = batch_job_rows.get(transaction, name, self._owner)
        if job is None or job.state.is_final or job.state is JobState.CANCELLING:
            return None
        return job

    def _end_cancelled(self, transaction: Transaction, job: BatchJob) -> BatchJob:
        # BatchPredictionJob.error (aiplatform v1): of failed and of cancelled jobs.
        job = dataclasses.replace(job, failure=_CANCELLED)
        return self._end(transaction, job, JobState.CANCELLED)

    def _end(
        self, transaction: Transaction, job: BatchJob, state: JobState
    ) -> BatchJob:
        now = self._now()
        ended = dataclasses.replace(job, state=state, update_time=now, end_time=now)
        batch_job_rows.update(transaction, ended)
        chronicle.note(Journal(transaction, SERVER, now), job, ended)
        return ended

    def _count(self, before: Tally, after: Tally) -> None:
        # A job that begins again has fewer than were written down.
        self._metrics.count_rows(
            max(0, after.succeeded - before.succeeded),
            max(0, after.failed - before.failed),
        )

    def _observe(self, ended: BatchJob) -> None:
        ran = ended.update_time - (ended.start_time or ended.update_time)
        self._metrics.observe_job(ended.state.value, ran.total_seconds())


def split_prefix(prefix: str) -> tuple[str, str]:
    """Return the bucket of an output prefix and its path, which ends in "/" or is "".

    Raises:
        FailedPreconditionError: It is none; creating a job has refused it before.
    """
    bucket, _, path = prefix.removeprefix("gs://").partition("/")
    if not bucket:
        raise FailedPreconditionError(f"{prefix!r} is no gs://bucket/prefix")
    return bucket, f"{path.rstrip('/')}/" if path.strip("/") else ""


def folder_of(spec: BatchJobSpec, model_display_name: str, now: dt.datetime) -> str:
    """Return the folder of a job's output in its bucket, if it ends at that time."""
    # As real jobs name it, of the model and the time.
    time = f"{now:%Y_%m_%dT%H_%M_%S}_{now.microsecond // 1000:03d}Z"
    shown = _NOT_IN_NAMES.sub("-", model_display_name)
    return f"{split_prefix(spec.output_prefix)[1]}prediction-{shown}-{time}"


def _free_folder(transaction: Transaction, job: BatchJob, now: dt.datetime) -> str:
    """Return a folder that no job has which ended in the same moment."""
    bucket = split_prefix(job.spec.output_prefix)[0]
    while True:
        folder = folder_of(job.spec, job.model_display_name, now)
        results = f"{folder}/{outputs.RESULTS}"
        if bucket_rows.get_object(transaction, bucket, results) is None:
            return folder
        now += _NEXT_MOMENT


def _failure(tally: Tally) -> Failure | None:
    """Return why a job has failed though it came to its end."""
    if tally.succeeded:
        return None
    if not tally.failed:
        return Failure(
            Code.INVALID_ARGUMENT, "the input has no instances: write some into it"
        )
    first = tally.failures[0]
    return Failure(
        first.code,
        f"none of {tally.failed} instances has a prediction, the first for this "
        f"reason: {first.message}",
    )


def _blocks(path: pathlib.Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block
