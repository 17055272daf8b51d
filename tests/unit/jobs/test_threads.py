"""Work on a thread has ended when its caller goes on, cancelled or not."""

import asyncio
import threading

import pytest

from homeport.jobs.threads import to_its_end


def test_work_returns_what_it_returns() -> None:
    assert asyncio.run(to_its_end(divmod, 7, 2)) == (3, 1)


def test_a_cancellation_waits_for_the_end_of_the_work() -> None:
    began, may_end, ended = (threading.Event() for _ in range(3))

    def work() -> None:
        began.set()
        may_end.wait(60)
        ended.set()

    async def scenario() -> None:
        task = asyncio.create_task(to_its_end(work))
        await asyncio.to_thread(began.wait, 60)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=0.01)
        assert not done
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(scenario())
