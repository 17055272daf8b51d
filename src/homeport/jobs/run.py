"""One run of a job: from its input to its spool, or on from where it was.

Reading and writing happen on threads, a MiB at a time; between them the event loop
keeps each replica busy with the next requests. Answers are written in the order of the
input, however they come.
"""

import asyncio
import collections
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from homeport.errors import FailedPreconditionError
from homeport.jobs import outputs
from homeport.jobs.files import InputFile
from homeport.jobs.inputs import Batch, InputReader, Inputs
from homeport.jobs.outputs import Answered
from homeport.jobs.predicting import Predicting
from homeport.jobs.rows import Failed
from homeport.jobs.spool import Position, Spool
from homeport.jobs.threads import to_its_end
from homeport.jobs.tuning import AHEAD
from homeport.objects.spool import disk_full_is_said
from homeport.resources.batch_job import BatchJobSpec, PredictionsFormat, Tally

_READ_BYTES: Final = 1 << 20
_WRITE_ROWS: Final = 2000
_WRITE_BYTES: Final = 4 << 20
_KEEP_EVERY_S: Final = 2.0

_Outcome: TypeAlias = list[Answered | Failed]
_UnderWay: TypeAlias = collections.deque[tuple[asyncio.Task[_Outcome], Batch]]


class Run:
    """Carries one job out.

    Args:
        spec: What it is to do.
        inputs: Reads its input.
        spool: Keeps its output.
        predicting: Asks the model.
        on_tally: Told now and then how far it is.
    """

    def __init__(
        self,
        spec: BatchJobSpec,
        inputs: Inputs,
        spool: Spool,
        predicting: Predicting,
        on_tally: Callable[[Tally], Awaitable[None]],
    ) -> None:
        self._spec = spec
        self._inputs = inputs
        self._spool = spool
        self._predicting = predicting
        self._on_tally = on_tally
        self._tally = Tally()
        self._columns: tuple[str, ...] | None = None
        self._unwritten: _Outcome = []
        self._unwritten_rows = 0
        self._unwritten_bytes = 0
        self._kept_at = time.monotonic()

    async def carry_out(self) -> Tally:
        """Return what came of all instances, when every line of them is on the disk.

        Cancelled, or after an error, it can be carried out again: what the spool has
        kept is not done twice.

        Raises:
            HomeportError: The input cannot be read, nobody answers, or the disk is
                full.
        """
        try:
            files, position = await self._begin()
            self._tally = position.tally
            offset = position.offset
            for number in range(position.file, len(files)):
                await self._read_file(files[number], number, offset)
                offset = 0
                if self._keeps_now:
                    await self._keep(number + 1, 0)
            await self._keep(len(files), 0)
        finally:
            await asyncio.to_thread(self._spool.close)
        return self._tally

    async def _begin(self) -> tuple[Sequence[InputFile], Position]:
        found = await to_its_end(self._spool.found)
        files = await self._find() if found is None else found[0]
        self._columns = await to_its_end(self._inputs.columns, self._spec, files[0])
        if found is not None:
            return found
        await to_its_end(self._begin_spool, files, self._columns)
        return files, Position()

    async def _find(self) -> Sequence[InputFile]:
        """Return what is read; a cancelled job does not wait for a long list."""
        given_up = threading.Event()
        try:
            return await asyncio.to_thread(
                self._inputs.find, self._spec.uris, given_up.is_set
            )
        finally:
            given_up.set()

    def _begin_spool(self, files: Sequence[InputFile], columns: Sequence[str]) -> None:
        with disk_full_is_said():
            self._spool.begin(files)
            if self._spec.predictions_format is PredictionsFormat.CSV:
                keyed = bool(self._spec.instance_config.key_field)
                self._spool.write(outputs.header(columns, keyed=keyed), b"")

    async def _read_file(self, file: InputFile, number: int, offset: int) -> None:
        reader = await asyncio.to_thread(self._inputs.read, self._spec, file, offset)
        under_way: _UnderWay = collections.deque()
        try:
            self._check_columns(reader, file)
            async with contextlib.aclosing(self._batches(reader)) as batches:
                async for batch in batches:
                    asking = self._predicting.predict(batch.rows)
                    under_way.append((asyncio.create_task(asking), batch))
                    if len(under_way) >= self._spec.replicas * AHEAD:
                        await self._finish_oldest(under_way, number)
                while under_way:
                    await self._finish_oldest(under_way, number)
        finally:
            tasks = [task for task, _ in under_way]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            reader.close()

    def _check_columns(self, reader: InputReader, file: InputFile) -> None:
        repeats = self._spec.predictions_format is PredictionsFormat.CSV
        if repeats and reader.header != self._columns:
            raise FailedPreconditionError(
                f"{file} has other columns than the first file of the input, which "
                "predictions as csv repeat: use predictions_format jsonl, or split the "
                "job"
            )

    async def _batches(self, reader: InputReader) -> AsyncGenerator[Batch, None]:
        """Yield the batches of a file, and read on while they are in work."""

        def read() -> asyncio.Future[list[Batch]]:
            size = self._predicting.size.size
            reading = asyncio.to_thread(reader.take, size, _READ_BYTES)
            return asyncio.ensure_future(reading)

        coming = read()
        try:
            while batches := await asyncio.shield(coming):
                coming = read()
                for batch in batches:
                    yield batch
        finally:
            # A thread cannot be stopped, and the file is closed next.
            await asyncio.wait({coming})

    async def _finish_oldest(self, under_way: _UnderWay, number: int) -> None:
        task, batch = under_way[0]
        outcome = await task
        under_way.popleft()
        self._unwritten += outcome
        self._unwritten_bytes += sum(one.size_bytes for one in outcome)
        self._unwritten += batch.unfit
        self._unwritten_rows += len(batch.rows) + len(batch.unfit)
        if self._keeps_now:
            await self._keep(number, batch.end)
        elif (
            self._unwritten_rows >= _WRITE_ROWS or self._unwritten_bytes >= _WRITE_BYTES
        ):
            await self._write()

    @property
    def _keeps_now(self) -> bool:
        return time.monotonic() - self._kept_at > _KEEP_EVERY_S

    async def _write(self) -> None:
        outcome, self._unwritten = self._unwritten, []
        self._unwritten_rows = self._unwritten_bytes = 0
        self._tally = await to_its_end(self._append, outcome)

    def _append(self, outcome: _Outcome) -> Tally:
        kind = self._spec.predictions_format
        answered = [one for one in outcome if isinstance(one, Answered)]
        failed = [one for one in outcome if isinstance(one, Failed)]
        with disk_full_is_said():
            self._spool.write(
                b"".join([outputs.results(one, kind) for one in answered]),
                b"".join([outputs.error(one) for one in failed]),
            )
        return self._tally.plus(
            sum(len(one.rows) for one in answered), [one.failure for one in failed]
        )

    async def _keep(self, file: int, offset: int) -> None:
        await self._write()
        with disk_full_is_said():
            await to_its_end(self._spool.keep, file, offset, self._tally)
        self._kept_at = time.monotonic()
        await self._on_tally(self._tally)
