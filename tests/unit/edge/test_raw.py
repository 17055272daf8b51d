"""Raw bodies on the wire: which headers travel, and how a body may be wrapped."""

import pytest

from homeport.edge import raw
from homeport.errors import InvalidArgumentError


def test_a_model_sees_no_credentials_and_nothing_of_the_connection() -> None:
    headers = [
        (b"host", b"h"),
        (b"authorization", b"Bearer t"),
        (b"cookie", b"c"),
        (b"content-length", b"1"),
        (b"content-type", b"a/b"),
        (b"x-mine", b"\xe9"),
    ]

    assert raw.for_model(headers) == {"content-type": "a/b", "x-mine": "é"}


def test_a_client_sees_no_header_that_a_handler_may_not_set() -> None:
    headers = {
        "content-type": "a/b",
        "set-cookie": "x=1",
        "content-length": "9",
        "x-split": "a\r\nx-more: b",
        "x-wide": "\u20ac",
        "": "nameless",
    }

    assert raw.for_client(headers) == [(b"content-type", b"a/b")]


@pytest.mark.parametrize(
    ("body", "opened"),
    [
        pytest.param(
            b'{"httpBody": {"contentType": "a/b", "data": "QQ=="}}',
            ("a/b", b"A"),
            id="the generated client's",
        ),
        pytest.param(
            b'{"endpoint": "e", "http_body": {"data": ""}}', ("", b""), id="snake case"
        ),
        pytest.param(b'{"httpBody": {}, "instances": []}', None, id="more than that"),
        pytest.param(b'{"httpBody": 1}', None, id="a number"),
        pytest.param(b'["httpBody"]', None, id="a list"),
        pytest.param(b'{"httpBody"', None, id="no JSON"),
    ],
)
def test_a_wrapped_body_is_opened_and_others_are_left_alone(
    body: bytes, opened: tuple[str, bytes] | None
) -> None:
    assert raw.unwrapped(body, "application/json; charset=utf-8") == opened
    assert raw.unwrapped(body, "text/plain") is None


def test_a_wrapped_body_that_is_not_base64_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="not base64"):
        raw.unwrapped(b'{"httpBody": {"data": "?"}}', "application/json")
