"""The field types of proto3-JSON, each an annotated Python type for `codec.Message`.

What is accepted and written follows the ProtoJSON specification
(https://protobuf.dev/programming-guides/json/). Accidents of the Python
implementation are not reproduced: `true` as the number 1, digits of other scripts,
"1_0", 11.5 for the enum value 11, rubbish between base64 characters.
"""

import base64
import dataclasses
import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeAlias

import orjson
import pydantic
from pydantic_core import PydanticCustomError, core_schema

# As deep as protobuf's own parser goes; pydantic's serializer gives up at 255.
MAX_DEPTH: Final = 100

_INT32: Final = range(-(2**31), 2**31)
_INT64: Final = range(-(2**63), 2**63)
_FLOAT_MAX: Final = 3.4028234663852886e38  # the largest IEEE 754 single
_INTEGER_RE: Final = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER_RE: Final = re.compile(
    r"[+-]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,9})?"
)
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_BASE64_RE: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_TIMESTAMP_RE: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.([0-9]{0,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_DURATION_RE: Final = re.compile(r"([+-]?)([0-9]{1,12})(?:\.([0-9]{0,9}))?s")
# google.protobuf.Duration: about 10000 years either way.
_MAX_DURATION: Final = dt.timedelta(seconds=315_576_000_000)
# A comma inside backticks belongs to a map key.
_MASK_PATH_RE: Final = re.compile(r"(?:`[^`]*`|[^,`])+")
_SEGMENT_RE: Final = re.compile(r"(?:`[^`]*`|[^.`])+")


def refusal(expected: str) -> PydanticCustomError:
    """Return the error of a value that is not what its field holds.

    Args:
        expected: Completes "expected ...".
    """
    return PydanticCustomError("wire", "expected {expected}", {"expected": expected})


def snake_case(name: str) -> str:
    """Return one camelCase or snake_case field name in snake_case."""
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


def camel_case(name: str) -> str:
    """Return protobuf's json_name of a snake_case field name."""
    return re.sub(r"_+(.?)", lambda match: match[1].upper(), name)


def parse_field_mask(text: str) -> tuple[str, ...]:
    """Return the paths of a comma-separated field mask, in snake_case.

    Camel and snake case are both read. What follows `labels.` is a key of the user's
    and stays as it is. Empty paths are skipped.
    """
    paths = (path.strip() for path in _MASK_PATH_RE.findall(text))
    return tuple(_snake_case_path(path) for path in paths if path)


def _snake_case_path(path: str) -> str:
    segments = _SEGMENT_RE.findall(path)
    names = [snake_case(segment) for segment in segments]
    if "labels" in names:
        depth = names.index("labels") + 1
        names[depth:] = segments[depth:]
    return ".".join(names)


def _read_integer(limits: range) -> Callable[[Any], int]:
    expected = f"a whole number from {limits[0]} to {limits[-1]}"

    def read(value: object) -> int:
        if isinstance(value, str) and _INTEGER_RE.fullmatch(value):
            number = int(value)
        elif isinstance(value, str) and _NUMBER_RE.fullmatch(value):
            number = _whole(float(value), expected)
        elif isinstance(value, float):
            number = _whole(value, expected)
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            raise refusal(expected)
        if number not in limits:
            raise refusal(expected)
        return number

    return read


def _whole(number: float, expected: str) -> int:
    if not number.is_integer():
        raise refusal(expected)
    return int(number)


def _read_float(largest: float) -> Callable[[Any], float]:
    def read(value: object) -> float:
        if isinstance(value, str):
            if value in _NOT_FINITE:
                return _NOT_FINITE[value]
            if not _NUMBER_RE.fullmatch(value):
                raise refusal("a number")
            return float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refusal("a number")
        if abs(value) > largest:
            raise refusal(f"a number of at most {largest:g}")
        return float(value)

    return read


def _write_float(number: float) -> float | str:
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _read_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    expected = "base64 text"
    if not isinstance(value, str) or not _BASE64_RE.fullmatch(value):
        raise refusal(expected)
    text = value.rstrip("=")
    if len(text) % 4 == 1:
        raise refusal(expected)
    return base64.urlsafe_b64decode(
        text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4)
    )


def _write_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def read_timestamp(value: object) -> dt.datetime:
    """Return a Timestamp written as RFC 3339; `ValueError` otherwise."""
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC)
    expected = 'an RFC 3339 time such as "2026-01-31T12:00:00.5Z"'
    match = _TIMESTAMP_RE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refusal(expected)
    seconds, fraction, sign, hours, minutes = match.groups()
    try:
        moment = dt.datetime.fromisoformat(seconds).replace(tzinfo=dt.UTC)
        moment += dt.timedelta(microseconds=_microseconds(fraction))
        if sign:
            offset = dt.timedelta(hours=int(hours), minutes=int(minutes))
            moment += offset if sign == "-" else -offset
    except (ValueError, OverflowError) as error:
        raise refusal(expected) from error
    return moment


