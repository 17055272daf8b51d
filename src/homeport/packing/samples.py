"""A sample request and its expected predictions, read from the files users have."""

import base64
import json
from pathlib import Path
from typing import Any

from homeport.archive import golden
from homeport.archive.golden import Golden
from homeport.errors import InvalidArgumentError
from homeport.packing import sources


def read(sample: Path, expected: Path | None = None) -> Golden:
    """Return the sample in a file, with the predictions in another.

    A JSON object with `instances` is the request itself. Any other file, a picture for
    one, becomes the one instance `{"data": {"b64": ...}}`.

    Args:
        sample: The file.
        expected: JSON: a list of predictions, or an object that has them under
            `predictions`, as an endpoint answers, and tolerances where others than the
            usual ones are wanted; None leaves them open.

    Raises:
        NotFoundError: There is no such file.
        InvalidArgumentError: It is empty, too large or no JSON of that kind.
    """
    sources.check_file(sample, "sample")
    if sample.stat().st_size > golden.MAX_BYTES:
        raise InvalidArgumentError(
            f"sample {str(sample)!r} has {sample.stat().st_size} bytes, the limit is "
            f"{golden.MAX_BYTES}: give fewer or smaller instances"
        )
    found = Golden(_request(sample))
    return found if expected is None else expect(found, expected)


def expect(sample: Golden, expected: Path) -> Golden:
    """Return the sample with the predictions in a file.

    Raises:
        NotFoundError: There is no such file.
        InvalidArgumentError: It is no JSON with a list of predictions.
    """
    sources.check_file(expected, "expected output")
    document = _json(expected.read_bytes())
    if isinstance(document, list):
        document = {"predictions": document}
    if not isinstance(document, dict) or not isinstance(
        document.get("predictions"), list
    ):
        raise InvalidArgumentError(
            f"expected output {str(expected)!r} holds no predictions: give JSON such "
            'as {"predictions": [...]}'
        )
    return golden.expecting(sample, document)


def _request(sample: Path) -> dict[str, Any]:
    content = sample.read_bytes()
    document = _json(content)
    if isinstance(document, dict) and "instances" in document:
        return document
    if sample.suffix == ".json":
        raise InvalidArgumentError(
            f"sample {str(sample)!r} holds no JSON object with instances"
            f"{_break_of(content)}: give "
            '{"instances": [...]}, as a client sends it'
        )
    return {"instances": [{"data": {"b64": base64.b64encode(content).decode()}}]}


def _break_of(content: bytes) -> str:
    """Return in parentheses where JSON is broken, "" where it is not."""
    try:
        json.loads(content.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        return f" ({error.msg} at line {error.lineno} column {error.colno})"
    except (UnicodeDecodeError, RecursionError):
        return " (it is no UTF-8 text, or nested too deeply)"
    return ""


def _json(content: bytes) -> Any:  # noqa: ANN401  # any JSON value
    """Return what the JSON says, None where it is none."""
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
