"""Bad rows fail alone, whatever they do to the model, and good ones never with them."""

import asyncio
import json
from typing import Any, final

import orjson
import pytest

from homeport.errors import (
    Code,
    DeadlineExceededError,
    HomeportError,
    ResourceExhaustedError,
    UnavailableError,
)
from homeport.jobs.outputs import Answered
from homeport.jobs.predicting import Predicting
from homeport.jobs.rows import Failed, Rows
from homeport.jobs.tuning import BatchSize
from homeport.worker.replica import Reply


@final
class FakeModel:
    """Doubles numbers; raises for "bad", dies of "deadly", miscounts "odd".

    Attributes:
        bodies: What it was sent.
        fits: The most rows it has memory for.
        slow: The most rows it is done with in time.
        answer: What it says instead of doubles.
    """

    def __init__(self, fits: int = 1000) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.fits = fits
        self.slow = 1000
        self.answer = b""
        self.ready_replicas = 1
        self.failure: HomeportError | None = None

    def submit(self, body: bytes) -> asyncio.Future[Reply]:
        self.bodies.append(json.loads(body))
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        rows = self.bodies[-1]["instances"]
        if "deadly" in rows:
            reply.set_exception(UnavailableError("the replica ended"))
        elif self.answer:
            reply.set_result(Reply(0, self.answer))
        elif len(rows) > self.slow:
            reply.set_exception(DeadlineExceededError("no answer within 600 s"))
        elif len(rows) > self.fits:
            error = ResourceExhaustedError("the handler raised MemoryError")
            reply.set_result(Reply(error.code, error.message.encode()))
        elif "bad" in rows:
            reply.set_result(Reply(Code.INTERNAL, b"the handler raised ValueError"))
        elif "odd" in rows:
            reply.set_result(Reply(0, b"[1,2,3]"))
        else:
            reply.set_result(Reply(0, orjson.dumps([2 * row for row in rows])))
        return reply

    @property
    def asked(self) -> list[list[Any]]:
        return [body["instances"] for body in self.bodies]


def predicted(
    model: FakeModel, *values: object, patience_s: float = 0.0
) -> tuple[list[Any], list[tuple[Any, Code]], Predicting]:
    """Return the predictions, the failures, and who asked."""
    texts = [orjson.dumps(value) for value in values]
    asking = Predicting(model, None, BatchSize.of(0), patience_s)
    outcome = asyncio.run(asking.predict(Rows(texts, texts)))
    good = [
        json.loads(prediction)
        for one in outcome
        if isinstance(one, Answered)
        for prediction in one.predictions
    ]
    bad = [
        (json.loads(one.told), one.failure.code)
        for one in outcome
        if isinstance(one, Failed)
    ]
    return good, bad, asking


@final
class Neighbourhood:
    """One replica that has all requests of a moment, and with them their fate.

    Those with a "deadly" row take the others along; "stuck" ones let them run late.
    """

    def __init__(self) -> None:
        self.ready_replicas = 1
        self.failure: HomeportError | None = None
        self.most = 0
        self._here: list[tuple[list[Any], asyncio.Future[Reply]]] = []

    def submit(self, body: bytes) -> asyncio.Future[Reply]:
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Reply] = loop.create_future()
        if not self._here:
            loop.call_soon(loop.call_soon, self._answer)
        self._here.append((json.loads(body)["instances"], reply))
        self.most = max(self.most, len(self._here))
        return reply

    def _answer(self) -> None:
        here, self._here = self._here, []
        everything = [row for rows, _ in here for row in rows]
        for rows, reply in here:
            if "deadly" in everything:
                reply.set_exception(UnavailableError("the replica ended"))
            elif "stuck" in everything:
                reply.set_exception(DeadlineExceededError("no answer within 600 s"))
            else:
                reply.set_result(Reply(0, orjson.dumps(rows)))


def test_rows_are_asked_for_together() -> None:
    model = FakeModel()

    good, bad, _ = predicted(model, 1, 2, 3)

    assert (good, bad) == ([2, 4, 6], [])
    assert model.asked == [[1, 2, 3]]


def test_nothing_is_asked_for_nothing() -> None:
    model = FakeModel()

    assert predicted(model)[:2] == ([], [])
    assert model.asked == []


def test_parameters_go_with_every_request() -> None:
    model = FakeModel()
    asking = Predicting(model, {"top_k": 3}, BatchSize.of(0), 0.0)

    asyncio.run(asking.predict(Rows([b"1"], [b"1"])))

    assert model.bodies == [{"instances": [1], "parameters": {"top_k": 3}}]


