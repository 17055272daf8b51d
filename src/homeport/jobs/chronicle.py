"""What the history of a model keeps of the batch predictions with its versions."""

from typing import Any

from homeport.registry.journal import Journal, of_model
from homeport.resources.batch_job import BatchJob
from homeport.resources.change import ChangeKind


def note(journal: Journal, before: BatchJob | None, after: BatchJob | None) -> None:
    """Write that a job is not as before; None for where it is not there."""
    one = after or before
    if one is None:
        raise RuntimeError("a change of no job at all")
    journal.note(
        of_model(one.spec.model, ChangeKind.BATCH_PREDICTION_JOB, one.name.job),
        None if before is None else _words(before),
        None if after is None else _words(after),
    )


def _words(job: BatchJob) -> dict[str, Any]:
    words: dict[str, Any] = {
        "model": str(job.spec.model),
        "displayName": job.spec.display_name,
        "state": job.state.value,
    }
    if job.state.is_final:
        words |= {
            "successfulCount": job.tally.succeeded,
            "failedCount": job.tally.failed,
        }
    return words
