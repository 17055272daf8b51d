"""Versions are laid out, and locked where they lack a lock, in nobody's way."""

import asyncio
import concurrent.futures
import dataclasses
import pathlib
import sys
import sysconfig
import threading
from collections.abc import Callable

import pytest

from fake_replicas import DEADLINE_S, until
from homeport.checking.apart import Subject
from homeport.checking.ending import Ending
from homeport.checking.report import Report, StageName, Verdict
from homeport.errors import CancelledError, FailedPreconditionError
from homeport.registry.intake import Checker, Intake
from homeport.registry.latelocks import LateLocks
from homeport.resources.check import CheckPolicy
from homeport.resources.endpoint import DedicatedResources
from homeport.resources.model import VersionSpec
from homeport.resources.names import ModelName
from homeport.serving.layingout import LayingOut
from homeport.serving.wanted import Stores, Wanted
from rooms import PARENT, PASSED, URI, Rooms, requiring

NAME = ModelName(PARENT, "m")
ASKED = DedicatedResources()
LOCK = (
    f"# python: {sys.version_info[0]}.{sys.version_info[1]}\n"
    f"# platform: {sysconfig.get_platform()}\n"
    "idna==3.10\n"
)
NOT_READ = dataclasses.replace(
    PASSED,
    stages=tuple(
        dataclasses.replace(
            stage, verdict=Verdict.FAILED, cause="nothing brings idna", remedy="Add it."
        )
        if stage.name is StageName.IMPORTS
        else stage
        for stage in PASSED.stages
    ),
)


class HangingChecker:
    """Ends no check until it is told to.

    Attributes:
        begun: What was asked of it.
        ended: What of that was ended.
    """

    def __init__(self) -> None:
        self.begun: list[Subject] = []
        self.ended: list[Subject] = []

    def check(
        self, read: Callable[[], pathlib.Path], subject: Subject, ending: Ending
    ) -> Report:
        del read
        told = threading.Event()
        with ending.by(told.set):
            self.begun.append(subject)
            assert told.wait(DEADLINE_S)
            self.ended.append(subject)
        raise CancelledError("the check was ended")


@pytest.fixture
def ready(rooms: Rooms) -> Rooms:
    """A version "m" with requirements, which nobody has checked."""
    rooms.put("first/model.mar", requiring())
    spec = VersionSpec("m", artifact_uri=URI)
    assert rooms.upload(spec, model_id="m").failure is None
    return rooms


def opened(rooms: Rooms, checker: Checker) -> LayingOut:
    now = rooms.clock.now
    intake = Intake(rooms.artifacts, checker, CheckPolicy.WARN, now)
    stores = Stores(
        rooms.database,
        rooms.operations,
        rooms.artifacts,
        rooms.directory / "logs",
        now,
        LateLocks(rooms.database, intake, now),
    )
    return LayingOut(Wanted(stores), 5.0)


def test_a_version_is_locked_once(ready: Rooms) -> None:
    ready.checker.finds = lambda: dataclasses.replace(PASSED, lock=LOCK)

    async def scenario() -> None:
        laying_out = opened(ready, ready.checker)

        launches = [await laying_out.lay_out(NAME, ASKED) for _ in range(2)]

        assert [one.lock for one in launches] == [LOCK, LOCK]
        assert len(ready.checker.asked) == 1
        laying_out.stop()

    asyncio.run(scenario())


def test_what_did_not_come_as_far_as_its_requirements_is_not_checked_again(
    ready: Rooms,
) -> None:
    ready.checker.finds = lambda: NOT_READ

    async def scenario() -> None:
        laying_out = opened(ready, ready.checker)
        with pytest.raises(FailedPreconditionError, match="cannot be met here"):
            await laying_out.lay_out(NAME, ASKED)

        with pytest.raises(FailedPreconditionError) as again:
            await laying_out.lay_out(NAME, ASKED)

        assert "its check failed at 'static imports'" in again.value.message
        assert "nothing brings idna. Add it." in again.value.message
        assert len(ready.checker.asked) == 1
        laying_out.stop()

    asyncio.run(scenario())


def test_checks_that_hang_hold_no_thread_of_the_loop_and_end_with_who_wants_them(
    ready: Rooms,
) -> None:
    checker = HangingChecker()

    async def scenario() -> None:
        threads = concurrent.futures.ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(threads)
        laying_out = opened(ready, checker)
        waiting = [
            asyncio.create_task(laying_out.lay_out(NAME, ASKED)) for _ in range(4)
        ]
        await until(lambda: len(checker.begun) == 2)

        async with asyncio.timeout(DEADLINE_S):
            free = await asyncio.to_thread(lambda: "free")
        for one in waiting:
            one.cancel()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        laying_out.stop()

        assert free == "free"
        assert [type(one) for one in outcomes] == [asyncio.CancelledError] * 4
        await until(lambda: len(checker.ended) == len(checker.begun))

    asyncio.run(scenario())
