"""A record becomes what the model is sent, and what stands for it in the output."""

import json
from typing import Any

import hypothesis
import orjson
import pytest
from hypothesis import strategies as st

from homeport.errors import (
    Code,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from homeport.jobs import rows
from homeport.jobs.records import Block
from homeport.jobs.rows import Failed, Rows
from homeport.resources.batch_job import InstanceConfig, InstancesFormat, InstanceType

ARRAY, OBJECT = InstanceType.ARRAY, InstanceType.OBJECT
PLAIN = InstanceConfig()
HEADER = ("id", "x", "name")


def converted(
    lines: list[bytes],
    kind: InstancesFormat = InstancesFormat.JSONL,
    config: InstanceConfig = PLAIN,
    header: tuple[str, ...] = (),
) -> tuple[Rows, list[Failed]]:
    return rows.converter(kind, config, header)(Block(lines, 0, 1))


def one(
    line: bytes, kind: InstancesFormat, config: InstanceConfig = PLAIN
) -> tuple[Any, Any]:
    """Return what is sent of one record, and what is told."""
    found, failed = converted([line], kind, config, HEADER)
    assert failed == []
    return json.loads(found.instances[0]), json.loads(found.told[0])


def refusal(line: bytes, kind: InstancesFormat, config: InstanceConfig = PLAIN) -> str:
    found, failed = converted([line], kind, config, HEADER)
    assert len(found) == 0
    (refused,) = failed
    assert refused.failure.code is Code.INVALID_ARGUMENT
    return refused.failure.message


def test_lines_of_json_are_sent_as_they_stand() -> None:
    lines = [b'{"a": 1.50}', b"[1e3]", b'"text"', b"null", b"12345678901234567890123"]

    found, failed = converted(lines)

    assert found.instances == lines
    assert found.told == lines
    assert failed == []


def test_carriage_returns_and_blank_lines_are_no_part_of_instances() -> None:
    found, failed = converted([b"1\r", b"", b" \r", b" 2 \r"])

    assert list(found.instances) == [b"1", b"2"]
    assert failed == []


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"1", b'{"half": '], id="half written"),
        pytest.param([b"1,2", b"3"], id="two values"),
        pytest.param([b"[1", b"2]"], id="one value over two lines"),
        pytest.param([b"1,2", b"[3", b"4]"], id="as many values as lines"),
        pytest.param([b"NaN"], id="not a number"),
        pytest.param([b"1", b"\xff"], id="not UTF-8"),
        pytest.param([b"[" * 100_000], id="endless"),
    ],
)
def test_a_line_that_is_no_json_fails_alone(lines: list[bytes]) -> None:
    bad = [line for line in lines if not _is_json(line)]

    found, failed = converted([*lines, b"7"])

    assert list(found.instances) == [line for line in [*lines, b"7"] if line not in bad]
    assert [json.loads(one.told) for one in failed] == [
        line[:1000].decode("utf-8", "replace") for line in bad
    ]
    assert {one.failure.code for one in failed} == {Code.INVALID_ARGUMENT}


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


@hypothesis.given(st.lists(st.text(alphabet='[]{},":1a\\ ', max_size=6), max_size=6))
def test_together_lines_are_taken_as_each_is_alone(lines: list[str]) -> None:
    encoded = [line.encode() for line in lines]
    alone = [line.strip() for line in encoded if _is_json(line)]

    found, failed = converted(encoded)

    assert [instance.strip() for instance in found.instances] == alone
    spoilt = [line for line in encoded if line.strip() and not _is_json(line)]
    assert len(failed) == len(spoilt)


@pytest.mark.parametrize(
    ("config", "sent", "told"),
    [
        (InstanceConfig(ARRAY), [7, 1.5, "a"], [7, 1.5, "a"]),
        (InstanceConfig(key_field="id"), {"x": 1.5, "name": "a"}, 7),
        (InstanceConfig(ARRAY, key_field="id"), [1.5, "a"], 7),
        (InstanceConfig(included=("name", "x")), {"name": "a", "x": 1.5},
         {"name": "a", "x": 1.5}),
        (InstanceConfig(ARRAY, included=("name", "x")), ["a", 1.5], ["a", 1.5]),
        (InstanceConfig(excluded=("id",)), {"x": 1.5, "name": "a"},
         {"id": 7, "x": 1.5, "name": "a"}),
        (InstanceConfig(ARRAY, excluded=("id",)), [1.5, "a"], [7, 1.5, "a"]),
        (InstanceConfig(ARRAY, key_field="id", excluded=("name",)), [1.5], 7),
    ],
)  # fmt: skip
def test_fields_are_picked_from_objects_and_columns_alike(
    config: InstanceConfig, sent: object, told: object
) -> None:
    line = b'{"id": 7, "x": 1.5, "name": "a"}'
    as_object = InstanceConfig(
        config.type or OBJECT, config.key_field, config.included, config.excluded
    )

    assert one(line, InstancesFormat.JSONL, config) == (sent, told)
    assert one(b'7,1.5,"a"', InstancesFormat.CSV, as_object) == (sent, told)


