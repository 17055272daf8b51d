"""The worker's part of a check: it imports, loads, predicts, and is measured.

One worker for all of it, the one that serves; it has ended when `run` returns.
"""

import asyncio
import collections
import dataclasses
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from homeport.archive.golden import Golden
from homeport.checking import batching, comparison, failures, measuring
from homeport.checking.asking import Asked
from homeport.checking.course import Course
from homeport.checking.failures import Allowance, Failure
from homeport.checking.report import Batching, BatchingProof, Measures, StageName
from homeport.errors import HomeportError
from homeport.worker.examination import Step
from homeport.worker.replica import Replica, ReplicaEndedError, ReplicaSpec

_T = TypeVar("_T")
_STOP_GRACE_S: Final = 2.0
_LINES_KEPT: Final = 5
_OF_A_SAMPLE: Final = (
    StageName.PREDICT,
    StageName.COMPARE,
    StageName.SERIALIZE,
    StageName.BATCH,
)
NO_SAMPLE: Final = "there is no sample: pack or give one with --sample"
NOT_REACHED: Final = BatchingProof(Batching.UNPROVEN, "the check did not get so far")


class Trial:
    """One worker on trial.

    Args:
        course: Where its stages are noted.
        spec: What to run.
        golden: The sample, None for no prediction.
        allowed: The time for import and load together, and for each prediction.
        on_predictions: Receives the answer to the sample, a JSON object's text.

    Attributes:
        proof: Whether requests may share a call, as far as it is known.
        warnings: What may surprise later, one sentence each.
        measures: What was measured of the worker so far.
        measuring_s: Seconds that this took.
    """

    def __init__(
        self,
        course: Course,
        spec: ReplicaSpec,
        golden: Golden | None,
        allowed: Allowance,
        on_predictions: Callable[[str], None],
    ) -> None:
        self._course = course
        self._spec = spec
        self._golden = golden
        self._on_predictions = on_predictions
        self._printed: collections.deque[str] = collections.deque(maxlen=_LINES_KEPT)

        self.proof = NOT_REACHED
        self.measures = Measures()
        self.measuring_s = 0.0
        self.warnings: tuple[str, ...] = ()
        self._allowed = allowed

    async def run(self) -> None:
        """Run all stages from the import on, but the last, which is only numbers.

        Raises:
            StageFailedError: One of them failed.
        """
        replica, seconds = await self._start()
        try:
            self._course.pass_(StageName.LOAD, seconds)
            await self._predict(replica)
        finally:
            # Of the worker as it is now: it says nothing more once it has ended.
            peak = measuring.peak_memory_bytes(replica.report.pid)
            self.measures = dataclasses.replace(self.measures, peak_memory_bytes=peak)
            replica.kill("checked")
            await asyncio.wait({replica.closed}, timeout=_STOP_GRACE_S)

    async def _start(self) -> tuple[Replica, float]:
        """Return the loaded worker, and the seconds that loading took."""
        began, stage = time.perf_counter(), StageName.IMPORT

        def on_imported() -> None:
            nonlocal began, stage
            now = time.perf_counter()
            self._course.pass_(stage, now - began)
            began, stage = now, StageName.LOAD

        try:
            replica = await Replica.start(
                self._spec, on_log=self._printed.extend, on_imported=on_imported
            )
        except HomeportError as error:
            failure = self._failure(stage, error)
            self._course.fail(stage, time.perf_counter() - began, failure)
        return replica, time.perf_counter() - began

    async def _predict(self, replica: Replica) -> None:
        self.measures = Measures(
            import_s=replica.report.import_s, load_s=replica.report.load_s
        )
        limit_s = replica.report.response_timeout_s
        if limit_s is not None and limit_s <= self._allowed.seconds:
            self._allowed = Allowance(limit_s, replica.report.response_timeout_source)
        golden = self._golden
        if golden is None:
            self.proof = BatchingProof(Batching.UNPROVEN, NO_SAMPLE)
            for name in _OF_A_SAMPLE:
                self._course.skip(name, NO_SAMPLE)
            return
        asked = Asked(replica, self._allowed.seconds)
        predictions = await self._predict_sample(asked, golden)
        size = replica.report.batch_size
        await self._prove_batching(asked, golden, predictions, size)
        began = time.perf_counter()
        latency_s = await self._guarded(
            StageName.MEASURE, measuring.latency_s(asked, golden.body)
        )
        self.measuring_s = time.perf_counter() - began
        self.measures = dataclasses.replace(self.measures, latency_s=latency_s)

    async def _predict_sample(self, asked: Asked, golden: Golden) -> list[Any]:
        began = time.perf_counter()
        examined = await self._guarded(StageName.PREDICT, asked.examine([golden.body]))
        seconds = time.perf_counter() - began
        if examined.failed_in in {Step.REQUEST, Step.HANDLER}:
            self._course.fail(StageName.PREDICT, seconds, failures.refused(examined))
        self._course.pass_(StageName.PREDICT, seconds - examined.result_s)
        if examined.failed_in is not None:
            self._course.skip(StageName.COMPARE, "the result is no JSON")
            failure = failures.not_sendable(examined)
            self._course.fail(StageName.SERIALIZE, examined.result_s, failure)
        predictions: list[Any] = json.loads(examined.predictions[0])
        self._on_predictions(f'{{"predictions": {examined.predictions[0]}}}\n')
        self._compare(golden, predictions)
        size = len(examined.predictions[0].encode())
        self._course.pass_(StageName.SERIALIZE, examined.result_s, f"{size:,} bytes")
        return predictions

    def _compare(self, golden: Golden, predictions: list[Any]) -> None:
        if golden.predictions is None:
            self._course.skip(
                StageName.COMPARE, "nobody said what to expect: give --expected"
            )
            return
        began = time.perf_counter()
        difference = comparison.differs(golden, predictions)
        seconds = time.perf_counter() - began
        if difference is not None:
            failure = failures.differs(difference)
            self._course.fail(StageName.COMPARE, seconds, failure)
        count = len(predictions)
        named = "1 prediction" if count == 1 else f"{count} predictions"
        self._course.pass_(StageName.COMPARE, seconds, f"{named} as expected")

    async def _prove_batching(
        self, asked: Asked, golden: Golden, predictions: list[Any], size: int
    ) -> None:
        began = time.perf_counter()
        pair = batching.choose_pair(golden, predictions)
        if isinstance(pair, BatchingProof):
            self.proof = pair
            self._course.skip(StageName.BATCH, pair.reason)
            return
        trial = batching.prove(asked, pair, comparison.tolerances_of(golden))
        result = await self._guarded(StageName.BATCH, trial)
        reason = self._course.clean(result.proof.reason)
        self.proof = dataclasses.replace(result.proof, reason=reason)
        seconds = time.perf_counter() - began
        if result.difference is not None and size > 1:
            failure = failures.mixes_requests(size, result.difference)
            self._course.fail(StageName.BATCH, seconds, failure)
        if result.proof.verdict is Batching.REFUTED and size > 1:
            self.warnings += (failures.batches_fail(size),)
        detail = f"{result.proof.verdict}: {result.proof.reason}"
        self._course.pass_(StageName.BATCH, seconds, detail)

    async def _guarded(self, stage: StageName, work: Coroutine[Any, Any, _T]) -> _T:
        """Return what `work` on the worker comes to.

        Raises:
            StageFailedError: A call took too long, or the worker ended.
        """
        began = time.perf_counter()
        try:
            return await work
        except (TimeoutError, HomeportError) as error:
            failure = self._failure(stage, error)
            self._course.fail(stage, time.perf_counter() - began, failure)

    def _failure(
        self, stage: StageName, error: HomeportError | TimeoutError
    ) -> Failure:
        printed = tuple(self._printed)
        if isinstance(error, ReplicaEndedError):
            return failures.ended(stage, error.how, printed)
        if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
            return failures.too_slow(stage, self._allowed, printed)
        return failures.told(error)
