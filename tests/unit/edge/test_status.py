"""Every failure becomes the Status JSON of its code, and a bug of ours says nothing."""

import asyncio
from typing import Any

import orjson
import pytest

from homeport import errors
from homeport.edge import status
from homeport.errors import Code


@pytest.mark.parametrize("code", Code)
def test_every_code_has_an_error_status(code: Code) -> None:
    assert 400 <= status.http_status(code) <= 504


@pytest.mark.parametrize(
    ("error", "http", "name"),
    [
        pytest.param(
            errors.InvalidArgumentError("m"), 400, "INVALID_ARGUMENT", id="bad"
        ),
        pytest.param(
            errors.FailedPreconditionError("m"),
            400,
            "FAILED_PRECONDITION",
            id="not now",
        ),
        pytest.param(
            errors.PermissionDeniedError("m"), 403, "PERMISSION_DENIED", id="no"
        ),
        pytest.param(errors.NotFoundError("m"), 404, "NOT_FOUND", id="nowhere"),
        pytest.param(errors.AlreadyExistsError("m"), 409, "ALREADY_EXISTS", id="taken"),
        pytest.param(errors.AbortedError("m"), 409, "ABORTED", id="old etag"),
        pytest.param(
            errors.ResourceExhaustedError("m"), 429, "RESOURCE_EXHAUSTED", id="full"
        ),
        pytest.param(errors.HandlerError("m"), 500, "INTERNAL", id="model's own code"),
        pytest.param(
            errors.UnimplementedError("m"), 501, "UNIMPLEMENTED", id="not ours"
        ),
        pytest.param(errors.UnavailableError("m"), 503, "UNAVAILABLE", id="not yet"),
        pytest.param(
            errors.DeadlineExceededError("m"), 504, "DEADLINE_EXCEEDED", id="too late"
        ),
    ],
)
def test_failure_keeps_its_message(
    error: errors.HomeportError, http: int, name: str
) -> None:
    assert status.from_exception(error) == (
        http,
        {"error": {"code": http, "message": "m", "status": name}},
    )


def test_bug_of_ours_keeps_its_text_to_itself() -> None:
    http, document = status.from_exception(OSError("/var/lib/homeport/secret"))

    assert http == 500
    assert "secret" not in str(document)


def test_failure_is_sent_as_one_response() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:  # an ASGI event
        sent.append(message)

    error = errors.ResourceExhaustedError("the queue is full")
    asyncio.run(status.send_exception(send, error, {b"retry-after": b"1"}))

    start, body = sent
    headers = dict(start["headers"])
    assert start["status"] == 429
    assert headers[b"retry-after"] == b"1"
    assert headers[b"content-length"] == b"%d" % len(body["body"])
    assert orjson.loads(body["body"])["error"]["message"] == "the queue is full"
