"""The verbs of a model but `:predict`: raw bodies, streams, tensors, explanations.

Raw ASGI like `predictions`, whose way to a replica they share: a raw body is for the
handler alone, and a stream is passed on piece by piece.
"""

import base64
import dataclasses
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
from starlette.types import Receive, Scope, Send

from homeport.api import exchange, streams
from homeport.api.turns import Turns
from homeport.edge import codec, raw, tensors
from homeport.serving.router import Share
from homeport.worker.replica import Reply
from homeport.worker.requests import Request, RequestKind

_ENDPOINT: Final = r"/v1(?:beta1)?/(projects/[^/]+/locations/[^/]+/endpoints/[^/]+)"
_VERB: Final = re.compile(_ENDPOINT + r":(\w+)")
_INVOKE: Final = re.compile(_ENDPOINT + r"(?:/deployedModels/([^/]+))?/invoke/(.+)")
_JSON: Final = {"content-type": "application/json"}


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """What a request's path asks for.

    Attributes:
        endpoint: By full name.
        verb: Of the service, "invoke" for a path of the model's own.
        deployed_id: The deployed model asked for, "" to take turns.
        path: The model's own, without the leading slash.
    """

    endpoint: str
    verb: str
    deployed_id: str = ""
    path: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """One request, read whole."""

    call: Call
    body: bytes
    headers: Mapping[str, str]
    share: Share
    receive: Receive
    send: Send


