"""A request for another host, from another site or over its limit is not routed."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.edge import guard
from homeport.errors import InvalidArgumentError

Headers = list[tuple[bytes, bytes]]
Event = dict[str, Any]


class Application:
    """Reads the body, as a framework does, and answers with how long it was."""

    def __init__(self, *, swallows: bool = False, answers_first: bool = False) -> None:
        self.called = False
        self.scopes: list[str] = []
        self._swallows = swallows
        self._answers_first = answers_first

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # ASGI
        self.called = True
        self.scopes.append(scope["type"])
        if scope["type"] != "http":
            return
        if self._answers_first:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        length, more = 0, True
        try:
            while more:
                message = await receive()
                length += len(message["body"])
                more = message.get("more_body", False)
        except Exception:  # as a framework turns what a body raises into its own 400
            if not self._swallows:
                raise
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": b"bad body"})
            return
        if not self._answers_first:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % length})


def call(
    app: Any,  # an ASGI application
    headers: Headers,
    parts: Sequence[bytes] = (b"",),
    path: str = "/v1/x",
) -> tuple[int, bytes, int]:
    """Return status, body and the parts of the request that were not read."""
    sent: list[Event] = []
    waiting = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, start=1)
    ]

    async def receive() -> Event:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(event: Any) -> None:  # an ASGI event
        sent.append(event)

    scope = {"type": "http", "path": path, "headers": headers}
    asyncio.run(app(scope, receive, send))

    assert [e["type"] for e in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], sent[1]["body"], len(waiting)


def refusal(app: guard.HostGuard, *headers: tuple[str, str]) -> str:
    found = app.refusal([(n.encode(), v.encode()) for n, v in headers])
    return "" if found is None else found.message


LOOPBACK = guard.HostGuard(Application())
NAMED = guard.HostGuard(Application(), ["Homeport.Example", "::1", "10.0.0.7"])

# --- hosts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "LocalHost:1", "127.0.0.1:80", "[::1]", "[::1]:80"],
)
def test_loopback_server_answers_to_its_names(host: str) -> None:
    assert refusal(LOOPBACK, ("host", host)) == ""


@pytest.mark.parametrize("host", ["homeport.example:80", "[::1]:1", "10.0.0.7"])
def test_configured_server_answers_to_its_names(host: str) -> None:
    assert refusal(NAMED, ("host", host)) == ""


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8080", "localhost.evil.example", "", ":80"),
        *("localhost:80:80", "localhost:", "localhost:x", "127.0.0.1.nip.io", "::1"),
        *("127.0.0.2", "[::1", "localhost, evil.example", "user@localhost"),
        *("localhost/", " localhost", "localhost.", "\xe9"),
    ],
)
def test_foreign_host_is_refused_and_told_how_to_be_allowed(host: str) -> None:
    message = refusal(LOOPBACK, ("host", host))

    assert message.startswith("the request is addressed to the host '")
    assert message.endswith("start the server with --allow-host NAME")


def test_refused_host_is_named() -> None:
    assert "'evil.example:80'" in refusal(LOOPBACK, ("host", "evil.example:80"))


def test_configured_server_does_not_answer_to_localhost() -> None:
    assert refusal(NAMED, ("host", "localhost")) != ""


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="none"),
        pytest.param([("host", "localhost"), ("host", "localhost")], id="two"),
        pytest.param([("host", "localhost"), ("host", "evil.example")], id="another"),
    ],
)
def test_host_must_be_given_once(headers: list[tuple[str, str]]) -> None:
    assert "Host headers: send one" in refusal(LOOPBACK, *headers)


@given(st.binary(max_size=40))
def test_no_other_host_is_let_in(host: bytes) -> None:
    refused = LOOPBACK.refusal([(b"host", host)]) is not None

    name = host.lower().rpartition(b":")[0] if host[-1:].isdigit() else host.lower()
    assert refused or {host.lower(), name} & {b"localhost", b"127.0.0.1", b"[::1]"}


@pytest.mark.parametrize(
    "host", ["http://localhost", "localhost:80", "a/b", "", "*", "a b", "a.", "\xe9"]
)
def test_host_that_can_never_match_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(InvalidArgumentError, match="allowed host"):
        guard.HostGuard(Application(), [host])


# --- pages ----------------------------------------------------------------------------

HOST = ("host", "localhost:8080")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="no browser"),
        pytest.param([("origin", "http://localhost:8080")], id="own page"),
        pytest.param([("origin", "https://127.0.0.1")], id="own page by another name"),
        pytest.param(
            [("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")],
            id="own page, new browser",
        ),
        pytest.param([("sec-fetch-site", "none")], id="typed into the address bar"),
        pytest.param(
            [("origin", "https://localhost:8080"), ("sec-fetch-site", "same-site")],
            id="same host, other scheme",
        ),
    ],
)
def test_own_page_may_call(headers: list[tuple[str, str]]) -> None:
    assert refusal(LOOPBACK, HOST, *headers) == ""


@pytest.mark.parametrize(
    ("headers", "part"),
    [
        pytest.param(
            [("origin", "https://evil.example")], "evil.example", id="foreign"
        ),
        pytest.param([("origin", "null")], "'null'", id="null"),
        pytest.param([("origin", "")], "''", id="empty"),
        pytest.param([("origin", "file://localhost")], "file:", id="no web page"),
        pytest.param(
            [("origin", "http://localhost:8080"), ("origin", "http://evil.example")],
            "evil.example",
            id="two origins",
        ),
        pytest.param([("sec-fetch-site", "cross-site")], "cross-site", id="cross-site"),
        pytest.param([("sec-fetch-site", "same-site")], "same-site", id="same-site"),
        pytest.param(
            [("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")],
            "same-site",
            id="another program's page on this machine",
        ),
    ],
)
def test_foreign_page_is_refused(headers: list[tuple[str, str]], part: str) -> None:
    assert part in refusal(LOOPBACK, HOST, *headers)


def test_refusal_is_a_403_and_reaches_no_application() -> None:
    app = Application()

    http, body, unread = call(
        guard.HostGuard(app), [(b"host", b"evil.example")], [b"some", b"body"]
    )

    error = orjson.loads(body)["error"]
    assert (http, error["code"], error["status"]) == (403, 403, "PERMISSION_DENIED")
    assert not app.called
    assert unread == 0  # the client reads no answer before it has sent its body


def test_good_request_reaches_the_application() -> None:
    http, body, _ = call(
        guard.HostGuard(Application()), [(b"host", b"localhost")], [b"abc", b"d"]
    )

    assert (http, body) == (200, b"4")


def test_websocket_is_closed() -> None:
    app = Application()
    sent: list[Event] = []

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Any) -> None:  # an ASGI event
        sent.append(event)

    scope = {"type": "websocket", "headers": [(b"host", b"localhost")]}
    asyncio.run(guard.HostGuard(app)(scope, receive, send))

    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert not app.called


def test_lifespan_passes_both_guards() -> None:
    app = Application()

    async def unused(*_: object) -> Any:  # either end of ASGI
        raise AssertionError

    guarded = guard.HostGuard(guard.BodyLimit(app, 1))
    asyncio.run(guarded({"type": "lifespan"}, unused, unused))

    assert app.scopes == ["lifespan"]


# --- bodies ---------------------------------------------------------------------------

PREFIXES = {"/upload/": 100, "/upload/small/": 5}


@pytest.mark.parametrize(
    ("headers", "parts"),
    [
        pytest.param([(b"content-length", b"10")], [b"x" * 10], id="declared"),
        pytest.param([], [b"x" * 5, b"x" * 5], id="counted"),
        pytest.param([(b"transfer-encoding", b"chunked")], [b"x" * 10], id="chunked"),
        pytest.param([], [b""], id="none"),
    ],
)
def test_body_of_the_limit_passes(headers: Headers, parts: list[bytes]) -> None:
    http, body, _ = call(guard.BodyLimit(Application(), 10), headers, parts)

    assert (http, int(body)) == (200, sum(map(len, parts)))


@pytest.mark.parametrize("swallows", [False, True])
@pytest.mark.parametrize(
    ("headers", "parts"),
    [
        pytest.param([(b"content-length", b"11")], [b"x" * 11], id="declared"),
        pytest.param([(b"content-length", b"9" * 5000)], [b""], id="absurd length"),
        pytest.param([], [b"x" * 5, b"x" * 6, b"x"], id="counted"),
        pytest.param(
            [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
            [b"x" * 11],
            id="chunked in spite of a length",
        ),
        pytest.param([(b"content-length", b"-1")], [b"x" * 11], id="no number"),
    ],
)
def test_body_over_the_limit_is_refused(
    headers: Headers, parts: list[bytes], *, swallows: bool
) -> None:
    app = guard.BodyLimit(Application(swallows=swallows), 10)

    http, body, unread = call(app, headers, parts)

    error = orjson.loads(body)["error"]
    assert (http, error["status"], unread) == (400, "FAILED_PRECONDITION", 0)
    assert "exceeds the limit of 10 bytes" in error["message"]


def test_declared_body_over_the_limit_reaches_no_application() -> None:
    app = Application()

    _, body, _ = call(guard.BodyLimit(app, 10), [(b"content-length", b"11")], [b"x"])

    assert b"of 11 bytes exceeds" in body
    assert not app.called


def test_answer_begun_before_the_limit_is_reached_is_not_begun_again() -> None:
    sent: list[str] = []

    async def receive() -> Event:
        return {"type": "http.request", "body": b"x" * 11, "more_body": False}

    async def send(event: Any) -> None:  # an ASGI event
        sent.append(event["type"])

    app = guard.BodyLimit(Application(answers_first=True), 10)
    asyncio.run(app({"type": "http", "path": "/", "headers": []}, receive, send))

    assert sent == ["http.response.start"]


@pytest.mark.parametrize(
    ("path", "limit_bytes"),
    [("/v1/x", 10), ("/upload/x", 100), ("/upload/small/x", 5), ("/uploads", 10)],
)
def test_longest_prefix_decides(path: str, limit_bytes: int) -> None:
    app = guard.BodyLimit(Application(), 10, PREFIXES)

    assert app.limit_bytes(path) == limit_bytes
    assert call(app, [], [b"x" * limit_bytes], path)[0] == 200
    assert call(app, [], [b"x" * (limit_bytes + 1)], path)[0] == 400


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=6))
def test_counting_and_the_length_agree(parts: list[bytes]) -> None:
    length = sum(map(len, parts))
    app = guard.BodyLimit(Application(), 30)

    counted = call(app, [], parts)[0]
    declared = call(app, [(b"content-length", b"%d" % length)], parts)[0]

    assert counted == declared == (200 if length <= 30 else 400)


def test_endless_body_is_not_read_to_its_end() -> None:
    part = b"x" * (1024 * 1024)
    parts = [part] * 100

    http, _, unread = call(guard.BodyLimit(Application(), 10), [], parts)

    assert http == 400
    assert unread == 35  # one part was counted, 64 MiB were drained
