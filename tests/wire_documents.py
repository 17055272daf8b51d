"""JSON documents for a message, right and wrong, and what both readers make of them.

The oracle is `json_format` with the message classes of the official client. Left out on
purpose: where Python's json_format accepts by accident what the specification refuses,
null for a Value, which we read as absence, and the fields we treat in our own way (of
the server, of the URL, without effect).
"""

import json
import typing
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from hypothesis import strategies as st

from homeport.edge import codec
from homeport.errors import InvalidArgumentError

INTEGERS: list[Any] = [
    *(0, 1, 8080, 8080.0, -3, 1e3, "100", "-7", "1e2", "100.0", "007", "+5"),
    *(2**31 - 1, -(2**31), 2**31, -(2**31) - 1, 2**63 - 1, 2**63, 1.5, "1.5"),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", " 1", "1 "),
    *("", "x", "0x10", "NaN", "1e400", "-", "."),
]
NUMBERS: list[Any] = [0, 1, 0.1, -1.5, 1e300, "1.5", "1e2", "NaN", "Infinity"]
NUMBERS += ["-Infinity", "nan", "", "x", "0x1p3", "1.", ".5", "-"]
SINGLES: list[Any] = [0, 1, 0.5, -1.5, 1e39, -1e39, "0.25", "NaN", "x"]
TIMES = [
    *("2024-01-02T03:04:05Z", "2024-01-02T03:04:05.1Z", "2024-01-02T03:04:05.123456Z"),
    *("2024-01-02T03:04:05+01:30", "2024-02-29T23:59:59-08:00", "2024-01-02T03:04:05"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.999Z"),
    *("2023-02-29T00:00:00Z", "2024-01-02T24:00:00Z", "2024-01-02T03:04:60Z"),
    *("2024-01-02t03:04:05Z", "2024-01-02T03:04:05z", "2024-01-02 03:04:05Z", "x", ""),
    *("2024-01-02T03:04:05.1234567891Z", "2024-01-02T03:04:05Zjunk"),
]
SPANS = [
    "3.5s",
    "3s",
    "-3.5s",
    "-0.5s",
    "0s",
    "3.s",
    "+3s",
    "1e3s",
    "s",
    ".5s",
    "3",
    "",
]
SPANS += ["0.000001s", "315576000000s", "315576000001s", "0.100s", "3.25S"]
BLOBS = ["", "aGk=", "aGk", "a", "_-8=", "+/8=", "ab", "aGkx", "aGkxy", "AAAA=="]
MASKS = [
    "",
    "displayName",
    "displayName,trafficSplit",
    "labels",
    "a.bC",
    "*",
    "model.name",
]
TEXTS = ["", "x", "ä日本", "true", "1", "a b", "\u0000", '"']
WRONG: list[Any] = [None, True, False, 0, 7, 1.5, "x", [], {}, [None], ["x"], {"x": 1}]
KINDS: dict[int, list[Any]] = {
    1: NUMBERS,
    2: SINGLES,
    3: INTEGERS,
    5: INTEGERS,
    8: [True, False],
    9: TEXTS,
    12: BLOBS,
}
WELL_KNOWN: dict[str, list[Any]] = {
    "google.protobuf.Timestamp": TIMES,
    "google.protobuf.Duration": SPANS,
    "google.protobuf.FieldMask": MASKS,
    "google.protobuf.BoolValue": [True, False],
}
FREE_JSON = st.recursive(
    st.sampled_from([None, True, 0, 1.5, -3, "x", ""]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below),
    max_leaves=6,
)


def wrong_values(field: Any) -> list[Any]:
    """What of `WRONG` both must agree on; accidents are left out."""
    if field.enum_type is not None:
        return [v for v in WRONG if not isinstance(v, bool | float)]
    if field.type in (1, 2):
        return [v for v in WRONG if not isinstance(v, bool)]
    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.Value":
            return [v for v in WRONG if v is not None]
        return [v for v in WRONG if v != []] if not field.is_repeated else WRONG
    return WRONG


def single(field: Any, ours: Any) -> st.SearchStrategy[Any]:
    """One value of the field, right or wrong in form, never in JSON type."""
    if field.enum_type is not None:
        names = [value.name for value in field.enum_type.values][:2]
        return st.sampled_from(
            [0, 1, 11, 1.0, "1", 999, "999", -1, 2**31, "no", *names]
        )
    if field.message_type is None:
        return st.sampled_from(KINDS[field.type])
    name = field.message_type.full_name
    if name in WELL_KNOWN:
        return st.sampled_from(WELL_KNOWN[name])
    if name == "google.protobuf.Value":
        return FREE_JSON.filter(lambda value: value is not None)
    if name == "google.protobuf.Struct":
        return st.dictionaries(st.text(), FREE_JSON, max_size=3)
    return documents(message_in(ours), field.message_type)


def message_in(annotation: Any) -> Any:
    """The Message class inside an annotation such as `tuple[Port, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, codec.Message):
        return annotation
    found = (message_in(part) for part in typing.get_args(annotation))
    return next((part for part in found if part is not None), None)


@st.composite
def values(draw: st.DrawFn, field: Any, ours: Any) -> Any:
    if draw(st.integers(0, 19)) == 19:
        return draw(st.sampled_from(wrong_values(field)))
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        below = single(field.message_type.fields_by_name["value"], ours)
        return draw(st.dictionaries(st.sampled_from(["0", "", "a_b", "aB"]), below))
    if field.is_repeated:
        elements = single(field, ours)
        if draw(st.integers(0, 19)) == 19 and field.type != 11:
            elements = elements | st.none()
        return draw(st.lists(elements, max_size=3))
    return draw(single(field, ours))


def read_alike(ours: Any) -> list[str]:
    """The fields of a message that a request sets as protobuf says."""
    special = (
        typing.get_args(codec.OutputOnly[str])[1],
        typing.get_args(codec.Kept)[1],
    )
    return [
        name
        for name, field in ours.model_fields.items()
        if not any(mark is one for mark in field.metadata for one in special)
    ]


@st.composite
def documents(draw: st.DrawFn, ours: Any, descriptor: Any) -> Any:
    document: dict[str, Any] = {}
    names = read_alike(ours)
    chosen = st.lists(st.sampled_from(names), unique=True) if names else st.just([])
    for name in draw(chosen):
        field = descriptor.fields_by_name[name]
        spelling = draw(st.sampled_from([field.name, field.json_name]))
        annotation = ours.model_fields[name].annotation
        document[spelling] = draw(values(field, annotation))
    if draw(st.integers(0, 39)) == 39:
        document[draw(st.sampled_from(["unknown", "Name", "_id", ""]))] = draw(
            FREE_JSON
        )
    return document


def assert_agreement(ours: type[codec.Message], theirs: Any, document: Any) -> None:
    """Assert that we read, refuse and write a document as protobuf does."""
    body = json.dumps(document)

    try:
        expected = json_format.MessageToDict(json_format.Parse(body, theirs()))
    except json_format.ParseError:
        with pytest.raises(InvalidArgumentError):
            codec.decode(ours, body.encode())
        return

    message = codec.decode(ours, body.encode())
    assert codec.encode(message) == expected
    again = codec.decode(ours, orjson.dumps(codec.encode(message)))
    assert codec.encode(again) == expected