def test_a_csv_line_is_a_list_unless_objects_are_asked_for() -> None:
    line = b'7,-1.5e3,"a ""quoted"", cell"\r'

    found, _ = converted([line], InstancesFormat.CSV, PLAIN, HEADER)

    assert found.instances == [b'[7.0,-1500.0,"a \\"quoted\\", cell"]']
    assert found.columns == [b'7,-1.5e3,"a ""quoted"", cell"']
    assert one(b'1,2,"c"', InstancesFormat.CSV, InstanceConfig(OBJECT))[0] == {
        "id": 1.0,
        "x": 2.0,
        "name": "c",
    }


def test_an_empty_cell_is_an_empty_text() -> None:
    assert one(b'1,,""', InstancesFormat.CSV)[0] == [1.0, "", ""]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"1,2,word", "a cell without quotes is a number"),
        (b'1,"a"', "the line has 2 cells, and the header 3"),
        (b'1,2,"a",4', "the line has 4 cells, and the header 3"),
        (b'1,2,"open', "the record cannot be read"),
        (b'1,nan,"a"', "a cell is NaN or infinite"),
        (b'1,-Infinity,"a"', "a cell is NaN or infinite"),
        (b'1,2,"\xff"', "the record cannot be read"),
        (b'1,2,"' + b"x" * 200_000 + b'"', "field larger than field limit"),
    ],
)
def test_a_bad_csv_line_says_what_is_wrong(line: bytes, said: str) -> None:
    assert said in refusal(line, InstancesFormat.CSV)


@pytest.mark.parametrize(
    ("line", "config", "said"),
    [
        (b"[1]", InstanceConfig(key_field="id"), "instance_config needs its fields"),
        (b"[1]", InstanceConfig(OBJECT), "instance_type is object"),
        (b"1", InstanceConfig(ARRAY), "instance_config needs its fields"),
        (b'{"x": 1}', InstanceConfig(key_field="id"), "no field 'id'"),
        (b'{"x": 1}', InstanceConfig(included=("y",)), "no field 'y'"),
        (b"{", InstanceConfig(ARRAY), "the record cannot be read"),
    ],
)
def test_what_has_no_such_fields_is_refused(
    line: bytes, config: InstanceConfig, said: str
) -> None:
    assert said in refusal(line, InstancesFormat.JSONL, config)


def test_a_list_may_stand_for_itself() -> None:
    assert one(b"[1, 2]", InstancesFormat.JSONL, InstanceConfig(ARRAY)) == (
        [1, 2],
        [1, 2],
    )


def test_bytes_are_sent_as_base64() -> None:
    assert one(b"\x00\xff", InstancesFormat.TF_RECORD) == (
        {"b64": "AP8="},
        {"b64": "AP8="},
    )


def test_of_a_file_list_the_files_are_sent_and_their_addresses_told() -> None:
    def fetch(uri: str) -> bytes:
        if uri != "gs://b/cat.png":
            raise NotFoundError(f"no such object: {uri}")
        return b"png"

    convert = rows.converter(InstancesFormat.FILE_LIST, PLAIN, (), fetch)
    found, failed = convert(Block([b"gs://b/cat.png\r", b"gs://b/dog.png"], 0, 1))

    assert found == Rows([b'{"b64":"cG5n"}'], [b'"gs://b/cat.png"'], [], keyed=False)
    assert failed[0].told == b'"gs://b/dog.png"'
    assert failed[0].failure.code is Code.NOT_FOUND


def test_a_store_that_is_away_is_no_failure_of_the_line() -> None:
    def fetch(uri: str) -> bytes:
        raise UnavailableError(f"{uri} is away")

    convert = rows.converter(InstancesFormat.FILE_LIST, PLAIN, (), fetch)

    with pytest.raises(UnavailableError, match=r"gs://b/one\.png is away"):
        convert(Block([b"gs://b/one.png"], 0, 1))


def test_a_problem_of_reading_is_its_records() -> None:
    convert = rows.converter(InstancesFormat.JSONL, PLAIN)

    found, failed = convert(Block([b""], 0, 9, "the line is too long"))

    assert len(found) == 0
    assert [one.failure.message for one in failed] == ["the line is too long"]


def test_a_header_names_the_columns() -> None:
    line = b'\xef\xbb\xbfid,"x, y",name\r'

    assert rows.read_header(line, PLAIN) == ("id", "x, y", "name")


@pytest.mark.parametrize(
    ("line", "config", "said"),
    [
        (b"a,,b", PLAIN, "empty or a repeated name"),
        (b"a,b,a", PLAIN, "empty or a repeated name"),
        (b'a,"b', PLAIN, "no csv header"),
        (b"\xff", PLAIN, "no csv header"),
        (b"a,b", InstanceConfig(key_field="id"), "no column 'id'"),
        (b"a,b", InstanceConfig(included=("a", "c")), "no column 'c'"),
        (b"a,b", InstanceConfig(excluded=("d",)), "no column 'd'"),
    ],
)
def test_a_bad_header_is_refused(
    line: bytes, config: InstanceConfig, said: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        rows.read_header(line, config)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, b"1"),
        (0.5, b"0.5"),
        (True, b'"true"'),
        ('a "b"\nc', b'"a ""b"" c"'),
        ([1, "x"], b'"[1,""x""]"'),
        (None, b'"null"'),
    ],
)
def test_any_value_fits_into_a_cell(value: object, text: bytes) -> None:
    assert rows.cell(value) == text