class ModelCalls:
    """Answers what `match` recognises.

    Args:
        turns: Who answers.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    @staticmethod
    def match(scope: Scope) -> Call | None:
        """Return what a request asks of a model, None if it is not for us."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        found = _VERB.fullmatch(scope["path"])
        if found is not None:
            return Call(found[1], found[2]) if found[2] in _VERBS else None
        found = _INVOKE.fullmatch(scope["path"])
        return Call(found[1], "invoke", found[2] or "", found[3]) if found else None

    async def __call__(
        self, call: Call, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer one request.

        Args:
            call: What `match` returned.
            scope: ASGI's.
            receive: ASGI's.
            send: ASGI's.
        """
        share: Share | None = None
        began = time.perf_counter()
        try:
            body = await exchange.read(receive)
            began = time.perf_counter()
            share = await self._turn(call, scope, body)
            headers = raw.for_model(scope["headers"])
            asked = _Asked(call, body, headers, share, receive, send)
            http = await _VERBS[call.verb](asked)
        except exchange.DisconnectedError:
            return
        except Exception as error:  # noqa: BLE001  # the edge of a request
            http, answer = exchange.refusal(error)
            await exchange.send(send, http, answer)
        if share is not None:
            share.meter.observe(http, time.perf_counter() - began)

    async def _turn(self, call: Call, scope: Scope, body: bytes) -> Share:
        deployed_id = call.deployed_id
        if call.verb == "explain":
            deployed_id = raw.deployed_model_id(body)
        if deployed_id:
            return await self._turns.of(call.endpoint, deployed_id)
        return await self._turns.next(call.endpoint, scope["headers"])


async def _raw(asked: _Asked) -> int:
    """Hand a body to the handler, and what it answers to the client, as they are."""
    wrapped = raw.unwrapped(asked.body, asked.headers.get("content-type", ""))
    if wrapped is None:
        return await _raw_of(asked, asked.body, asked.headers)
    content_type, body = wrapped
    headers = {**asked.headers, "content-type": content_type}
    reply = await _reply(asked, RequestKind.RAW, body, headers)
    if reply.code or reply.head is None or reply.head.status >= raw.FAILED:
        return await _pass_on(asked, reply)
    # The client of whom this is the dialect reads no other.
    document = {
        "contentType": reply.head.headers.get("content-type", ""),
        "data": base64.b64encode(reply.payload).decode(),
    }
    return await _json(asked, document)


async def _raw_of(asked: _Asked, body: bytes, headers: Mapping[str, str]) -> int:
    return await _pass_on(asked, await _reply(asked, RequestKind.RAW, body, headers))


async def _invoke(asked: _Asked) -> int:
    return await _raw_of(asked, asked.body, asked.headers)


async def _stream_raw(asked: _Asked) -> int:
    wrapped = raw.unwrapped(asked.body, asked.headers.get("content-type", ""))
    content_type, body = wrapped or (asked.headers.get("content-type", ""), asked.body)
    headers = {**asked.headers, "content-type": content_type}
    form: streams.Form = streams.Plain(asked.share)
    if wrapped is not None:
        form = streams.JsonArray(asked.share, streams.http_body)
    return await _stream(asked, Request(RequestKind.STREAM, body, headers), form)


async def _serve_stream(asked: _Asked) -> int:
    message = codec.decode(tensors.TensorsRequest, asked.body or b"{}")
    body = orjson.dumps(tensors.to_predict_body(message))
    request = Request(RequestKind.STREAM, body, {**asked.headers, **_JSON})
    form = streams.JsonArray(asked.share, streams.streaming_response)
    return await _stream(asked, request, form)


async def _direct(asked: _Asked) -> int:
    message = codec.decode(tensors.TensorsRequest, asked.body or b"{}")
    body = orjson.dumps(tensors.to_predict_body(message))
    reply = await exchange.ask(
        asked.share, body, asked.receive, retriable=_is_retriable(asked)
    )
    if reply.code:
        return await _pass_on(asked, reply)
    outputs = tuple(tensors.from_json(one) for one in orjson.loads(reply.payload))
    return await _json(asked, codec.encode(tensors.TensorsResponse(outputs=outputs)))


async def _direct_raw(asked: _Asked) -> int:
    message = codec.decode(raw.DirectRawRequest, asked.body or b"{}")
    headers = {**asked.headers, "content-type": "application/octet-stream"}
    reply = await _reply(
        asked, RequestKind.RAW, message.input, headers, message.method_name
    )
    if reply.code or (reply.head is not None and reply.head.status >= raw.FAILED):
        return await _pass_on(asked, reply)
    return await _json(asked, {"output": base64.b64encode(reply.payload).decode()})


async def _explain(asked: _Asked) -> int:
    reply = await _reply(asked, RequestKind.EXPLAIN, asked.body, asked.headers)
    if reply.code:
        return await _pass_on(asked, reply)
    body = reply.payload[:-1] + asked.share.tail
    await exchange.send(asked.send, 200, body)
    return 200


_VERBS: Final[Mapping[str, Callable[[_Asked], Awaitable[int]]]] = {
    "directPredict": _direct,
    "directRawPredict": _direct_raw,
    "explain": _explain,
    "invoke": _invoke,
    "rawPredict": _raw,
    "serverStreamingPredict": _serve_stream,
    "streamRawPredict": _stream_raw,
}


async def _reply(
    asked: _Asked,
    kind: RequestKind,
    body: bytes,
    headers: Mapping[str, str],
    path: str = "",
) -> Reply:
    request = Request(kind, body, headers, path or asked.call.path)
    return await exchange.ask(
        asked.share, request, asked.receive, retriable=_is_retriable(asked)
    )


def _is_retriable(asked: _Asked) -> bool:
    return "idempotency-key" in asked.headers


async def _stream(asked: _Asked, request: Request, form: streams.Form) -> int:
    stream = streams.Stream(form, asked.send)
    request = dataclasses.replace(request, on_piece=stream.take)
    reply = asked.share.pool.submit(request)
    return await stream.run(reply, asked.receive)


async def _pass_on(asked: _Asked, reply: Reply) -> int:
    """Answer with the status, headers and body that the handler gave."""
    if reply.code or reply.head is None:
        http, answer = exchange.failure(asked.share, reply)
        await exchange.send(asked.send, http, answer)
        return http
    headers = raw.for_client(reply.head.headers) + list(asked.share.headers)
    await exchange.send(asked.send, reply.head.status, reply.payload, headers)
    return reply.head.status


async def _json(asked: _Asked, document: Mapping[str, Any]) -> int:
    headers = [(b"content-type", b"application/json; charset=UTF-8")]
    body = orjson.dumps(document)
    await exchange.send(asked.send, 200, body, headers + list(asked.share.headers))
    return 200