def _microseconds(fraction: str | None) -> int:
    """Return the digits after a decimal point as microseconds, cut off below."""
    return int((fraction or "").ljust(6, "0")[:6])


def _fraction(microseconds: int) -> str:
    """Return a fraction of a second with 0, 3 or 6 digits, as protobuf writes it."""
    if microseconds == 0:
        return ""
    if microseconds % 1000 == 0:
        return f".{microseconds // 1000:03d}"
    return f".{microseconds:06d}"


def write_timestamp(moment: dt.datetime) -> str:
    """Return a time as RFC 3339 in UTC, with 0, 3 or 6 digits of a second."""
    if moment.tzinfo is not dt.UTC:
        moment = moment.astimezone(dt.UTC)
    # Within quotes and with a Z; it is several times as fast as isoformat.
    text = orjson.dumps(moment, option=orjson.OPT_UTC_Z)[1:-1].decode("ascii")
    whole_ms = moment.microsecond and not moment.microsecond % 1000
    return f"{text[:-4]}Z" if whole_ms else text


def read_duration(value: object) -> dt.timedelta:
    """Return a Duration written as seconds with an "s"; `ValueError` otherwise."""
    if isinstance(value, dt.timedelta):
        return value
    expected = 'seconds such as "3.5s"'
    match = _DURATION_RE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refusal(expected)
    sign, seconds, fraction = match.groups()
    span = dt.timedelta(seconds=int(seconds), microseconds=_microseconds(fraction))
    if span > _MAX_DURATION:
        raise refusal(expected)
    return -span if sign == "-" else span


def _write_duration(span: dt.timedelta) -> str:
    sign = "-" if span < dt.timedelta(0) else ""
    size = abs(span)
    seconds = size.days * 86_400 + size.seconds
    return f"{sign}{seconds}{_fraction(size.microseconds)}s"


def _read_field_mask(value: object) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    if isinstance(value, str):
        return parse_field_mask(value)
    # The shape of the message itself, which some clients send.
    paths = value.get("paths") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise refusal("field paths separated by commas")
    return tuple(path for text in paths for path in parse_field_mask(text))


def _write_field_mask(paths: tuple[str, ...]) -> str:
    return ",".join(".".join(_camel_segments(path)) for path in paths)


def _camel_segments(path: str) -> list[str]:
    segments = _SEGMENT_RE.findall(path)
    depth = segments.index("labels") if "labels" in segments else len(segments)
    return [camel_case(segment) for segment in segments[:depth]] + segments[depth:]


