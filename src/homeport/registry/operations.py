"""Long-running operations: promised, carried out in the background, and looked up."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import datetime as dt
import functools
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from homeport.errors import (
    CancelledError,
    Code,
    FailedPreconditionError,
    HomeportError,
    NotFoundError,
    UnimplementedError,
)
from homeport.metadata import operation_rows, server_rows
from homeport.metadata.database import Database, Transaction
from homeport.registry.paging import Pager, PageRequest
from homeport.registry.waiting import Waiting
from homeport.resources.change import SERVER
from homeport.resources.names import OperationName, Parent
from homeport.resources.operation import (
    DeployStage,
    Failure,
    Operation,
    OperationKind,
)

_log: Final = logging.getLogger(__name__)
# How long ended operations can still be asked for.
_KEPT_FOR: Final = dt.timedelta(days=30)
# Who waits is woken when this server ends the operation; others' are looked for.
_POLL_S: Final = 0.5
_WORKERS: Final = 4
_LONG_WORKERS: Final = 2
# The reconciler ends these.
_OF_REPLICAS: Final = frozenset(
    {OperationKind.DEPLOY_MODEL, OperationKind.UNDEPLOY_MODEL}
)

_INTERRUPTED: Final = Failure(
    Code.FAILED_PRECONDITION,
    "the server stopped before this ended and nothing was changed: send the request "
    "again",
)

Result = Mapping[str, str]
"""The names of what an operation made, by the response's field."""


