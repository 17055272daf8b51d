"""Rows: from the records of the input to the instances that the model is sent.

And to what stands for each in the output: itself, its key, or the columns of its csv
line. A record that cannot be an instance fails alone, and says why.

The rows of a batch are kept as columns, lists of the same length: a job has millions.
"""

import base64
import csv
import dataclasses
import math
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import orjson

from homeport.errors import (
    Code,
    HomeportError,
    InvalidArgumentError,
    UnavailableError,
)
from homeport.jobs.records import Block
from homeport.resources.batch_job import InstanceConfig, InstancesFormat, InstanceType
from homeport.resources.operation import Failure

_SHOWN: Final = 80  # characters of a refused name that are repeated
_SHOWN_BYTES: Final = 1000  # of a record that could not be read
_BOM: Final = b"\xef\xbb\xbf"
# Between the lines of one parse; no line can have it by chance or by guessing.
_TOKEN: Final = secrets.token_hex(8)
_SEPARATOR: Final = f',"{_TOKEN}",'.encode()


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Instances, in the order of the input.

    Attributes:
        instances: JSON, as the model is sent each.
        told: JSON, what stands for each in the output.
        columns: The cells of each as csv; empty where the input has none.
        keyed: Whether what is told is a key.
    """

    instances: Sequence[bytes]
    told: Sequence[bytes]
    columns: Sequence[bytes] = ()
    keyed: bool = False

    def __len__(self) -> int:
        return len(self.instances)

    def part(self, start: int, end: int) -> "Rows":
        """Return the rows from `start` up to, and without, `end`."""
        return Rows(
            self.instances[start:end],
            self.told[start:end],
            self.columns[start:end],
            self.keyed,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """An instance that has no prediction.

    Attributes:
        told: JSON, what stands for it in the output.
        failure: Why.
        keyed: Whether what is told is a key.
    """

    told: bytes
    failure: Failure
    keyed: bool = False

    @property
    def size_bytes(self) -> int:
        """About how many bytes its line has."""
        return len(self.told) + len(self.failure.message)


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    """One row, before it is a place in three lists."""

    instance: bytes
    told: bytes
    columns: bytes = b""


Converter: TypeAlias = Callable[[Block], tuple[Rows, list[Failed]]]
Fetch: TypeAlias = Callable[[str], bytes]


def converter(
    kind: InstancesFormat,
    config: InstanceConfig,
    header: Sequence[str] = (),
    fetch: Fetch | None = None,
) -> Converter:
    """Return what makes rows of a file's records, and failures of what is no instance.

    Args:
        kind: The format.
        config: What of a record is sent.
        header: Of a csv file, the names of its columns.
        fetch: For file-list, returns the bytes of an object by its URI; it raises
            HomeportError.
    """
    match kind:
        case InstancesFormat.JSONL:
            each = _one_by_one(lambda line: _from_json(line, config), config)
            if config.picks or config.type is not None:
                return each
            return lambda block: _as_they_are(block) or each(block)
        case InstancesFormat.CSV:
            return _one_by_one(lambda line: _from_csv(line, config, header), config)
        case InstancesFormat.FILE_LIST:
            if fetch is None:
                raise RuntimeError("a file-list needs somebody to fetch its files")
            return _one_by_one(lambda line: _from_uri(line, fetch), config)
        case _:
            return _one_by_one(_from_bytes, config)


def read_header(line: bytes, config: InstanceConfig) -> tuple[str, ...]:
    """Return the names of a csv file's columns.

    Raises:
        InvalidArgumentError: It is no header, or lacks a column that was asked for.
    """
    try:
        text = line.removeprefix(_BOM).decode().rstrip("\r")
        (names,) = csv.reader((text,), strict=True)
    except (ValueError, csv.Error) as error:
        raise InvalidArgumentError(
            f"the first line is no csv header: {error}; name the columns there"
        ) from error
    if not all(names) or len(set(names)) < len(names):
        raise InvalidArgumentError(
            "the csv header has an empty or a repeated name: name each column once"
        )
    asked = (*config.included, *config.excluded, config.key_field)
    for name in filter(None, asked):
        if name not in names:
            raise InvalidArgumentError(
                f"the csv header has no column {name!r:.{_SHOWN}}, which "
                f"instance_config names: it has {', '.join(names)[:_SHOWN]}"
            )
    return tuple(names)


def cell(value: object) -> bytes:
    """Return a JSON value as one cell of csv: a number plain, all else in quotes."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return orjson.dumps(value)
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return b'"' + text.replace('"', '""').replace("\n", " ").encode() + b'"'


def _as_they_are(block: Block) -> tuple[Rows, list[Failed]] | None:
    """Return lines of JSON as they stand; None if one of them may be none.

    They are parsed all at once, which is many times as fast as each by itself.
    """
    lines = block.records
    values = _parsed(b"[" + _SEPARATOR.join(lines) + b"]")
    whole = (
        values is not None
        and len(values) == 2 * len(lines) - 1
        and values[1::2].count(_TOKEN) == len(lines) - 1
    )
    if block.problem or not whole:
        return None
    if b"\r" in lines[0]:
        lines = [line.strip() for line in lines]
    return Rows(lines, lines), []


