"""Every list reads its parameters alike, in either case."""

import asyncio
import urllib.parse

import pytest
from starlette.requests import Request

from homeport.api import requests
from homeport.edge.messages import EndpointMessage
from homeport.errors import InvalidArgumentError


def _request(query: dict[str, str] | None = None, body: bytes = b"") -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    query_string = urllib.parse.urlencode(query or {}).encode()
    scope = {"type": "http", "query_string": query_string, "headers": []}
    return Request(scope, receive)


@pytest.mark.parametrize(
    "query",
    [
        {"pageSize": "5", "pageToken": "t", "orderBy": "o", "filter": "f"},
        {"page_size": "5", "page_token": "t", "order_by": "o", "filter": "f"},
    ],
)
def test_a_page_is_asked_for_in_either_case(query: dict[str, str]) -> None:
    page = requests.page_request(_request(query), "List", "projects/p")

    assert (page.size, page.token) == (5, "t")
    assert (page.query.filter, page.query.order_by) == ("f", "o")
    assert (page.query.method, page.query.parent) == ("List", "projects/p")


def test_without_parameters_the_server_chooses() -> None:
    page = requests.page_request(_request(), "List", "projects/p")

    assert (page.size, page.token, page.query.filter) == (0, "", "")


@pytest.mark.parametrize("size", ["many", "1.5", "9" * 5000])
def test_a_page_size_that_is_no_number_is_refused(size: str) -> None:
    with pytest.raises(InvalidArgumentError, match="page_size"):
        requests.page_request(_request({"pageSize": size}), "List", "projects/p")


def test_a_body_is_a_message_and_none_an_empty_one() -> None:
    def read(body: bytes) -> EndpointMessage:
        return asyncio.run(requests.read(_request(body=body), EndpointMessage))

    assert read(b'{"displayName": "e"}').display_name == "e"
    assert read(b"") == EndpointMessage()
    with pytest.raises(InvalidArgumentError, match="JSON"):
        read(b"{")


def test_a_message_is_answered_as_json() -> None:
    response = requests.answer(EndpointMessage(display_name="ä"))

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=UTF-8"
    assert response.body == '{"displayName":"ä"}'.encode()
    assert requests.answer({"done": True}).body == b'{"done":true}'


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        pytest.param(rb'{"displayName": "a\u0000b"}', True, id="a value"),
        pytest.param(rb'{"labels": {"a\u0000": "b"}}', True, id="a key"),
        pytest.param(rb'{"displayName": "a\\u0000b"}', False, id="a written backslash"),
    ],
)
def test_a_text_with_nul_is_refused(body: bytes, *, refused: bool) -> None:
    def read() -> EndpointMessage:
        return asyncio.run(requests.read(_request(body=body), EndpointMessage))

    if refused:
        with pytest.raises(InvalidArgumentError, match="NUL"):
            read()
    else:
        assert read().display_name == r"a\u0000b"


def test_a_parameter_with_nul_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="filter has NUL"):
        requests.query_value(_request({"filter": "display_name=a\0"}), "filter")
