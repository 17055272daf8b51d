"""The body of a :predict request, parsed: `{"instances": [...]}` to a list of rows.

orjson reads it where installed, else the standard library; both refuse NaN and
Infinity, which are not JSON.
"""

import base64
import binascii
import difflib
import json
from collections.abc import Set as AbstractSet
from typing import Any, Final, NoReturn

from homeport.errors import InvalidArgumentError
from homeport.worker import optional

# An environment without it serves too, slower.
_orjson: Final = optional.module("orjson")

# PredictRequest and ExplainRequest (aiplatform v1), as proto3-JSON may spell them.
PREDICT_FIELDS: Final = frozenset({"endpoint", "instances", "parameters", "labels"})
EXPLAIN_FIELDS: Final = PREDICT_FIELDS | {
    "explanationSpecOverride",
    "explanation_spec_override",
    "concurrentExplanationSpecOverride",
    "concurrent_explanation_spec_override",
    "deployedModelId",
    "deployed_model_id",
}
_LONGEST_NAME: Final = 64  # of an unknown field for which a near one is looked for

# None for any: a raw request is not of Vertex AI's form.
Fields = AbstractSet[str] | None


def parse(body: bytes, fields: Fields = PREDICT_FIELDS) -> list[Any]:
    """Return the JSON values under `instances`, at least one.

    Args:
        body: JSON in UTF-8.
        fields: Those that it may have.

    Raises:
        InvalidArgumentError: The body is not a JSON object with a list of instances, or
            has another field.
    """
    document = parse_body(body)
    if fields is not None and not document.keys() <= fields:
        raise _unknown(document.keys() - fields, fields)
    rows: list[Any] = document["instances"]
    return rows


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the whole body, in which `instances` is a list with something in it.

    Raises:
        InvalidArgumentError: The body is not a JSON object with a list of instances.
    """
    document = _load(body)
    if not isinstance(document, dict):
        raise InvalidArgumentError(
            f"the body is a JSON {_kind(document)}: "
            'send an object such as {"instances": [...]}'
        )
    if "instances" not in document:
        raise InvalidArgumentError(
            'the body has no "instances": send an object such as {"instances": [...]}'
        )
    rows = document["instances"]
    if not isinstance(rows, list):
        raise InvalidArgumentError(
            f'"instances" is a JSON {_kind(rows)}: send a list, one element for each '
            "prediction"
        )
    if not rows:
        raise InvalidArgumentError('"instances" is empty: send at least one instance')
    return document


def decode_binary(rows: list[Any]) -> list[Any]:
    """Return `rows` with each `{"b64": "..."}` replaced by the bytes it stands for.

    TorchServe's json envelope does so for a whole row and for a column of a row,
    no deeper.

    Raises:
        InvalidArgumentError: The text is not strict base64.
    """
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            continue
        if _is_binary(row):
            rows[index] = _decode(row["b64"], index)
            continue
        for column, cell in row.items():
            if isinstance(cell, dict) and _is_binary(cell):
                row[column] = _decode(cell["b64"], index)
    return rows


def _unknown(names: AbstractSet[str], fields: AbstractSet[str]) -> InvalidArgumentError:
    """Return the refusal of fields that a request does not have."""
    name = min(names)
    near = []
    if len(name) <= _LONGEST_NAME:
        near = difflib.get_close_matches(name, sorted(fields), n=1)
    remedy = f"did you mean {near[0]}?" if near else "leave it out"
    return InvalidArgumentError(
        f"{name[:_LONGEST_NAME]} is not a known field: {remedy}"
    )


def _load(body: bytes) -> Any:  # noqa: ANN401  # any JSON value
    try:
        if _orjson is not None:
            return _orjson.loads(body)
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"the body is not valid JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _is_binary(value: dict[str, Any]) -> bool:
    return len(value) == 1 and "b64" in value


def _decode(text: object, index: int) -> bytes:
    if not isinstance(text, str):
        raise InvalidArgumentError(
            f'instance {index} has a JSON {_kind(text)} under "b64": send base64 text'
        )
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InvalidArgumentError(
            f'instance {index} has under "b64" what is not base64: {reason}'
        ) from error


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "list"
        case _:
            return "object"