def refuse_deep(value: object) -> object:
    """Return `value` unless it nests deeper than `MAX_DEPTH`; without recursion."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise refusal(f"JSON of at most {MAX_DEPTH} levels")
        below: list[object] = []
        for element in level:
            if isinstance(element, dict):
                below.extend(element.values())
            elif isinstance(element, list):
                below.extend(element)
        level, depth = below, depth + 1
    return value


def _read_struct(value: object) -> object:
    if not isinstance(value, dict):
        raise refusal("an object")
    return refuse_deep(value)


def _read_any(value: object) -> object:
    if not isinstance(value, dict) or (
        value and not isinstance(value.get("@type"), str)
    ):
        raise refusal('an object with "@type"')
    return refuse_deep(value)


@dataclasses.dataclass(frozen=True)
class EnumNames:
    """Annotates a `str` field that holds the name of an enum value.

    Read from a name, a number or a number in quotes, and kept as the name. The zero
    value, by name or number, is "": proto3 does not tell it from absence. A number
    that the table lacks is kept as decimal text and written as a number, as an open
    enum is; an unknown name is refused.

    Attributes:
        numbers: Number of each name, 0 among them; of two names for one number the
            first is written.
    """

    numbers: Mapping[str, int]

    def __get_pydantic_core_schema__(
        self, source: type[str], handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Tell pydantic how to read and write the name."""
        return core_schema.no_info_before_validator_function(
            self._read,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(
                self.write, when_used="json"
            ),
        )

    def _read(self, value: object) -> str:
        if value == "":
            return ""
        number = self.numbers.get(value) if isinstance(value, str) else None
        if number is None:
            number = self._read_number(value)
        if number == 0:
            return ""
        return self._name(number) or str(number)

    def _read_number(self, value: object) -> int:
        if isinstance(value, str) and not _INTEGER_RE.fullmatch(value):
            raise self._refusal()
        try:
            return _read_integer(_INT32)(value)
        except PydanticCustomError as error:
            raise self._refusal() from error

    def _name(self, number: int) -> str:
        return next((n for n, known in self.numbers.items() if known == number), "")

    def write(self, name: str) -> str | int:
        """Return what stands for a name in JSON."""
        if name == "":
            return self._name(0)
        return name if name in self.numbers else int(name)

    def _refusal(self) -> PydanticCustomError:
        return refusal("one of " + ", ".join(self.numbers))


def _written(write: Callable[[Any], Any]) -> pydantic.PlainSerializer:
    return pydantic.PlainSerializer(write, when_used="json")


Bool: TypeAlias = Annotated[bool, pydantic.Strict()]
Int32: TypeAlias = Annotated[int, pydantic.BeforeValidator(_read_integer(_INT32))]
Int64: TypeAlias = Annotated[
    int, pydantic.BeforeValidator(_read_integer(_INT64)), _written(str)
]
Float: TypeAlias = Annotated[
    float, pydantic.BeforeValidator(_read_float(_FLOAT_MAX)), _written(_write_float)
]
Double: TypeAlias = Annotated[
    float,
    pydantic.BeforeValidator(_read_float(1.7976931348623157e308)),
    _written(_write_float),
]
Bytes: TypeAlias = Annotated[
    bytes, pydantic.BeforeValidator(_read_bytes), _written(_write_bytes)
]
# Aware, UTC; what is finer than a microsecond is cut off.
Timestamp: TypeAlias = Annotated[
    dt.datetime, pydantic.BeforeValidator(read_timestamp), _written(write_timestamp)
]
Duration: TypeAlias = Annotated[
    dt.timedelta, pydantic.BeforeValidator(read_duration), _written(_write_duration)
]
# Paths in snake_case.
FieldMask: TypeAlias = Annotated[
    tuple[str, ...],
    pydantic.BeforeValidator(_read_field_mask),
    _written(_write_field_mask),
]
# Free JSON, kept as it came; google.protobuf.Value, Struct and Any.
Value: TypeAlias = Annotated[Any, pydantic.BeforeValidator(refuse_deep)]
Struct: TypeAlias = Annotated[dict[str, Any], pydantic.BeforeValidator(_read_struct)]
PackedAny: TypeAlias = Annotated[dict[str, Any], pydantic.BeforeValidator(_read_any)]