class Operations:
    """The ledger of operations, and the threads that carry the short ones out.

    Args:
        database: Where they are written.
        pager: Cuts lists into pages.
        now: The time, aware.
        new_id: Makes an id that was never used.
        owner: The id of this server, which carries out what is promised here.
        poll_s: How often who waits looks for the ends that other servers write.
    """

    def __init__(
        self,
        database: Database,
        pager: Pager,
        now: Callable[[], dt.datetime],
        new_id: Callable[[], str],
        owner: str = "",
        *,
        poll_s: float = _POLL_S,
    ) -> None:
        self.owner = owner
        self._database = database
        self._pager = pager
        self._now = now
        self._new_id = new_id
        self._poll_s = poll_s
        self._threads = concurrent.futures.ThreadPoolExecutor(
            _WORKERS, thread_name_prefix="operation"
        )
        # Those that take minutes hold up each other alone.
        self._long_threads = concurrent.futures.ThreadPoolExecutor(
            _LONG_WORKERS, thread_name_prefix="long operation"
        )
        self._waiting = Waiting()
        # What ends the work of those that may be cancelled.
        self._ends: dict[OperationName, Callable[[], None]] = {}

    def promise(
        self,
        transaction: Transaction,
        kind: OperationKind,
        parent: Parent,
        resource: str = "",
        *,
        warnings: tuple[str, ...] = (),
        caller: str = SERVER,
    ) -> Operation:
        """Write an operation that has not ended, in the caller's transaction.

        Args:
            transaction: The one that also writes what the operation is about.
            kind: The method.
            parent: Project and location.
            resource: `models/{id}` or `endpoints/{id}`.
            warnings: What was accepted and has no effect here.
            caller: Who asks, where the server changes later what the history tells.
        """
        name = OperationName(parent, resource, self._new_id())
        operation = Operation.begun(name, kind, warnings, self._now(), caller=caller)
        operation_rows.insert(transaction, operation, self.owner)
        return operation

    def promise_to(self, name: OperationName, api_version: str) -> None:
        """Remember whose messages the client that waits for an operation unpacks."""
        with self._database.transaction() as transaction:
            operation = operation_rows.get(transaction, name)
            if operation is not None:
                told = dataclasses.replace(operation, api_version=api_version)
                operation_rows.update(transaction, told)

    def reach(self, name: OperationName, stage: DeployStage) -> None:
        """Write that a deployment has come to a stage; one that ended is left alone."""
        with self._database.transaction() as transaction:
            self.note_stage(transaction, name, stage)

    def note_stage(
        self, transaction: Transaction, name: OperationName, stage: DeployStage
    ) -> Operation | None:
        """Write a stage as `reach` does, in the transaction that brought it there.

        Returns:
            The operation as it was, None if it is not there.
        """
        operation = operation_rows.get(transaction, name)
        if operation is not None and not operation.done:
            reached = operation.reached(stage, self._now())
            operation_rows.update(transaction, reached)
        return operation

    def warn(
        self,
        transaction: Transaction,
        name: OperationName,
        warnings: tuple[str, ...] = (),
        failures: tuple[Failure, ...] = (),
    ) -> None:
        """Add what came to light while an operation was carried out.

        Args:
            transaction: The one that ends the operation, or an earlier one.
            name: The operation; it is there.
            warnings: What was accepted and has no effect here.
            failures: What failed without failing the operation.
        """
        operation = operation_rows.get(transaction, name)
        if operation is None:
            raise RuntimeError(f"{name} is not there to be warned about")
        operation_rows.update(transaction, operation.warned(warnings, failures))

    def fulfil(
        self, transaction: Transaction, operation: Operation, result: Result
    ) -> Operation:
        """Write that the operation ended well; return it as it now stands."""
        ended = operation.fulfilled(result, self._now())
        self._end(transaction, ended)
        return ended

    def fail(self, name: OperationName, error: Exception) -> None:
        """Write that an operation ended badly; one that has ended is left alone.

        An exception that is not a `HomeportError` is a bug: it is logged whole and
        reported without its message.
        """
        if isinstance(error, HomeportError):
            failure = Failure(error.code, error.message)
        else:
            _log.error("operation %s failed", name, exc_info=error)
            failure = Failure(Code.INTERNAL, "internal error; the server's log has it")
        with self._database.transaction() as transaction:
            operation = operation_rows.get(transaction, name)
            if operation is None or operation.done:
                return
            self._end(transaction, operation.failed(failure, self._now()))

    def _end(self, transaction: Transaction, ended: Operation) -> None:
        operation_rows.update(transaction, ended)
        wake = functools.partial(self._waiting.wake, ended.name)
        self._database.after_commit(transaction, wake)

    def carry_out(
        self,
        operation: Operation,
        work: Callable[[], Callable[[Transaction], Result]],
        *,
        long: bool = False,
        end: Callable[[], None] = lambda: None,
    ) -> None:
        """Run `work` on a thread and end the operation with what comes of it.

        Work that has not begun when its operation is cancelled never begins.

        Args:
            operation: The promise.
            work: Does what takes long, outside any transaction, and returns what is to
                be written; that runs in the transaction which ends the operation, so
                that both happen or neither.
            long: Whether it takes minutes; few of those run at once.
            end: Called from another thread when the operation was cancelled, so that
                `work` does no more in vain.
        """
        self._ends[operation.name] = end
        threads = self._long_threads if long else self._threads
        threads.submit(self._carry_out, operation, work)

    def _carry_out(
        self,
        operation: Operation,
        work: Callable[[], Callable[[Transaction], Result]],
    ) -> None:
        try:
            if self.get(operation.name).done:
                return
            write = work()
            with self._database.transaction() as transaction:
                current = operation_rows.get(transaction, operation.name)
                # Cancelled meanwhile: nothing of it is written.
                if current is None or current.done:
                    return
                result = write(transaction)
                # With what `warn` has added meanwhile.
                current = operation_rows.get(transaction, operation.name)
                self.fulfil(transaction, current or operation, result)
        except Exception as error:  # noqa: BLE001  # the edge of an operation
            self.fail(operation.name, error)
        finally:
            self._ends.pop(operation.name, None)

    def get(self, name: OperationName) -> Operation:
        """Return an operation as it stands.

        Raises:
            NotFoundError: No operation has this name.
        """
        with self._database.snapshot() as transaction:
            operation = operation_rows.get(transaction, name)
        if operation is None:
            raise _not_found(name)
        return operation

    def list_operations(
        self, parent: Parent, resource: str, request: PageRequest
    ) -> tuple[list[Operation], str]:
        """Return one page of operations, newest first, and the next token.

        Args:
            parent: Project and location.
            resource: `models/{id}` or `endpoints/{id}`, "" for all of the parent.
            request: Which page.

        Raises:
            InvalidArgumentError: A bad filter, page size or token.
        """
        with self._database.snapshot() as transaction:
            return self._pager.page(
                request,
                ("create_time",),
                lambda page: operation_rows.list_page(
                    transaction, parent, resource, page
                ),
                operation_rows.position,
            )

    def cancel(self, name: OperationName) -> None:
        """End an operation as cancelled; nothing it would have made will be there.

        One that has ended is left as it is.

        Raises:
            NotFoundError: No operation has this name.
            UnimplementedError: It brings replicas up or down, which goes on.
        """
        operation = self.get(name)
        if operation.done:
            return
        if operation.kind in _OF_REPLICAS:
            raise UnimplementedError(
                f"{name} brings replicas up or down and cannot be cancelled: wait "
                "until it ends, then undeploy or deploy"
            )
        self.fail(name, CancelledError("the operation was cancelled"))
        end = self._ends.get(operation.name)
        if end is not None:
            end()

    def forget(self, name: OperationName) -> None:
        """Delete an operation that has ended.

        Raises:
            NotFoundError: No operation has this name.
            FailedPreconditionError: It has not ended.
        """
        with self._database.transaction() as transaction:
            operation = operation_rows.get(transaction, name)
            if operation is None:
                raise _not_found(name)
            if not operation.done:
                raise FailedPreconditionError(
                    f"operation {name} has not ended: cancel it or wait, then delete it"
                )
            operation_rows.delete(transaction, name)

    async def wait(self, name: OperationName, timeout_s: float) -> Operation:
        """Return the operation when it has ended, or as it stands at the timeout.

        Holds no thread while it waits: those who wait must not keep what they wait for
        from running.

        Raises:
            NotFoundError: No operation has this name.
        """
        deadline = time.monotonic() + timeout_s
        # Before the first look: it may end right after that.
        with self._waiting.for_end(name) as ended:
            while True:
                operation = await asyncio.to_thread(self.get, name)
                left_s = deadline - time.monotonic()
                if operation.done or left_s <= 0.0:
                    return operation
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, self._poll_s)):
                        await ended.wait()

    def recover(self, still_wanted: frozenset[OperationName]) -> None:
        """At start: end what the last server left, and forget what ended long ago.

        What another server carries out, while its lease lasts, is left to it.

        Args:
            still_wanted: Operations that this server will carry on with.
        """
        with self._database.transaction() as transaction:
            operation_rows.delete_ended_before(transaction, self._now() - _KEPT_FOR)
            others = server_rows.alive(transaction) - {self.owner}
            self._adopt(transaction, others, still_wanted)

    def take_over(
        self, still_wanted: frozenset[OperationName]
    ) -> frozenset[OperationName]:
        """End what servers left whose lease has run out; return what is still wanted.

        Args:
            still_wanted: Operations that this server will carry on with.
        """
        with self._database.snapshot() as transaction:
            alive = server_rows.alive(transaction) | {self.owner}
            if not operation_rows.unfinished(transaction, alive):
                return frozenset()
        with self._database.transaction() as transaction:
            alive = server_rows.alive(transaction) | {self.owner}
            return self._adopt(transaction, alive, still_wanted)

    def _adopt(
        self,
        transaction: Transaction,
        others: frozenset[str],
        still_wanted: frozenset[OperationName],
    ) -> frozenset[OperationName]:
        """End what nobody has, or own what of it is still wanted; return that."""
        adopted = set()
        for operation in operation_rows.unfinished(transaction, others):
            operation_rows.set_owner(transaction, operation.name, self.owner)
            if operation.name in still_wanted:
                adopted.add(operation.name)
            else:
                self._end(transaction, operation.failed(_INTERRUPTED, self._now()))
        return frozenset(adopted)

    def close(self) -> None:
        """Wait for the work in progress; what has not begun is for `recover`."""
        for threads in (self._threads, self._long_threads):
            threads.shutdown(wait=True, cancel_futures=True)


def _not_found(name: OperationName) -> NotFoundError:
    return NotFoundError(
        f"operation {name} was not found: see those there are with `homeport "
        f"operations list --project {name.parent.project} --region "
        f"{name.parent.location}`",
        resource=str(name),
    )
