"""A request that may be done twice goes elsewhere when its replica dies under it."""

import asyncio
from collections.abc import Callable

from homeport.errors import HomeportError, UnavailableError
from homeport.worker.replica import Reply


def once(submit: Callable[[], asyncio.Future[Reply]]) -> asyncio.Future[Reply]:
    """Return the answer to a request that is submitted again if its replica dies.

    The second answer stands, whatever it is. Cancelling what is returned cancels the
    request.

    Args:
        submit: Submits the request, and returns the future of its answer.

    Raises:
        HomeportError: What `submit` raises the first time.
    """
    answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    first = submit()
    answer.add_done_callback(lambda _: first.cancel())

    def again(done: asyncio.Future[Reply]) -> None:
        failed = None if done.cancelled() else done.exception()
        # A model that answers with that code has answered.
        if answer.done() or not isinstance(failed, UnavailableError):
            _settle(answer, done)
            return
        try:
            second = submit()
        except HomeportError as error:
            answer.set_exception(error)
            return
        answer.add_done_callback(lambda _: second.cancel())
        second.add_done_callback(lambda ended: _settle(answer, ended))

    first.add_done_callback(again)
    return answer


def _settle(answer: asyncio.Future[Reply], done: asyncio.Future[Reply]) -> None:
    """Give `answer` what came of `done`."""
    if answer.done():
        if not done.cancelled():
            # Nobody is left to hear of a failure.
            done.exception()
        return
    if done.cancelled():
        answer.cancel()
        return
    failed = done.exception()
    if failed is None:
        answer.set_result(done.result())
    else:
        answer.set_exception(failed)
