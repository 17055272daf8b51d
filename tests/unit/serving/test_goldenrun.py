"""A replica is proven by its archive's sample before anybody else asks it."""

import asyncio
from collections.abc import Callable

import pytest

from fake_replicas import FakeReplica, until
from homeport.archive.golden import Golden
from homeport.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    HomeportError,
    UnavailableError,
)
from homeport.serving import goldenrun
from homeport.worker.protocol import Reply

SAMPLE = Golden({"instances": [[1, 2]]}, ([0.5, "cat"],))


def prove(
    sample: Golden, then: Callable[[FakeReplica], None], limit_s: float = 10.0
) -> tuple[FakeReplica, HomeportError | None]:
    """Prove a replica with which `then` happens once it is asked."""

    async def scenario() -> tuple[FakeReplica, HomeportError | None]:
        replica = FakeReplica()
        proof = asyncio.ensure_future(goldenrun.prove(replica, sample, limit_s))
        await until(lambda: bool(replica.bodies))
        then(replica)
        try:
            await asyncio.wait_for(proof, 10.0)
        except HomeportError as error:
            return replica, error
        return replica, None

    return asyncio.run(scenario())


def answering(payload: bytes, code: int = 0) -> Callable[[FakeReplica], None]:
    return lambda replica: replica.answer(reply=Reply(code, payload))


def test_a_replica_that_answers_as_the_sample_says_goes_on() -> None:
    replica, error = prove(SAMPLE, answering(b'[[0.5000001, "cat"]]'))

    assert error is None
    assert replica.bodies == [b'{"instances": [[1, 2]]}']
    assert replica.grace_s is None


def test_without_expected_predictions_any_answer_will_do() -> None:
    replica, error = prove(Golden({"instances": [1]}), answering(b"[7]"))

    assert error is None
    assert replica.grace_s is None


@pytest.mark.parametrize(
    ("then", "kind", "message"),
    [
        pytest.param(
            answering(b'[[0.75, "cat"]]'),
            FailedPreconditionError,
            "(predictions[0][0] is 0.75 where 0.5 was expected)",
            id="another number",
        ),
        pytest.param(
            answering(b"the handler raised KeyError: 'data'", 13),
            FailedPreconditionError,
            "was not answered (the handler raised KeyError: 'data')",
            id="an error of the handler",
        ),
        pytest.param(
            answering(b"{}"), FailedPreconditionError, "no JSON array", id="no array"
        ),
        pytest.param(
            answering(b"[1"), FailedPreconditionError, "no JSON array", id="no JSON"
        ),
        pytest.param(
            lambda replica: replica.die(), UnavailableError, "SIGKILL", id="its end"
        ),
    ],
)
def test_a_replica_that_does_not_is_ended(
    then: Callable[[FakeReplica], None], kind: type[HomeportError], message: str
) -> None:
    replica, error = prove(SAMPLE, then)

    assert isinstance(error, kind)
    assert message in error.message
    assert replica.grace_s == 0.0
    assert replica.closed.done()


def test_a_replica_that_does_not_answer_is_ended() -> None:
    replica, error = prove(SAMPLE, lambda _: None, limit_s=0.01)

    assert isinstance(error, DeadlineExceededError)
    assert "within 0.01 s" in error.message
    assert replica.grace_s == 0.0


def test_giving_up_the_proof_ends_the_replica() -> None:
    async def scenario() -> FakeReplica:
        replica = FakeReplica()
        proof = asyncio.ensure_future(goldenrun.prove(replica, SAMPLE, 10.0))
        await until(lambda: bool(replica.bodies))
        proof.cancel()
        with pytest.raises(asyncio.CancelledError):
            await proof
        return replica

    assert asyncio.run(scenario()).grace_s == 0.0
