"""The files a job reads: found once when it begins, the same ones when it goes on."""

import bisect
import itertools
from collections.abc import Callable, Sequence
from typing import BinaryIO, NamedTuple

from homeport.errors import (
    InvalidArgumentError,
    NotFoundError,
)
from homeport.jobs import records, rows
from homeport.jobs.files import MAX_FILES, Files, InputFile
from homeport.jobs.records import Block
from homeport.jobs.rows import Failed, Rows
from homeport.resources.batch_job import BatchJobSpec, InstancesFormat


class Inputs:
    """Finds and reads what jobs ask for.

    Args:
        files: Where it is.
        longest_bytes: Of one record; also of one file of a file-list.
    """

    def __init__(self, files: Files, longest_bytes: int) -> None:
        self._files = files
        self._longest_bytes = longest_bytes

    def check(self, uris: Sequence[str]) -> None:
        """Refuse addresses that can lead nowhere, before anything is promised.

        Raises:
            InvalidArgumentError: One is none.
            NotFoundError: A bucket is not there.
            PermissionDeniedError: One is in no folder that this server may read.
        """
        for uri in uris:
            self._files.check(uri)

    def check_bucket(self, bucket: str) -> None:
        """Refuse a bucket that no output can be written to.

        Raises:
            InvalidArgumentError: It is another's.
            NotFoundError: There is none of this name.
        """
        self._files.check_bucket(bucket)

    def find(
        self, uris: Sequence[str], given_up: Callable[[], bool] = lambda: False
    ) -> list[InputFile]:
        """Return the objects that addresses name, each once, by name where a `*` is.

        Args:
            uris: The addresses.
            given_up: Whether nobody waits for it any more: it ends then.

        Raises:
            NotFoundError: An address names none.
            InvalidArgumentError: They name more than 100,000.
        """
        found: dict[InputFile, None] = {}
        for uri in uris:
            before = len(found)
            for file in self._files.matching(uri, given_up):
                found[file] = None
                if len(found) > MAX_FILES:
                    raise InvalidArgumentError(
                        f"the input has more than {MAX_FILES} objects: split the job"
                    )
            if len(found) == before and "*" in uri:
                raise NotFoundError(
                    f"no object matches {uri!r}: see what there is with `homeport "
                    f"storage ls {uri.partition('*')[0].rpartition('/')[0]}/`"
                )
        return list(found)

    def read(self, spec: BatchJobSpec, file: InputFile, start: int) -> "InputReader":
        """Return what reads a file from a place on.

        Raises:
            FailedPreconditionError: The object is not what it was.
            InvalidArgumentError: A csv file has no header, or not the one needed.
        """
        return InputReader(self, spec, self._files.open(file)[0], start)

    def columns(self, spec: BatchJobSpec, file: InputFile) -> tuple[str, ...]:
        """Return the names of a file's columns, none if its format has none.

        Raises:
            FailedPreconditionError: The object is not what it was.
            InvalidArgumentError: A csv file has no header, or not the one needed.
        """
        if spec.instances_format is not InstancesFormat.CSV:
            return ()
        reader = self.read(spec, file, 0)
        reader.close()
        return reader.header

    def fetch(self, uri: str) -> bytes:
        """Return the bytes of the object that a line of a file-list names.

        Raises:
            NotFoundError: There is none.
            InvalidArgumentError: It is too large, or the address is none.
            UnavailableError: An outside store does not answer.
        """
        file = self._files.named(uri)
        opened, size_bytes = self._files.open(file)
        with opened:
            if size_bytes > self._longest_bytes:
                raise InvalidArgumentError(
                    f"{file} has {size_bytes} bytes: at most "
                    f"{self._longest_bytes} are sent"
                )
            return opened.read()

    @property
    def longest_bytes(self) -> int:
        """How many bytes a record may have."""
        return self._longest_bytes


class Batch(NamedTuple):
    """What goes to the model together.

    Attributes:
        rows: The instances.
        unfit: The records between them that are none.
        end: Where reading goes on behind them.
    """

    rows: Rows
    unfit: list[Failed]
    end: int


class InputReader:
    """Reads one file as batches; used by one thread at a time.

    Args:
        inputs: Fetches what a file-list names.
        spec: The format, and what of a record is sent.
        file: Its bytes; the reader closes them.
        start: Where to begin.

    Attributes:
        header: Of a csv file, its columns.
    """

    def __init__(
        self, inputs: Inputs, spec: BatchJobSpec, file: BinaryIO, start: int
    ) -> None:
        self._file = file
        kind, config = spec.instances_format, spec.instance_config
        self.header: tuple[str, ...] = ()
        if kind is InstancesFormat.CSV:
            first = _first_line(file, inputs.longest_bytes)
            self.header = rows.read_header(first.records[0], config)
            start = max(start, first.end)
        self._blocks = records.blocks(kind, file, start, inputs.longest_bytes)
        self._convert = rows.converter(kind, config, self.header, inputs.fetch)
        self._block: Block | None = None
        # Of its records, how many were taken; and where the next begins.
        self._taken = 0
        self._next = start
        # The bytes of records say little of what is fetched for them.
        self._fetches = kind is InstancesFormat.FILE_LIST

    def take(self, size: int, most_bytes: int) -> list[Batch]:
        """Return the next batches, none at the end.

        Args:
            size: Records in a batch; fewer where they are large, or a block ends.
            most_bytes: When instances have so many bytes, no further one is read.
        """
        batches = []
        while most_bytes > 0 and (batch := self._batch(size, most_bytes)) is not None:
            batches.append(batch)
            most_bytes -= sum(map(len, batch.rows.instances)) + 1
        return batches

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _batch(self, size: int, most_bytes: int) -> Batch | None:
        if self._fetches:
            return self._fetched(size, most_bytes)
        records = self._records(size, most_bytes)
        return None if records is None else Batch(*self._convert(records), records.end)

    def _records(self, size: int, most_bytes: int) -> Block | None:
        """Return the next records, at least one, None at the end."""
        if self._block is None or self._taken == len(self._block.records):
            self._block, self._taken = next(self._blocks, None), 0
            if self._block is None:
                return None
            self._next = self._block.start
        block = self._block.part(self._taken, size, self._next)
        if sum(map(len, block.records)) > most_bytes:
            sizes = itertools.accumulate(map(len, block.records))
            count = max(1, bisect.bisect_right(list(sizes), most_bytes))
            block = block.part(0, count, self._next)
        self._taken += len(block.records)
        self._next = block.end
        return block

    def _fetched(self, size: int, most_bytes: int) -> Batch | None:
        """Return a batch by the bytes of what is fetched for its records."""
        instances: list[bytes] = []
        told: list[bytes] = []
        unfit: list[Failed] = []
        begin = self._next
        while most_bytes > 0 and len(instances) + len(unfit) < size:
            record = self._records(1, 1)
            if record is None:
                break
            found, failed = self._convert(record)
            instances += found.instances
            told += found.told
            unfit += failed
            most_bytes -= sum(map(len, found.instances)) + 1
        if self._next == begin:
            return None
        return Batch(Rows(instances, told), unfit, self._next)


def _first_line(file: BinaryIO, longest_bytes: int) -> Block:
    lines = records.blocks(InstancesFormat.CSV, file, 0, longest_bytes)
    found = next(lines, None)
    if found is None or found.problem:
        raise InvalidArgumentError(
            "the csv file has no header: name the columns in its first line"
        )
    return found.part(0, 1, found.start)
