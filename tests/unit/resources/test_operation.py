"""How an operation goes from its promise to its end."""

import datetime as dt

from homeport.errors import Code
from homeport.resources.names import OperationName, Parent
from homeport.resources.operation import (
    DeployStage,
    Failure,
    Operation,
    OperationKind,
)

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LATER = T0 + dt.timedelta(minutes=1)
NAME = OperationName(Parent("p", "us-central1"), "models/m", "1")


def _begun(kind: OperationKind = OperationKind.UPLOAD_MODEL) -> Operation:
    return Operation.begun(NAME, kind, ("b was stored",), T0)


def test_what_was_promised_has_not_ended() -> None:
    begun = _begun()

    assert not begun.done
    assert begun.warnings == ("b was stored",)
    assert (begun.create_time, begun.update_time) == (T0, T0)
    assert begun.stages == ()


def test_what_ends_well_names_what_it_made() -> None:
    ended = _begun().fulfilled({"model": "m"}, LATER)

    assert ended.done
    assert ended.failure is None
    assert ended.result == {"model": "m"}
    assert (ended.create_time, ended.update_time) == (T0, LATER)
    assert ended.stages == ()


def test_what_ends_badly_says_why() -> None:
    failure = Failure(Code.NOT_FOUND, "no bytes")

    ended = _begun().failed(failure, LATER)

    assert ended.done
    assert ended.failure == failure
    assert ended.update_time == LATER


def test_a_deployment_goes_through_stages_and_fails_at_one() -> None:
    begun = _begun(OperationKind.DEPLOY_MODEL)

    ended = begun.reached(DeployStage.STARTING_MODEL_SERVER, T0).failed(
        Failure(Code.INTERNAL, "it ended"), LATER
    )

    assert [(one.stage.value, one.time) for one in ended.stages] == [
        ("STARTING_DEPLOYMENT", T0),
        ("STARTING_MODEL_SERVER", T0),
        ("FAILED_TO_DEPLOY", LATER),
    ]
    assert ended.failure == Failure(
        Code.INTERNAL, "the deployment failed at STARTING_MODEL_SERVER: it ended"
    )


def test_warnings_and_failures_are_added_to_those_there_are() -> None:
    failure = Failure(Code.INTERNAL, "a replica")

    told = _begun().warned(("c was stored",)).warned((), (failure,))

    assert told.warnings == ("b was stored", "c was stored")
    assert told.failures == (failure,)
    assert not told.done