def test_a_bad_row_fails_alone() -> None:
    model = FakeModel()

    good, bad, _ = predicted(model, 1, 2, "bad", 3, 4, 5, 6, 7)

    assert good == [2, 4, 6, 8, 10, 12, 14]
    assert bad == [("bad", Code.INTERNAL)]
    assert len(model.asked) == 7


def test_a_row_that_replicas_die_of_fails_alone_and_is_tried_twice() -> None:
    model = FakeModel()

    good, bad, _ = predicted(model, 1, "deadly", 3)

    assert (good, bad) == ([2, 6], [("deadly", Code.UNAVAILABLE)])
    assert model.asked.count(["deadly"]) == 2


def test_a_wrong_number_of_predictions_is_an_error_of_the_row() -> None:
    good, bad, _ = predicted(FakeModel(), 1, "odd")

    assert (good, bad) == ([2], [("odd", Code.INTERNAL)])


def test_too_many_rows_for_the_memory_are_halved_and_so_are_later_requests() -> None:
    model = FakeModel(fits=2)

    good, bad, asking = predicted(model, 1, 2, 3, 4, 5)

    assert (good, bad) == ([2, 4, 6, 8, 10], [])
    assert asking.size.size <= 2


@pytest.mark.parametrize("failure", [None, ResourceExhaustedError("no memory")])
def test_a_job_gives_up_where_nobody_answers(failure: HomeportError | None) -> None:
    model = FakeModel()
    model.ready_replicas = 0
    model.failure = failure

    with pytest.raises(type(failure) if failure else UnavailableError):
        predicted(model, 1, patience_s=0.01)

    assert model.asked == []


def test_a_job_waits_for_the_next_replica() -> None:
    async def scenario() -> list[Answered | Failed]:
        model = FakeModel()
        model.ready_replicas = 0
        asking = Predicting(model, None, BatchSize.of(0), 60.0)
        waiting = asyncio.create_task(asking.predict(Rows([b"1"], [b"1"])))
        await asyncio.sleep(0)
        assert model.asked == []
        model.ready_replicas = 1
        return await asyncio.wait_for(waiting, 60)

    (answered,) = asyncio.run(scenario())

    assert isinstance(answered, Answered)
    assert answered.predictions == [b"2"]


@pytest.mark.parametrize(
    ("row", "code"),
    [("deadly", Code.UNAVAILABLE), ("stuck", Code.DEADLINE_EXCEEDED)],
)
def test_rows_in_work_beside_one_that_ends_replicas_do_not_fail_with_it(
    row: str, code: Code
) -> None:
    rows: list[Any] = [*range(20), row, *range(21, 40)]
    model = Neighbourhood()

    async def scenario() -> list[list[Answered | Failed]]:
        asking = Predicting(model, None, BatchSize.of(1), 60.0)
        texts = [orjson.dumps(value) for value in rows]
        requests = [asking.predict(Rows([text], [text])) for text in texts]
        return list(await asyncio.gather(*requests))

    outcome = asyncio.run(scenario())

    failed = [one for (one,) in outcome if isinstance(one, Failed)]
    assert [(one.told, one.failure.code) for one in failed] == [
        (orjson.dumps(row), code)
    ]
    assert model.most == 4


def test_what_takes_too_long_is_halved_and_so_are_later_requests() -> None:
    model = FakeModel()
    model.slow = 2

    good, bad, asking = predicted(model, 1, 2, 3, 4, 5)

    assert (good, bad) == ([2, 4, 6, 8, 10], [])
    assert asking.size.size <= 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [(b"[NaN]", "is no JSON:"), (b'{"a":1}', "is no JSON list")],
)
def test_an_answer_that_is_no_list_of_json_is_an_error_of_the_row(
    answer: bytes, said: str
) -> None:
    model = FakeModel()
    model.answer = answer
    asking = Predicting(model, None, BatchSize.of(0), 0.0)

    (failed,) = asyncio.run(asking.predict(Rows([b"1"], [b"1"])))

    assert isinstance(failed, Failed)
    assert failed.failure.code is Code.INTERNAL
    assert said in failed.failure.message


def test_a_long_answer_is_taken_apart_as_a_short_one() -> None:
    model = FakeModel()
    row = "x" * 200_000

    good, bad, _ = predicted(model, row, row)

    assert bad == []
    assert good == [row * 2, row * 2]
