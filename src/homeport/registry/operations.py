"""Long-running operations: promised, carried out in the background, and looked up."""

import asyncio
import concurrent.futures
import dataclasses
import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from homeport.errors import Code, FailedPreconditionError, HomeportError, NotFoundError
from homeport.metadata import operation_rows
from homeport.metadata.database import Database, Transaction
from homeport.resources.names import OperationName, Parent
from homeport.resources.operation import Failure, Operation, OperationKind

_log: Final = logging.getLogger(__name__)
# How long ended operations can still be asked for.
_KEPT_FOR: Final = dt.timedelta(days=30)
_POLL_S: Final = 0.05
_WORKERS: Final = 4

Result = Mapping[str, str]
"""The names of what an operation made, by the response's field."""


class Operations:
    """The ledger of operations, and the threads that carry the short ones out.

    Args:
        database: Where they are written.
        now: The time, aware.
        new_id: Makes an id that was never used.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], dt.datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._now = now
        self._new_id = new_id
        self._threads = concurrent.futures.ThreadPoolExecutor(
            _WORKERS, thread_name_prefix="operation"
        )

    def promise(
        self,
        transaction: Transaction,
        kind: OperationKind,
        parent: Parent,
        resource: str = "",
        *,
        warnings: tuple[str, ...] = (),
    ) -> Operation:
        """Write an operation that has not ended, in the caller's transaction.

        Args:
            transaction: The one that also writes what the operation is about.
            kind: The method.
            parent: Project and location.
            resource: `models/{id}` or `endpoints/{id}`.
            warnings: What was accepted and has no effect here.
        """
        now = self._now()
        operation = Operation(
            name=OperationName(parent, resource, self._new_id()),
            kind=kind,
            warnings=warnings,
            done=False,
            failure=None,
            result={},
            create_time=now,
            update_time=now,
        )
        operation_rows.insert(transaction, operation)
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
        told = dataclasses.replace(
            operation,
            warnings=operation.warnings + warnings,
            failures=operation.failures + failures,
        )
        operation_rows.update(transaction, told)

    def fulfil(
        self, transaction: Transaction, operation: Operation, result: Result
    ) -> Operation:
        """Write that the operation ended well; return it as it now stands."""
        ended = dataclasses.replace(
            operation, done=True, result=result, update_time=self._now()
        )
        operation_rows.update(transaction, ended)
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
            ended = dataclasses.replace(
                operation, done=True, failure=failure, update_time=self._now()
            )
            operation_rows.update(transaction, ended)

    def carry_out(
        self,
        operation: Operation,
        work: Callable[[], Callable[[Transaction], Result]],
    ) -> None:
        """Run `work` on a thread and end the operation with what comes of it.

        Args:
            operation: The promise.
            work: Does what takes long, outside any transaction, and returns what is to
                be written; that runs in the transaction which ends the operation, so
                that both happen or neither.
        """
        self._threads.submit(self._carry_out, operation, work)

    def _carry_out(
        self,
        operation: Operation,
        work: Callable[[], Callable[[Transaction], Result]],
    ) -> None:
        try:
            write = work()
            with self._database.transaction() as transaction:
                result = write(transaction)
                # With what `warn` has added meanwhile.
                current = operation_rows.get(transaction, operation.name)
                self.fulfil(transaction, current or operation, result)
        except Exception as error:  # noqa: BLE001  # the edge of an operation
            self.fail(operation.name, error)

    def get(self, name: OperationName) -> Operation:
        """Return an operation as it stands.

        Raises:
            NotFoundError: No operation has this name.
        """
        with self._database.snapshot() as transaction:
            operation = operation_rows.get(transaction, name)
        if operation is None:
            raise NotFoundError(f"operation {name} was not found", resource=str(name))
        return operation

    async def wait(self, name: OperationName, timeout_s: float) -> Operation:
        """Return the operation when it has ended, or as it stands at the timeout.

        Holds no thread while it waits: those who wait must not keep what they wait for
        from running.

        Raises:
            NotFoundError: No operation has this name.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            operation = await asyncio.to_thread(self.get, name)
            if operation.done or time.monotonic() >= deadline:
                return operation
            await asyncio.sleep(_POLL_S)

    def recover(self, still_wanted: frozenset[OperationName]) -> None:
        """At start: end what the last server left, and forget what ended long ago.

        Args:
            still_wanted: Operations that somebody will carry on with.
        """
        with self._database.transaction() as transaction:
            operation_rows.delete_ended_before(transaction, self._now() - _KEPT_FOR)
            left = operation_rows.unfinished(transaction)
        for operation in left:
            if operation.name not in still_wanted:
                interrupted = FailedPreconditionError(
                    "the server stopped before this ended and nothing was changed: "
                    "send the request again"
                )
                self.fail(operation.name, interrupted)

    def close(self) -> None:
        """Wait for the work in progress; what has not begun is for `recover`."""
        self._threads.shutdown(wait=True, cancel_futures=True)