def _parsed(text: bytes) -> list[Any] | None:
    try:
        values: list[Any] = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return values


def _one_by_one(convert: Callable[[bytes], _Row], config: InstanceConfig) -> Converter:
    """Return what converts each record by itself; its refusals become failures."""
    keyed = bool(config.key_field)

    def each(block: Block) -> tuple[Rows, list[Failed]]:
        found: list[_Row] = []
        failed: list[Failed] = []
        for record in block.records:
            try:
                if block.problem:
                    raise InvalidArgumentError(block.problem)
                if record and not record.isspace():
                    found.append(convert(record))
            except UnavailableError:
                # Of the store and not of the record, and perhaps for a moment.
                raise
            except HomeportError as error:
                failed.append(_unfit(record, Failure(error.code, error.message)))
            except (ValueError, csv.Error) as error:
                said = f"the record cannot be read: {error}"
                failed.append(_unfit(record, Failure(Code.INVALID_ARGUMENT, said)))
        rows = Rows(
            [row.instance for row in found],
            [row.told for row in found],
            [row.columns for row in found if row.columns],
            keyed,
        )
        return rows, failed

    return each


def _unfit(record: bytes, failure: Failure) -> Failed:
    text = record[:_SHOWN_BYTES].decode("utf-8", "replace")
    return Failed(orjson.dumps(text), failure)


def _from_bytes(record: bytes) -> _Row:
    instance = b'{"b64":"' + base64.b64encode(record) + b'"}'
    return _Row(instance, instance)


def _from_uri(line: bytes, fetch: Fetch) -> _Row:
    uri = line.decode().strip()
    return _Row(_from_bytes(fetch(uri)).instance, orjson.dumps(uri))


def _from_json(line: bytes, config: InstanceConfig) -> _Row:
    value = orjson.loads(line)
    if not config.picks and config.type is None:
        instance = line.strip()
        return _Row(instance, instance)
    if isinstance(value, dict):
        return _picked(value, config, config.type or InstanceType.OBJECT)
    if config.picks or not isinstance(value, list):
        raise InvalidArgumentError(
            "the line is no JSON object: instance_config needs its fields"
        )
    if config.type is InstanceType.OBJECT:
        raise InvalidArgumentError(
            "the line is a JSON list, and instance_config.instance_type is object"
        )
    instance = orjson.dumps(value)
    return _Row(instance, instance)


def _from_csv(line: bytes, config: InstanceConfig, header: Sequence[str]) -> _Row:
    text = line.decode().rstrip("\r")
    cells: list[str | float]
    try:
        # Typeshed does not know that numbers come out of it.
        (cells,) = csv.reader(  # type: ignore[assignment]  # see above
            (text,), quoting=csv.QUOTE_NONNUMERIC, strict=True
        )
    except ValueError as error:
        raise InvalidArgumentError(
            f"{error}: a cell without quotes is a number, put quotes around text"
        ) from error
    if len(cells) != len(header):
        raise InvalidArgumentError(
            f"the line has {len(cells)} cells, and the header {len(header)}"
        )
    numbers = [one for one in cells if isinstance(one, float)]
    if not all(map(math.isfinite, numbers)):
        raise InvalidArgumentError("a cell is NaN or infinite, which JSON cannot hold")
    if not config.picks and config.type is not InstanceType.OBJECT:
        instance = orjson.dumps(cells)
        return _Row(instance, instance, text.encode())
    fields = dict(zip(header, cells, strict=True))
    row = _picked(fields, config, config.type or InstanceType.ARRAY)
    if config.key_field:
        return row
    return dataclasses.replace(row, columns=text.encode())


def _picked(fields: dict[str, Any], config: InstanceConfig, kind: InstanceType) -> _Row:
    """Return the row of named fields: what is sent of them, and what is told."""
    missing = {*config.included, *filter(None, (config.key_field,))} - fields.keys()
    if missing:
        raise InvalidArgumentError(
            f"the instance has no field {min(missing)!r:.{_SHOWN}}, which "
            "instance_config names"
        )
    names = config.included or tuple(
        name for name in fields if name not in config.excluded
    )
    sent = {name: fields[name] for name in names if name != config.key_field}
    instance = _shaped(sent, kind)
    if config.key_field:
        key = fields[config.key_field]
        return _Row(instance, orjson.dumps(key), cell(key))
    # What was excluded is told with the prediction (InstanceConfig.excluded_fields).
    told = _shaped(fields, kind) if config.excluded else instance
    return _Row(instance, told)


def _shaped(fields: dict[str, Any], kind: InstanceType) -> bytes:
    return orjson.dumps(
        fields if kind is InstanceType.OBJECT else list(fields.values())
    )
